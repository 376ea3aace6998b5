"""Pure maths: low-degree polynomials in place of an activation, in the Chebyshev basis of a range."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

Fit = Literal["least-squares", "chebyshev"]
Scalar = Callable[[Tensor], Tensor]
ACTIVATIONS: Mapping[str, Scalar] = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
}
_LARGEST = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Polynomial:
    """Σ c_k T_k of values moved from [low, high] to [-1, 1]; outside that range it runs away."""

    coefficients: Float[Tensor, " term"]
    low: float
    high: float

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    def __call__(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Clenshaw's recurrence, in float64 inside, back in the dtype given."""
        place = (2.0 * values.double() - (self.low + self.high)) / (self.high - self.low)
        after, last = torch.zeros_like(place), torch.zeros_like(place)
        for coefficient in self.coefficients.flip(0)[:-1].tolist():
            after, last = coefficient + 2.0 * place * after - last, after
        return (float(self.coefficients[0]) + place * after - last).to(values.dtype)


def fit_polynomial(
    function: Scalar,
    samples: Float[Tensor, " sample"],
    *,
    degree: int,
    fit: Fit = "least-squares",
) -> Polynomial:
    """A polynomial near `function` where the samples lie.

    least-squares: nearest in the mean square over the samples. chebyshev: interpolates at the
    Chebyshev nodes of the samples' range, near the best in the worst place, whatever lies there
    often. Raises InvalidArgument for a degree of 0 and for samples that span nothing.
    """
    check_fit(degree, fit)
    values = samples.detach().double().flatten()
    if len(values) <= degree or not bool(torch.isfinite(values).all()):
        raise InvalidArgument(
            "samples", expected=f"more than {degree} finite numbers", found=f"{len(values)} numbers"
        )
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise InvalidArgument("samples", expected="different values", found=f"only {low}")
    if fit == "chebyshev":
        middle, half = (low + high) / 2, (high - low) / 2
        nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
        there = function(torch.from_numpy(middle + half * nodes)).numpy()
        found = np.polynomial.chebyshev.chebfit(nodes, there, degree)
        return Polynomial(coefficients=torch.from_numpy(found), low=low, high=high)
    place = (2.0 * values - (low + high)) / (high - low)
    basis = torch.from_numpy(np.polynomial.chebyshev.chebvander(place.numpy(), degree))
    solved = torch.linalg.lstsq(basis, function(values)[:, None], driver="gelsd").solution
    return Polynomial(coefficients=solved[:, 0], low=low, high=high)


def check_fit(degree: int, fit: str) -> None:
    """Raises InvalidArgument for a degree that no polynomial here has, or another kind of fit."""
    if fit not in ("least-squares", "chebyshev"):
        raise InvalidArgument("fit", expected="least-squares or chebyshev", found=fit)
    if not 1 <= degree <= _LARGEST:
        raise InvalidArgument("degree", expected=f"1 to {_LARGEST}", found=degree)


def activation_of(name: str) -> Scalar:
    """The activation of that name; raises InvalidArgument with the known ones."""
    if name not in ACTIVATIONS:
        raise InvalidArgument("activation", expected=f"one of {', '.join(ACTIVATIONS)}", found=name)
    return ACTIVATIONS[name]
