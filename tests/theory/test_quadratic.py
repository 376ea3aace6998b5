import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from catch11.errors import InvalidArgument
from catch11.theory.quadratic import Quadratic

METHODS = ("exact", "laurent-massart", "chebyshev")


@pytest.mark.parametrize("count", [4, 7, 60, 5000, 200_000])
@pytest.mark.parametrize("weight", [1e-6, 1.0, 300.0])
def test_equal_weights_are_chi_square(count: int, weight: float) -> None:
    law = Quadratic(weights=(weight,), counts=(count,))
    for share in (0.001, 0.025, 0.5, 0.975, 0.999):
        value = stats.chi2.ppf(share, count) * weight
        assert law.cdf(value) == pytest.approx(share, abs=1e-6)
    assert law.above(0.025, method="exact") == pytest.approx(
        stats.chi2.ppf(0.975, count) * weight, rel=1e-4
    )


def test_two_weights_against_a_convolution() -> None:
    """Σ of two gammas by adding up one's density times the other's distribution."""
    law = Quadratic(weights=(0.5, 3.0), counts=(6, 4))
    grid = np.linspace(0, 200, 200_001)
    first = stats.chi2.pdf(grid / 0.5, 6) / 0.5
    for value in (5.0, 15.0, 40.0):
        slow = np.trapezoid(first * stats.chi2.cdf((value - grid).clip(0) / 3.0, 4), grid)
        assert law.cdf(value) == pytest.approx(slow, abs=1e-6)


def test_a_difference_has_a_median_at_zero() -> None:
    assert Quadratic(weights=(-1.0, 1.0), counts=(8, 8)).cdf(0.0) == pytest.approx(0.5, abs=1e-9)


def test_a_ratio_is_fishers() -> None:
    """P(χ²(a)/a ≤ f·χ²(b)/b) is the F distribution: the sphere's law in closed form."""
    for ratio in (0.3, 1.0, 2.5):
        law = Quadratic(weights=(1 / 10, -ratio / 14), counts=(10, 14))
        assert law.cdf(0.0) == pytest.approx(stats.f.cdf(ratio, 10, 14), abs=1e-7)


class Row(NamedTuple):
    weights: tuple[float, ...]
    times: int


@pytest.mark.parametrize(
    "row", [Row((1.0,), 9), Row((1.0, 0.1, 0.01), 5), Row((0.0, 2.0, 3.0), 40)], ids=repr
)
@pytest.mark.parametrize("failure", [0.2, 0.025, 1e-4])
def test_bounds_enclose_the_exact_law(row: Row, failure: float) -> None:
    law = Quadratic.of(row.weights, times=row.times)
    exact = law.below(failure, method="exact"), law.above(failure, method="exact")
    assert exact[0] <= law.mean <= exact[1]
    for method in METHODS:
        assert law.below(failure, method=method) <= exact[0] * (1 + 1e-6)  # type: ignore[arg-type]
        assert law.above(failure, method=method) >= exact[1] * (1 - 1e-6)  # type: ignore[arg-type]


def test_moments() -> None:
    law = Quadratic.of([1.0, 2.0, 2.0], times=3)
    assert law.weights == (1.0, 2.0)
    assert law.counts == (3, 6)
    assert (law.mean, law.variance) == (15.0, 2 * (3 + 24))


def test_refusals() -> None:
    with pytest.raises(InvalidArgument, match="weights: expected finite, a positive count"):
        Quadratic(weights=(1.0,), counts=())
    with pytest.raises(InvalidArgument, match="weights: expected finite"):
        Quadratic(weights=(math.nan,), counts=(1,))
    with pytest.raises(InvalidArgument, match="failure: expected a number between 0 and 1"):
        Quadratic.of([1.0]).above(0.0, method="exact")
    with pytest.raises(InvalidArgument, match="more, and less unequal"):
        Quadratic.of([1.0]).cdf(1.0)
    with pytest.raises(InvalidArgument, match="one that is not zero"):
        Quadratic.of([0.0])._inversion  # noqa: B018 - the property raises
