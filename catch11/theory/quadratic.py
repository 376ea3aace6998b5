"""The law of a weighted sum of squares of normals: moments, distribution, tail bounds. Pure maths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from catch11.errors import InvalidArgument

Method = Literal["exact", "laurent-massart", "chebyshev"]
_TAIL = 1e-12  # probability left outside the range that the inversion covers
_POINTS = 2_000_000  # most points of the inversion: 32 MB
# Log of the characteristic function's modulus at which the inversion stops; what is left out is
# less than this over the number of points, for the terms alternate.
_FLOOR = -12.0


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """Q = Σ weights · χ²(counts), independent. weights may be negative for `cdf` alone.

    exact: the distribution by inversion of the characteristic function (Davies 1973), to about
    1e-8. laurent-massart: Laurent & Massart 2000, lemma 1. chebyshev: from the variance
    2 Σ counts·weights², as in the paper's Theorem 1.
    """

    weights: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        good = len(self.weights) == len(self.counts) and all(count > 0 for count in self.counts)
        if not good or not all(map(math.isfinite, self.weights)):
            found = f"{len(self.weights)} weights, {len(self.counts)} counts"
            raise InvalidArgument("weights", expected="finite, a positive count each", found=found)

    @classmethod
    def of(cls, weights: Sequence[float], *, times: int = 1) -> "Quadratic":
        """Each weight `times` times; equal weights are counted together."""
        values, counts = np.unique(np.asarray(weights, dtype=np.float64), return_counts=True)
        return cls(weights=tuple(values.tolist()), counts=tuple((counts * times).tolist()))

    @cached_property
    def mean(self) -> float:
        return math.fsum(a * n for a, n in zip(self.weights, self.counts, strict=True))

    @cached_property
    def variance(self) -> float:
        return math.fsum(2 * a * a * n for a, n in zip(self.weights, self.counts, strict=True))

    def above(self, failure: float, *, method: Method) -> float:
        """A value that Q exceeds with a probability of at most `failure` (of it, where exact)."""
        _share("failure", failure)
        if method == "chebyshev":
            return self.mean + math.sqrt(self.variance / failure)
        if method == "laurent-massart":
            x = -math.log(failure)
            top = max(max(self.weights), 0.0)
            return self.mean + math.sqrt(2 * self.variance * x) + 2 * top * x
        return self._quantile(1.0 - failure)

    def below(self, failure: float, *, method: Method) -> float:
        """A value that Q stays under with a probability of at most `failure`, 0 or more."""
        _share("failure", failure)
        if method == "chebyshev":
            return max(0.0, self.mean - math.sqrt(self.variance / failure))
        if method == "laurent-massart":
            x = -math.log(failure)
            return max(0.0, self.mean - math.sqrt(2 * self.variance * x))
        return self._quantile(failure)

    def cdf(self, value: float) -> float:
        """P(Q ≤ value). Raises InvalidArgument where the inversion would need too many points:
        below four degrees of freedom, or weights too unequal."""
        low, high = self._range
        if value <= low:
            return 0.0
        if value >= high:
            return 1.0
        points, modulus, phase, step = self._inversion
        place = (np.arange(points) + 0.5) * step
        terms = modulus * np.sin(phase - place * value) / (np.arange(points) + 0.5)
        return min(1.0, max(0.0, 0.5 - float(terms.sum()) / math.pi))

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Values between which Q lies but for a probability of twice _TAIL."""
        parts = []
        for sign in (1.0, -1.0):
            pairs = [
                (a * sign, n)
                for a, n in zip(self.weights, self.counts, strict=True)
                if a * sign > 0
            ]
            if not pairs:
                parts.append((0.0, 0.0))
                continue
            part = Quadratic(weights=tuple(a for a, _ in pairs), counts=tuple(n for _, n in pairs))
            parts.append(
                (
                    part.below(_TAIL, method="laurent-massart"),
                    part.above(_TAIL, method="laurent-massart"),
                )
            )
        (low, high), (least, most) = parts
        return low - most, high - least

    @cached_property
    def _inversion(self) -> tuple[int, np.ndarray, np.ndarray, float]:
        low, high = self._range
        if high <= low:
            raise InvalidArgument("weights", expected="one that is not zero", found="none")
        step = 2 * math.pi / (high - low)
        points = 64
        while self._log_modulus(points * step) > _FLOOR:
            points *= 2
            if points > _POINTS:
                found = f"{sum(self.counts)} degrees of freedom"
                raise InvalidArgument("weights", expected="more, and less unequal", found=found)
        place = (np.arange(points) + 0.5) * step
        log_modulus, phase = np.zeros(points), np.zeros(points)
        for a, n in zip(self.weights, self.counts, strict=True):
            log_modulus -= n / 4 * np.log1p((2 * a * place) ** 2)
            phase += n / 2 * np.arctan(2 * a * place)
        return points, np.exp(log_modulus), phase, step

    def _log_modulus(self, place: float) -> float:
        return -math.fsum(
            n / 4 * math.log1p((2 * a * place) ** 2)
            for a, n in zip(self.weights, self.counts, strict=True)
        )

    def _quantile(self, share: float) -> float:
        low, high = self._range
        for _ in range(48):
            middle = (low + high) / 2
            low, high = (middle, high) if self.cdf(middle) < share else (low, middle)
        return max(0.0, (low + high) / 2) if min(self.weights) >= 0 else (low + high) / 2


def sphere_quantile(
    squares: Sequence[float], share: float, *, times: int = 1, blind: int = 0
) -> float:
    """The value that Σ squares·u² stays under with a probability of `share`, u uniform on the unit
    sphere: P(Σ squares·u² > c) = P(Σ (squares − c) z² > 0), z normal.

    times: how often each square stands; blind: further directions of square 0. Raises
    InvalidArgument where the law cannot be inverted.
    """
    low, high = 0.0 if blind else min(squares), max(squares)
    for _ in range(40):
        middle = (low + high) / 2
        law = Quadratic.of([s - middle for s in squares], times=times)
        if blind:
            law = Quadratic(weights=(*law.weights, -middle), counts=(*law.counts, blind))
        low, high = (middle, high) if law.cdf(0.0) < share else (low, middle)
    return (low + high) / 2


def _share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InvalidArgument(name, expected="a number between 0 and 1", found=value)
