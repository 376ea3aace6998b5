"""A number with its ends, and the intervals and tests of shares: floats only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """low ≤ estimate ≤ high, with the confidence and the assumptions it holds under."""

    low: float
    estimate: float
    high: float
    confidence: float = 0.95
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence <= 1.0:
            raise InvalidArgument(
                "confidence", expected="a number above 0 and at most 1", found=self.confidence
            )
        if not self.low <= self.estimate <= self.high and not math.isnan(self.estimate):
            found = (self.low, self.estimate, self.high)
            raise InvalidArgument("interval", expected="low <= estimate <= high", found=found)

    def __neg__(self) -> "Interval":
        return Interval(
            low=-self.high,
            estimate=-self.estimate,
            high=-self.low,
            confidence=self.confidence,
            assumptions=self.assumptions,
        )


def normal_quantile(confidence: float) -> float:
    """Two-sided standard normal quantile: 1.96 for a confidence of .95."""
    if not 0.0 < confidence < 1.0:
        raise InvalidArgument("confidence", expected="a number between 0 and 1", found=confidence)
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(hits: int, n: int, *, confidence: float = 0.95) -> Interval:
    """A share hits/n with its score interval (Wilson 1927); [0, 1] and NaN where n is 0."""
    from scipy.stats import binomtest

    if not 0 <= hits <= n:
        raise InvalidArgument("hits", expected=f"a number from 0 to n = {n}", found=hits)
    if n == 0:
        return Interval(low=0.0, estimate=math.nan, high=1.0, confidence=confidence)
    ends = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    low, high = float(ends.low), float(ends.high)
    return Interval(low=low, estimate=hits / n, high=high, confidence=confidence)


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """Share of first minus share of second on the same inputs, with Newcombe's interval
    (1998, paired method 10: Wilson limits squared and added, with the continuity-corrected φ)."""
    a, b, c, d = _fourfold(first, second)
    n = a + b + c + d
    if n == 0:
        return Interval(low=-1.0, estimate=math.nan, high=1.0)
    one, two = wilson(a + b, n), wilson(a + c, n)
    phi = _newcombe_phi(a, b, c, d)
    gap = one.estimate - two.estimate

    def reach(d1: float, d2: float) -> float:
        return math.sqrt(max(0.0, d1 * d1 - 2 * phi * d1 * d2 + d2 * d2))

    low = gap - reach(one.estimate - one.low, two.high - two.estimate)
    high = gap + reach(one.high - one.estimate, two.estimate - two.low)
    return Interval(low=max(-1.0, low), estimate=gap, high=min(1.0, high))


def _fourfold(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, int, int]:
    if len(first) != len(second):
        raise InvalidArgument(
            "second", expected=f"{len(first)} hits, one for each of first", found=len(second)
        )
    pairs = [(bool(x), bool(y)) for x, y in zip(first, second, strict=True)]
    cells = ((True, True), (True, False), (False, True), (False, False))
    a, b, c, d = (pairs.count(cell) for cell in cells)
    return a, b, c, d


def _newcombe_phi(a: int, b: int, c: int, d: int) -> float:
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        cross = max(0, cross - (a + b + c + d) / 2)  # type: ignore[assignment]
    return cross / math.sqrt(product)
