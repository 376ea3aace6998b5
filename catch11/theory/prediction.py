"""Where one more draw will lie, whatever the law of the draws: order statistics. Floats only."""

import math
from collections.abc import Sequence
from statistics import median

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval


def next_one(
    draws: Sequence[float], *, confidence: float = 0.95, assumptions: tuple[str, ...] = ()
) -> Interval:
    """The j-th smallest and j-th largest of n draws: one more draw of the same kind lies between them
    with a probability of (n + 1 − 2j)/(n + 1) at least, whatever its law (Wilks 1941).

    j is the largest that keeps the confidence; with too few draws it is 1, and the interval's own
    confidence, (n − 1)/(n + 1), says what is left of the one asked for. estimate: the median.
    The probability is over all n + 1 draws together. Raises InvalidArgument below two draws.
    """
    failure, n = failure_of(confidence), len(draws)
    if n < 2:
        raise InvalidArgument("draws", expected="two or more", found=n)
    ordered = sorted(draws)
    # A whole number that rounding has put just below itself counts as reached.
    j = max(1, math.floor(failure * (n + 1) / 2 + 1e-9))
    return Interval(
        low=ordered[j - 1],
        estimate=median(ordered),
        high=ordered[n - j],
        confidence=(n + 1 - 2 * j) / (n + 1),
        assumptions=(*assumptions, f"order statistics of {n} draws"),
    )


def draws_for(confidence: float) -> int:
    """The fewest draws whose range holds one more with this confidence: 39 for .95."""
    return math.ceil(2 / failure_of(confidence) - 1e-9) - 1


def failure_of(confidence: float) -> float:
    """1 − confidence. Raises InvalidArgument outside 0 to 1."""
    if not 0.0 < confidence < 1.0:
        raise InvalidArgument("confidence", expected="a number between 0 and 1", found=confidence)
    return 1.0 - confidence
