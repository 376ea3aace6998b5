"""Batches: requests that wait for their answer are worked off together by an engine held open.

While one run works the next gathers: requests of one tenant and key that ask the same. Each answer is cut from
its run, noted in one transaction with the others, and leaves when answers of its like do. Such a request
is no job before it is done: a crash loses it, as it loses the connection.
"""

import logging
import shutil
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from catch11.errors import Catch11Error
from catch11.keys.key import Key
from catch11.modalities.recode import press
from catch11.releases.ledger import content_mac
from catch11.releases.press import Bound, Made, Press
from catch11.serve import jobs, turns
from catch11.serve.asks import Ask
from catch11.serve.finished import Finished, afford, record
from catch11.serve.grants import Granted
from catch11.serve.ledgers import Pair
from catch11.serve.outcomes import keep, keep_sources, outcome_of, unusable
from catch11.serve.pace import Tempo
from catch11.serve.refusals import Refused, Revoked
from catch11.serve.settings import Place, job_place, ledger_of
from catch11.serve.tokens import Bearer
from catch11.serve.uploads import Stored
from catch11.serve.vault import Opened
from catch11.serve.worker import Workers, sentence

log = logging.getLogger(__name__)
MOST = 32  # files of a run, and of a request that may wait for one
_PRESSES = 8  # held open
_GATHER = 0.05  # seconds in which others may join a request that finds no run at work
_YIELD = 0.2  # seconds in which a job that waits for the same ledger may take it
_LATE = "the gateway is stopping; ask again in a moment."
_WRITERS = 8  # threads that wait for the disk


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was worked off. leaves: when, by time.monotonic."""

    done: Finished
    bound: Bound
    leaves: float


@dataclass(eq=False)
class Waiting:
    """A request that waits. id: as of the job that it may be. held: its files, by name: in memory
    where they are small. kept: whether they, and what is made of them, can be had again."""

    id: str
    who: Bearer
    ask: Ask
    granted: Granted
    parts: Sequence[Stored]
    held: Mapping[str, bytes | Path]
    kept: bool
    came: float = field(default_factory=time.monotonic)
    answer: Future[Answered] = field(default_factory=Future)

    @property
    def pair(self) -> Pair:
        """Whose ledger it is about."""
        return self.who.tenant, self.granted.ledger

    @property
    def like(self) -> tuple[str, ...]:
        """What requests have in common that are worked off together."""
        return (self.who.tenant, self.granted.key, self.granted.keep, self.granted.method)


class _Cut(NamedTuple):
    """What is one request's of a run."""

    one: Waiting
    done: Finished
    bound: Bound
    made: Mapping[str, Made]


class Batches:
    """The thread that works them off, beside the workers of jobs."""

    def __init__(self, workers: Workers, tempo: Tempo) -> None:
        self._workers, self._tempo, self._ledgers = workers, tempo, workers.ledgers
        self._store, self._settings = workers.store, workers.settings
        self._queue: deque[Waiting] = deque()
        self._live: Counter[str] = Counter()
        self._later: dict[Pair, float] = {}
        self._presses: OrderedDict[tuple[str, ...], Press] = OrderedDict()
        self._thread = Thread(target=self._run, name="batches", daemon=True)
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="writer")
        self._stopping = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, wait: float = 60.0) -> None:
        """End after the run at hand; what waits is refused."""
        with self._ledgers.requests:
            self._stopping = True
            self._ledgers.requests.notify_all()
        self._thread.join(wait)
        self._ledgers.close()

    def put(self, one: Waiting) -> None:
        """Wait for the next run."""
        with self._ledgers.requests:
            if self._stopping:
                raise Refused(_LATE, status=503, wait=5.0)
            self._live[one.who.token] += 1
            self._queue.append(one)
            self._ledgers.requests.notify_all()

    def withdraw(self, one: Waiting) -> bool:
        """Wait no more; False where it is worked off already."""
        with self._ledgers.requests:
            if one not in self._queue:
                return False
            self._queue.remove(one)
            self._gone(one)
            return True

    def live(self, token: str) -> int:
        """How many requests of a token wait or are worked off."""
        return self._live[token]

    def _gone(self, one: Waiting) -> None:
        with self._ledgers.requests:
            self._live[one.who.token] -= 1
            self._live += Counter()  # those at 0 are not remembered

    def _run(self) -> None:
        while not self._stopping:
            if not (some := self._next()):
                continue
            try:
                self._work(some)
            except Exception as error:  # noqa: BLE001 - whatever it is, these fail and the next are taken
                self._failed(some, error)
            finally:
                self._ended(some)
        for one in self._queue:
            one.answer.set_exception(Refused(_LATE, status=503, wait=5.0))
            shutil.rmtree(self._place(one.id).root, ignore_errors=True)

    def _next(self) -> list[Waiting]:
        """Requests of one kind whose ledger nobody writes, which is theirs now; none for now."""
        with self._ledgers.requests:
            now = time.monotonic()
            soon = 0.0 if sum(len(one.parts) for one in self._queue) >= MOST else _GATHER
            ripe = (one for one in self._queue if max(self._later.get(one.pair, 0.0), one.came + soon) <= now)  # fmt: skip
            first = next((one for one in ripe if self._ledgers.take(one.pair)), None)
            if first is None:
                self._ledgers.requests.wait(_GATHER if self._queue else None)
                return []
            some, files = [], 0
            for one in [one for one in self._queue if one.like == first.like]:
                if files + len(one.parts) <= MOST:
                    files += len(one.parts)
                    some.append(one)
                    self._queue.remove(one)
            return some

    def _work(self, some: Sequence[Waiting]) -> None:
        """One run, and an answer for each request of it."""
        first, key = some[0], some[0].granted.key
        opened = self._workers.vault.opened(key)
        self._press(first, opened)  # opened before the clock runs
        begun = time.monotonic()
        poor = afford(self._store, opened.key.fingerprint, some)
        for one in some:
            if one.id in poor:
                one.answer.set_exception(poor[one.id])
        some = [one for one in some if one.id not in poor]
        made = self._made(some, opened) if some else []
        self._workers.vault.check(key)
        cuts = [cut for one, mine in made if (cut := self._cut(one, mine, opened)) is not None]
        list(self._writers.map(lambda cut: self._keep(cut, opened.key), cuts))
        record(self._store, key, [cut.done for cut in cuts])
        like, files = first.like[1:], sum(len(one.parts) for one in some)
        leaves = begun + self._tempo.due(like, time.monotonic() - begun, files=files)
        for cut in cuts:
            cut.one.answer.set_result(Answered(cut.done, cut.bound, leaves))

    def _cut(self, one: Waiting, mine: Mapping[str, Made], opened: Opened) -> _Cut | None:
        """What is one request's of a run; None where it was refused: its names cannot stand together."""
        try:
            bound = self._press(one, opened).bound(mine, one.ask.names)
        except Catch11Error as error:
            one.answer.set_exception(Refused(sentence(error), status=409))
            return None
        named = bound.named
        found = [outcome_of(p.name, mine[p.name].row, named.get(p.name, "")) for p in one.parts]
        done = Finished(
            id=one.id, who=one.who, ask=one.ask, granted=one.granted, parts=one.parts, outcomes=found,
            kept=one.kept and unusable(found) is None, key=opened.name,
        )  # fmt: skip
        return _Cut(one, done, bound, mine)

    def _keep(self, cut: _Cut, key: Key) -> None:
        if cut.done.kept:
            rows = {name: made.row for name, made in cut.made.items()}
            keep_sources(self._place(cut.done.id), cut.one.held)
            keep(self._place(cut.done.id), cut.bound, key, rows)

    def _made(
        self, some: Sequence[Waiting], opened: Opened
    ) -> list[tuple[Waiting, dict[str, Made]]]:
        """What became of each request's files. The same content is worked off once, for all."""
        first = some[0]
        held: dict[str, bytes | Path] = {}
        named: list[dict[str, str]] = []
        for one in some:
            named.append({})
            for part, data in one.held.items():
                whole = data if isinstance(data, bytes) else data.read_bytes()
                name = content_mac(opened.key, whole, of="source") + Path(part).suffix.lower()
                held[name], named[-1][part] = data, name
        ledger = ledger_of(self._settings.home, *first.pair)
        book = self._ledgers.opened(first.pair, ledger, opened.marks)
        made = self._press(first, opened).make(held, book)
        mine = [{part: made[name] for part, name in each.items()} for each in named]
        return list(zip(some, mine, strict=True))

    def _press(self, one: Waiting, opened: Opened) -> Press:
        like = (opened.id, one.granted.keep, one.granted.method)
        held = self._presses.pop(like, None)
        if held is None:
            held = press(opened.key, self._workers.options(jobs.facts_of(one.ask, one.granted), opened))  # fmt: skip
        self._presses[like] = held
        while len(self._presses) > _PRESSES:
            self._presses.popitem(last=False)
        return held

    def _failed(self, some: Sequence[Waiting], error: Exception) -> None:
        if isinstance(error, Revoked):  # nothing of the key stays in memory
            self._presses.clear()
            self._ledgers.close(some[0].pair)
        else:
            log.error("%d requests failed: %s", len(some), type(error).__name__)
        refused = error if isinstance(error, Refused) else Refused(sentence(error), status=409)
        for one in some:
            if not one.answer.done():
                one.answer.set_exception(refused)

    def _ended(self, some: Sequence[Waiting]) -> None:
        for one in some:
            self._gone(one)
            if one.answer.exception() is not None or not one.answer.result().done.kept:
                shutil.rmtree(self._place(one.id).root, ignore_errors=True)
        pair = some[0].pair
        if wanted := turns.queued(self._store, *pair):
            self._later = {pair: time.monotonic() + _YIELD}
        self._ledgers.free(pair, wanted=wanted)

    def _place(self, job: str) -> Place:
        return job_place(self._settings.home, job)
