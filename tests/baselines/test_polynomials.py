import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from catch11.baselines.algospec import acting, depth_errors, polynomial_net
from catch11.baselines.polynomial import Polynomial, activation_of, fit_polynomial
from catch11.errors import InvalidArgument, ModelRefused

torch.set_num_threads(1)
SAMPLES = torch.randn(500, generator=torch.Generator().manual_seed(0))
RANGE = torch.linspace(-3, 2, 1001)


@pytest.mark.parametrize("degree", range(2, 10))
@pytest.mark.parametrize("name", ["relu", "gelu", "silu"])
def test_least_squares_is_numpys(degree: int, name: str) -> None:
    function = activation_of(name)
    found = fit_polynomial(function, SAMPLES, degree=degree)
    values = SAMPLES.double().numpy()
    oracle = np.polynomial.Polynomial.fit(values, function(SAMPLES.double()).numpy(), degree)
    where = np.linspace(values.min(), values.max(), 50)
    assert found(torch.from_numpy(where)).numpy() == pytest.approx(oracle(where), abs=1e-7)


@pytest.mark.parametrize("degree", range(2, 10))
def test_chebyshev_is_numpys_interpolant(degree: int) -> None:
    found = fit_polynomial(functional.gelu, RANGE, degree=degree, fit="chebyshev")
    oracle = np.polynomial.Chebyshev.interpolate(
        lambda x: functional.gelu(torch.from_numpy(x)).numpy(), degree, domain=[-3, 2]
    )
    assert found(RANGE.double()).numpy() == pytest.approx(oracle(RANGE.numpy()), abs=1e-9)


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=9),
    st.floats(-10, 10),
    st.floats(0.1, 10),
    st.floats(-1.5, 1.5),
)
@settings(max_examples=60, deadline=None)
def test_evaluation_is_numpys(
    coefficients: list[float], low: float, width: float, place: float
) -> None:
    made = Polynomial(
        coefficients=torch.tensor(coefficients, dtype=torch.float64), low=low, high=low + width
    )
    value = low + width / 2 + place * width / 2
    wanted = np.polynomial.chebyshev.Chebyshev(coefficients, domain=[low, low + width])(value)
    found = float(made(torch.tensor(value, dtype=torch.float64)))
    assert found == pytest.approx(wanted, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("fit", ["least-squares", "chebyshev"])
def test_a_polynomial_is_found_again(fit: Any) -> None:
    made = fit_polynomial(lambda x: 2 * x**3 - x + 1, RANGE, degree=3, fit=fit)
    assert torch.allclose(made(RANGE.double()), 2 * RANGE.double() ** 3 - RANGE + 1, atol=1e-6)


def test_a_higher_degree_is_nearer_on_its_samples() -> None:
    apart = [
        float((fit_polynomial(torch.relu, SAMPLES, degree=d)(SAMPLES) - SAMPLES.relu()).norm())
        for d in range(1, 10)
    ]
    assert all(after <= before + 1e-5 for before, after in itertools.pairwise(apart))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"degree": 0}, "degree: expected 1 to 64, found 0"),
        ({"degree": -2}, "degree"),
        ({"degree": 65}, "degree"),
        ({"samples": torch.ones(50)}, "samples: expected different values"),
        ({"samples": torch.rand(2)}, "samples: expected more than 3 finite"),
        ({"samples": torch.tensor([1.0, float("nan"), 2, 3, 4, 5])}, "finite"),
    ],
)
def test_bad_fits_are_refused(changes: dict[str, Any], match: str) -> None:
    given_ = {"degree": 3, "samples": SAMPLES, **changes}
    with pytest.raises(InvalidArgument, match=match):
        fit_polynomial(torch.relu, given_.pop("samples"), **given_)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="activation: expected one of relu, gelu, silu"):
        activation_of("softmax")


class Mixed(nn.Module):
    """Activations as modules, functions, methods and in place."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(5))
        self.first, self.second = nn.ReLU(inplace=True), nn.GELU()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        one, two, three, four, five = self.layers
        values = self.second(two(self.first(one(values))))
        values = functional.silu(three(values))
        return five(torch.relu(four(values).relu()))


def net() -> tuple[Mixed, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Mixed().eval().requires_grad_(False)
    return made, torch.randn(200, 6, generator=torch.Generator().manual_seed(3))


def test_every_activation_is_replaced_in_its_order() -> None:
    module, inputs = net()
    made = polynomial_net(module, inputs, degree=5)
    names: list[str] = []

    def itself(place: int, name: str, values: torch.Tensor) -> torch.Tensor:
        names.append(name)
        return activation_of(name)(values)

    with acting(itself):
        assert torch.equal(module(inputs), module(inputs)), "none replaced is the net itself"
    assert names[:5] == ["relu", "gelu", "silu", "relu", "relu"]
    assert len(made.polynomials) == 5
    assert not torch.equal(made(inputs), module(inputs))


def test_errors_add_up_with_depth_and_fall_with_degree() -> None:
    module, inputs = net()
    low, high = (depth_errors(polynomial_net(module, inputs, degree=d), inputs) for d in (2, 9))
    assert len(low) == 5
    assert all(one.error < other.error for one, other in zip(high, low, strict=True))
    assert all(one.outside == 0.0 for one in low), "calibrated on these very inputs"
    far = depth_errors(polynomial_net(module, inputs, degree=9), inputs * 40)
    assert far[0].outside > 0.5
    assert far[-1].lost > 0.5


def test_nets_without_activations_are_refused() -> None:
    with pytest.raises(ModelRefused, match="no ReLU, GELU or SiLU to replace"):
        polynomial_net(nn.Linear(2, 2), torch.rand(9, 2), degree=2)
    with pytest.raises(InvalidArgument, match="pictures to calibrate on"):
        polynomial_net(nn.Linear(2, 2), torch.rand(0, 2), degree=2)
    with pytest.raises(InvalidArgument, match="degree: expected 1 to 64, found 0"):
        polynomial_net(nn.ReLU(), torch.randn(9, 2), degree=0)


def test_values_that_run_away_are_one_sentence() -> None:
    inputs = torch.full((4, 3), float("inf"))
    with pytest.raises(InvalidArgument, match="degree: expected one at which values stay finite"):
        polynomial_net(nn.Sequential(nn.ReLU(), nn.ReLU()), inputs, degree=1)


def test_a_picture_that_ran_away_does_not_stretch_the_range() -> None:
    inputs = torch.randn(50, 20, generator=torch.Generator().manual_seed(5))
    inputs[7] *= 1e6
    made = polynomial_net(nn.ReLU(), inputs, degree=3)
    alone = polynomial_net(nn.ReLU(), torch.cat([inputs[:7], inputs[8:]]), degree=3)
    one, other = made.polynomials[0], alone.polynomials[0]
    assert (one.low, one.high) == (other.low, other.high)
    assert torch.allclose(one.coefficients, other.coefficients)
