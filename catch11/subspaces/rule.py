"""Pure maths of spectra: which right singular vectors are insensitive, and angles between spaces."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Inexact
from torch import Tensor

from catch11.errors import EmptySubspace, InvalidArgument

RuleKind = Literal["energy", "tau", "cumulative", "rank"]
# Below this share of the largest singular value a float32 weight's direction is numerically null.
_NULL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which directions count as insensitive, singular values s ascending, in pixel units.

    energy ε in [0, 1): the longest prefix with Σ s² ≤ ε · (total Σ s²) · the default, because it
    transfers between models. tau ≥ 0: every s ≤ τ. cumulative ≥ 0: the longest prefix with
    Σ s ≤ τ (paper, Definition 1). rank ≥ 1: that many directions.
    """

    kind: RuleKind
    value: float

    def __post_init__(self) -> None:
        low = 1.0 if self.kind == "rank" else 0.0
        high = 1.0 if self.kind == "energy" else float("inf")
        if not low <= self.value < high or (self.kind == "rank" and self.value != int(self.value)):
            wanted = {"energy": "a share in [0, 1)", "rank": "a whole number ≥ 1"}
            raise InvalidArgument(
                self.kind, expected=wanted.get(self.kind, "a number ≥ 0"), found=self.value
            )

    def __str__(self) -> str:
        return f"{self.kind} ≤ {self.value:g}"

    def count(
        self,
        singular: Float[Tensor, " direction"],
        *,
        weights: Float[Tensor, " direction"] | None = None,
    ) -> int:
        """How many of the ascending singular values are inside.

        weights: how many times each stands in the spectrum (conjugate pairs). Raises EmptySubspace,
        with the spectrum, when none is.
        """  # fmt: skip
        times = torch.ones_like(singular) if weights is None else weights
        largest = float(singular[-1]) if singular.numel() else 0.0
        # A direction the weight does not see at all has s of rounding size, not zero.
        values = torch.where(singular < _NULL * largest, torch.zeros_like(singular), singular)
        inside = self._inside(values, times)
        if inside == 0:
            raise EmptySubspace(str(self), singular[:6].tolist(), largest)
        return inside

    def _inside(self, values: Tensor, times: Tensor) -> int:
        if self.kind == "tau":
            return int((values <= self.value).sum())
        if self.kind == "rank":
            if self.value > float(times.sum()):
                raise InvalidArgument(
                    "rank", expected=f"at most {int(times.sum())} directions", found=self.value
                )
            return int((times.cumsum(0) <= self.value).sum())
        if self.kind == "cumulative":
            return int(((values * times).cumsum(0) <= self.value).sum())
        energy = (values.square() * times).cumsum(0)
        return int((energy <= self.value * energy[-1]).sum())


def spectrum(
    matrix: Float[Tensor, "out pixel"],
) -> tuple[Float[Tensor, " pixel"], Float[Tensor, "pixel rank"]]:
    """Singular values of a matrix, ascending, one a pixel, and the right vectors of the last ones.

    float64. The first pixel - rank values are 0 and their vectors, any basis of the orthogonal
    complement, are not formed: a window of 150,000 pixels has no room for them.
    """
    matrix = matrix.double()
    out, pixels = matrix.shape
    if out > pixels:
        # Only WᵀW matters; QR shrinks W to a square without squaring its condition.
        matrix = torch.linalg.qr(matrix, mode="r").R
    _, singular, rows = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.zeros(pixels, dtype=torch.float64)
    values[pixels - singular.numel() :] = singular.flip(0)
    return values, rows.flip(0).T.contiguous()


def principal_angles(
    first: Inexact[Tensor, "pixel a"], second: Inexact[Tensor, "pixel b"]
) -> Float[Tensor, " angle"]:
    """Angles in radians between the spans of two orthonormal bases, real or complex, ascending.

    Small angles come from the sine, large ones from the cosine, so both are exact to rounding
    (Björck and Golub 1973).
    """
    if second.shape[1] > first.shape[1]:
        first, second = second, first
    exact = torch.complex128 if first.is_complex() or second.is_complex() else torch.float64
    first, second = first.to(exact), second.to(exact)
    product = first.mH @ second
    cosine = torch.linalg.svdvals(product).clamp(max=1.0)
    sine = torch.linalg.svdvals(second - first @ product).clamp(max=1.0).flip(0)
    by_sine: Bool[Tensor, " angle"] = cosine**2 > 0.5
    return torch.where(by_sine, sine.asin(), cosine.acos())
