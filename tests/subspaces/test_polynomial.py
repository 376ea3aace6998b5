"""The smooth step as a polynomial: close to its profile, and the projector of a matrix with a gap."""

import pytest
import torch

from catch11.errors import InvalidArgument
from catch11.subspaces.polynomial import step


@pytest.mark.parametrize("cut", [0.05, 0.5, 4.0])
@pytest.mark.parametrize("width", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-7])
def test_polynomial_follows_its_profile(cut: float, width: float, tolerance: float) -> None:
    made = step(cut=cut, top=5.0, width=width, tolerance=tolerance)
    singular = torch.linspace(0.0, 5.0, 700, dtype=torch.float64)
    found = made.apply(lambda x: singular.square() * x, torch.ones_like(singular))
    assert (found - made.weight(singular)).abs().max() < tolerance
    assert (found[singular <= cut * (1 - width)] > 1 - 2.1 * tolerance).all()
    assert (found[singular >= cut * (1 + width)] < 2.1 * tolerance).all()


def test_degree_is_what_the_sharpness_costs() -> None:
    degrees = [len(step(cut=c, top=1.0, width=w, tolerance=1e-4).coefficients) for c, w in ((0.1, 0.5), (0.1, 0.25), (0.05, 0.25))]  # fmt: skip
    assert degrees[0] * 1.8 < degrees[1] < degrees[0] * 2.2
    assert degrees[1] * 1.8 < degrees[2] < degrees[1] * 2.2


def test_step_across_a_gap_is_the_projector() -> None:
    rows, _ = torch.linalg.qr(torch.randn(30, 30, dtype=torch.float64))
    singular = torch.cat([torch.linspace(0.0, 0.5, 12), torch.linspace(1.5, 3.0, 18)]).double()
    gram = rows @ torch.diag(singular.square()) @ rows.T
    made = step(cut=1.0, top=3.0, width=0.5, tolerance=1e-8)
    found = made.apply(lambda x: gram @ x, torch.eye(30, dtype=torch.float64))
    expected = rows[:, :12] @ rows[:, :12].T
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_too_sharp_a_step_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="widen the step"):
        step(cut=1e-4, top=1.0, width=0.01, tolerance=1e-6)
