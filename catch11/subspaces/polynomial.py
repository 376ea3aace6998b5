"""Pure maths: a smooth step of an operator's singular values as a polynomial in AᵀA (Chebyshev)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

_LARGEST = 1 << 15  # degree; one product with AᵀA each


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Weight 1 below `cut`, 0 above it, as a polynomial in s² on [0, top].

    Between cut · (1 - width) and cut · (1 + width) the weight falls from 1 - tolerance to
    tolerance; outside it is off by at most 2 · tolerance. coefficients: of the Chebyshev
    polynomials in 2 s²/top² - 1.
    """

    cut: float
    top: float
    width: float
    tolerance: float
    coefficients: Float[Tensor, " degree"]

    def weight(self, singular: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The weight that the polynomial approaches, for each singular value."""
        return _profile(singular, self.cut, self.width, self.tolerance)

    def apply(
        self, product: Callable[[Tensor], Tensor], images: Float[Tensor, "..."]
    ) -> Float[Tensor, "..."]:
        """The polynomial of AᵀA times images; product(images) = AᵀA · images."""
        scale = 2.0 / self.top**2
        before, now = images, scale * product(images) - images
        first, second, *rest = self.coefficients.tolist()
        total = first * before + second * now
        for coefficient in rest:
            before, now = now, 2.0 * (scale * product(now) - now) - before
            total += coefficient * now
        return total


def step(*, cut: float, top: float, width: float, tolerance: float) -> Step:
    """The step of least degree, about (σ/cut) · ln(1/tolerance) / width, found from its transform.

    cut and top: singular values, 0 < cut < top. width: relative, in (0, 1]. Raises InvalidArgument
    where the step is too sharp to be a polynomial of degree 32768.
    """
    nodes = 2 * _LARGEST
    angle = math.pi * (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    # s² = top² · (1 + cos θ)/2
    values = _profile(top * (0.5 * angle).cos().abs(), cut, width, tolerance)
    # The discrete cosine transform of the values at Chebyshev's nodes, through one real transform.
    waves = torch.fft.fft(torch.cat([values, values.flip(0)]))[:nodes]
    turn = torch.polar(
        torch.ones_like(angle), -0.5 * math.pi / nodes * torch.arange(nodes).double()
    )
    coefficients = (waves * turn).real / nodes
    coefficients[0] *= 0.5
    tail = coefficients.abs().flip(0).cumsum(0).flip(0)
    degree = max(int((tail > 0.5 * tolerance).sum()), 2)
    if degree > _LARGEST:
        raise InvalidArgument(
            "width", expected="a step that a polynomial can follow",
            found=f"width {width:g} at {cut:g} of {top:g}", remedy="widen the step",
        )  # fmt: skip
    return Step(
        cut=cut, top=top, width=width, tolerance=tolerance, coefficients=coefficients[:degree]
    )


def _profile(singular: Tensor, cut: float, width: float, tolerance: float) -> Tensor:
    """Half of the complementary error function, `tolerance` at cut · (1 + width)."""
    edge = float(torch.special.ndtri(torch.tensor(1.0 - tolerance, dtype=torch.float64)))
    return torch.special.ndtr(edge * (cut - singular) / (width * cut))
