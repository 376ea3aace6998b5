"""How often a token may ask, and when an answer leaves."""

import math
import time
from collections.abc import Callable
from threading import Lock

from catch11.serve.refusals import Refused

_BURST = 10.0  # seconds whose requests may come at once
_KEPT = 10_000  # tokens whose pace is remembered


class Pace:
    """A bucket a token, filled at its rate. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, token: str, rate: int) -> None:
        """Take one request. rate: a minute. Raises Refused with the seconds to wait."""
        each = rate / 60.0
        most = max(1.0, each * _BURST)
        with self._lock:
            now = self._clock()
            held, then = self._buckets.get(token, (most, now))
            held = min(most, held + (now - then) * each)
            if len(self._buckets) > _KEPT:
                self._buckets.clear()
            self._buckets[token] = (max(held - 1.0, held if held < 1.0 else 0.0), now)
        if held < 1.0:
            wait = math.ceil((1.0 - held) / each)
            raise Refused(
                f"this token may ask {rate} times a minute; ask again in {wait} s.",
                status=429,
                wait=wait,
            )


def slot_after(elapsed: float, first: float) -> float:
    """When an answer leaves that was ready after `elapsed` seconds: at `first`, twice that, four times …

    So the time tells which octave the work took, and not whether a file was written or withheld.
    """
    return first if elapsed <= first else first * 2.0 ** math.ceil(math.log2(elapsed / first))
