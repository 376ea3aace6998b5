"""What takes how long beside what: two things in turn, in processor seconds of this process."""

import statistics
import time
from collections.abc import Callable
from typing import Any

Work = Callable[[], object]
Row = dict[str, Any]


def seconds(work: Work) -> float:
    """Processor seconds, of all threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def spread(values: list[float]) -> Row:
    """Median, least and most."""
    return {"ratio": statistics.median(values), "low": min(values), "high": max(values)}


def compared(what: str, ours: Work, against: str, theirs: Work, *, per: int, runs: int) -> Row:
    """Both in turn, after one run of each that is not counted; of six pairs or more the least and the
    most enclose the median with 97 %."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    one, other = (statistics.median(times) * 1000 / per for times in zip(*pairs, strict=True))
    ratios = [one / other for one, other in pairs]
    held = {"n": runs, "items": per, "ms": one, "ms against": other}
    return {"what": what, "against": against, **spread(ratios), **held}


def measured(what: str, work: Work, *, per: int, runs: int, **facts: Any) -> Row:
    """Processor milliseconds an item, with nothing beside."""
    work()
    times = spread([seconds(work) * 1000 / per for _ in range(runs)])
    return {"what": what, "ms": times.pop("ratio"), **times, "n": runs, "items": per, **facts}
