"""How often a token may ask, and when an answer leaves."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from catch11.serve.refusals import Refused

_BURST = 10.0  # seconds whose requests may come at once
_KEPT = 10_000  # tokens, and kinds of work, whose pace is remembered
_FORGET = 0.002  # a file, of what a slow run lies above the next: so long is a hiccup remembered
_STEP = 2.0**0.25  # from one moment to the next


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


class Tempo:
    """When answers leave: as late as the slowest of their like did lately, and on a grid of moments.

    So the time tells what was asked and how much, and not whether a file was written or withheld. least:
    seconds, and the first moment of the grid.
    """

    def __init__(self, least: float) -> None:
        self._least, self._lock = least, Lock()
        self._slowest: OrderedDict[Hashable, float] = OrderedDict()

    def due(self, like: Hashable, elapsed: float, *, files: int) -> float:
        """Seconds after the work began at which what is ready after `elapsed` leaves. like: what the work is
        compared with, besides its number of files, to the next power of two. A run of many hides each of
        them by itself, and forgets sooner."""
        like = (like, files.bit_length())
        with self._lock:
            held = self._slowest.pop(like, self._least)
            slowest = max(elapsed, held - (held - elapsed) * min(0.5, _FORGET * files))
            self._slowest[like] = slowest
            while len(self._slowest) > _KEPT:
                self._slowest.popitem(last=False)
        return self._least * _STEP ** max(0, math.ceil(math.log(slowest / self._least, _STEP)))
