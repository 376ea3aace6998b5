"""Ledgers: who may write the private list of a tenant and key now; some are held open between runs."""

from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from threading import Condition, RLock

from catch11.keys.key import Key
from catch11.releases.ledger import Ledger, Marks
from catch11.releases.press import open_ledger

Pair = tuple[str, str]
"""A tenant and the id of the ledger of a key."""
_OPEN = 8


class Ledgers:
    """jobs, requests: that one of them came, or that a pair is free. They share one lock."""

    def __init__(self) -> None:
        lock = RLock()
        self.jobs, self.requests = Condition(lock), Condition(lock)
        self._lock = lock
        self._busy: set[Pair] = set()
        self._held: OrderedDict[Pair, tuple[ExitStack, Ledger]] = OrderedDict()

    @property
    def busy(self) -> tuple[Pair, ...]:
        """Pairs whose ledger is being written."""
        with self._lock:
            return tuple(self._busy)

    def take(self, pair: Pair) -> bool:
        """Have a pair's ledger for oneself; False where somebody has."""
        with self._lock:
            if pair in self._busy:
                return False
            self._busy.add(pair)
            return True

    def free(self, pair: Pair, *, wanted: bool = True) -> None:
        """Let others have it. wanted: whether a job may wait for it."""
        with self._lock:
            self._busy.discard(pair)
            self.requests.notify_all()
            if wanted:
                self.jobs.notify_all()

    def opened(self, pair: Pair, path: Path, key: Key | Marks) -> Ledger:
        """A pair's ledger, held open for the next run too; for who has the pair. Raises ReleaseError."""
        with self._lock:
            held = self._held.pop(pair, None)
            while len(self._held) >= _OPEN:
                self._held.popitem(last=False)[1][0].close()
        if held is None:
            stack = ExitStack()
            held = stack, stack.enter_context(open_ledger(path, key))
        with self._lock:
            self._held[pair] = held
        return held[1]

    def close(self, pair: Pair | None = None) -> None:
        """Let go of the file of a pair, so that the engine can open it; of all without one."""
        with self._lock:
            for one in list(self._held) if pair is None else [pair]:
                if (held := self._held.pop(one, None)) is not None:
                    held[0].close()
