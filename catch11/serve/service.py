"""Service: everything that one running gateway holds, and who is to be told that a job moved."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any, TypeVar

from catch11.errors import InvalidArgument
from catch11.serve import jobs, listing, retention
from catch11.serve.asks import Ask
from catch11.serve.batches import Batches, Waiting
from catch11.serve.grants import Granted
from catch11.serve.meters import Meters
from catch11.serve.outcomes import keep_sources
from catch11.serve.pace import Pace, Tempo
from catch11.serve.refusals import Refused
from catch11.serve.settings import Settings, job_place, make_private
from catch11.serve.store import Store
from catch11.serve.tokens import Bearer, Doorkeeper, Limits
from catch11.serve.uploads import Readable, Stored, keep_part, safe_name, take_part
from catch11.serve.vault import Vault
from catch11.serve.worker import Workers

try:
    import fcntl
except ImportError:  # no such module on Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
_SWEEP = 600.0  # seconds
_HEAVY = 64  # requests to verify or read that may wait
Result = TypeVar("Result")


class Service:
    """One gateway, on one folder, which no other may run on at the same time."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        self.vault, self.door = Vault(store), Doorkeeper(store)
        self.meters, self.pace, self.tempo = Meters(), Pace(), Tempo(settings.slot)
        # Verifying and reading run one at a time, and never on the threads that let requests in.
        self._heavy = ThreadPoolExecutor(1, thread_name_prefix="heavy")
        self._waiting = 0
        self.workers = Workers(store, self.vault, settings, told=self._told)
        self.batches = Batches(self.workers, self.tempo)
        self.ready = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._held = False
        self._lock, self._filling = Lock(), set[str]()
        self._placing = [Lock() for _ in range(64)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Workers at work until the end of the block; then no accepted job is lost."""
        self._loop = asyncio.get_running_loop()
        with self.held():
            await asyncio.to_thread(self._start)
            sweeper = asyncio.create_task(self._sweep())
            self.ready = True
            try:
                yield
            finally:
                self.ready = False
                sweeper.cancel()
                await asyncio.to_thread(self._stop)
                self._heavy.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        make_private(self.settings.home / "jobs")
        known = retention.known(self.store)
        for place in (self.settings.home / "jobs").iterdir():
            if place.name not in known:  # of a request that a crash cut off
                shutil.rmtree(place, ignore_errors=True)
        self.workers.start()
        self.batches.start()

    def _stop(self) -> None:
        self.batches.stop()
        self.workers.stop()

    async def heavily(self, work: Callable[..., Result], *given: Any) -> Result:
        """What takes a model and a while, in its turn. Raises Refused where many wait."""
        if self._waiting >= _HEAVY:
            raise Refused(
                "the gateway is busy with other releases; ask again in a moment.",
                status=503,
                wait=5.0,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._heavy, work, *given)
        finally:
            self._waiting -= 1

    def begin(self, who: Bearer, ask: Ask, again: str | None = None) -> str:
        """A new job that takes parts. Raises Refused."""
        return self._begun(who, ask, again)[0]

    def _begun(
        self, who: Bearer, ask: Ask, again: str | None, parts: Sequence[jobs.Sent] = ()
    ) -> tuple[str, bool]:
        self._refuse_late()
        job, new = jobs.create(self.store, who, ask, again=again, parts=parts, busy=self.settings.busy)  # fmt: skip
        if new:
            make_private(job_place(self.settings.home, job).source)
        return job, new

    @contextmanager
    def filling(
        self, who: Bearer, ask: Ask, again: str | None, parts: Sequence[jobs.Sent]
    ) -> Iterator[tuple[str, bool]]:
        """A job whose files, `parts`, come with its request; whether it is this request that brings them. The
        same request at the same time does not, and what a crash cut off is taken up. A block that raises takes
        its own job away again. Raises Refused."""
        with self._lock:
            job, new = self._begun(who, ask, again, parts)
            mine = new or (job not in self._filling and jobs.state_of(self.store, job) == jobs.OPEN)
            if mine:
                self._filling.add(job)
        try:
            yield job, mine
        except BaseException:
            if mine:
                self._remove(job, state=jobs.OPEN)
            raise
        finally:
            if mine:
                self._filling.discard(job)

    def expect(self, who: Bearer, ask: Ask) -> Granted:
        """What a request stands on that is worked off as it comes. Raises Refused."""
        self._refuse_late()
        with self.store.reading() as session:
            waiting = self.batches.live(who.token)
            return jobs.admitted(session, who, ask, busy=self.settings.busy, waiting=waiting)

    def gather(self, who: Bearer, granted: Granted, ask: Ask, files: Iterable[tuple[str, Readable]], *, kept: bool) -> Waiting:  # fmt: skip
        """A request with its files, which waits from now on. Raises Refused."""
        job = jobs.new_id()
        place = job_place(self.settings.home, job)
        parts: dict[str, Stored] = {}
        held: dict[str, bytes | Path] = {}
        try:
            for name, data in files:
                part, held_as = take_part(place.source, name, data, kind=granted.modality, limits=who.limits)  # fmt: skip
                if name in parts and part.sha256 != parts[name].sha256:
                    sentence = f"{name[:60]}: expected each name once, found one twice."
                    raise Refused(sentence, status=409)
                parts[name], held[name] = part, held_as
                _check_total(who.limits, sum(one.size for one in parts.values()))
                self.meters.files.inc()
        except BaseException:
            shutil.rmtree(place.root, ignore_errors=True)
            raise
        one = Waiting(id=job, who=who, ask=ask, granted=granted, parts=[*parts.values()], held=held, kept=kept)  # fmt: skip
        self.batches.put(one)
        return one

    def turned(self, one: Waiting) -> bool:
        """Make a job of a request that waits too long; False where it is being worked off."""
        if not self.batches.withdraw(one):
            return False
        jobs.create(self.store, one.who, one.ask, busy=self.settings.busy, name=one.id)
        keep_sources(job_place(self.settings.home, one.id), one.held)
        for part in one.parts:
            jobs.add_part(self.store, one.id, part)
        self.start(one.who, one.id)
        return True

    def receive(self, who: Bearer, job: str, name: str, data: Readable) -> Stored:
        """Take one part of a job. Raises Refused."""
        kind, count, size = jobs.open_job(self.store, who.tenant, job)
        limits, root = who.limits, job_place(self.settings.home, job).source
        if count >= limits.parts:
            sentence = f"the job has {limits.parts} files, as many as this token may; start it."
            raise Refused(sentence, status=413)
        with self._placing[
            hash((job, name)) % len(self._placing)
        ]:  # what is noted is what lies there
            there = (root / safe_name(name)).exists()
            part = keep_part(root, name, data, kind=kind, limits=limits)
            try:
                _check_total(limits, size + part.size)
                jobs.add_part(self.store, job, part)
            except Refused:
                if not there:
                    (root / name).unlink(missing_ok=True)
                raise
        self.meters.files.inc()
        return part

    def start(self, who: Bearer, job: str) -> None:
        """The job has all its parts. Raises Refused."""
        jobs.submit(self.store, who.tenant, job)
        self.workers.wake()

    def drop(self, who: Bearer, job: str) -> None:
        """Cancel a job, or delete one that ended. Raises Unknown."""
        ended = listing.view(self.store, who.tenant, job, parts=False)["state"] in jobs.ENDED
        jobs.cancel(self.store, who.tenant, job)
        if ended:
            self._remove(job)
        self._told(job)

    def _refuse_late(self) -> None:
        if self.workers.stopping:
            raise Refused("the gateway is stopping; ask again in a moment.", status=503, wait=5.0)

    @contextmanager
    def bell(self, job: str) -> Iterator[asyncio.Event]:
        """An event of this loop that is set whenever the job moves."""
        event = asyncio.Event()
        self._bells[job].add(event)
        try:
            yield event
        finally:
            self._bells[job].discard(event)
            if not self._bells[job]:
                del self._bells[job]

    async def ended(self, who: Bearer, job: str, *, within: float) -> dict[str, Any]:
        """What became of a job, once it ended or the time is up."""
        end = time.monotonic() + within
        with self.bell(job) as event:
            while True:
                event.clear()
                found = await asyncio.to_thread(listing.view, self.store, who.tenant, job)
                left = end - time.monotonic()
                if found["state"] in jobs.ENDED or left <= 0:
                    return found
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(left, 2.0))

    def _told(self, job: str) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, job)

    def _ring(self, job: str) -> None:
        for event in self._bells.get(job, ()):
            event.set()

    async def _sweep(self) -> None:
        while True:
            before = time.time() - 3600.0 * self.settings.retain
            for job in await asyncio.to_thread(retention.stale, self.store, before):
                await asyncio.to_thread(self._remove, job)
            await asyncio.sleep(_SWEEP)

    def _remove(self, job: str, *, state: str | None = None) -> None:
        if retention.forget(self.store, job, state=state):
            shutil.rmtree(job_place(self.settings.home, job).root, ignore_errors=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The folder is this gateway's until the end of the block, or of the one around it. Raises InvalidArgument."""
        if self._held:
            yield
            return
        make_private(self.settings.home)
        with open(self.settings.home / "running", "wb") as file:
            _lock(file, self.settings.home)
            self._held = True
            try:
                yield
            finally:
                self._held = False


def _lock(file: IO[bytes], home: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InvalidArgument(
            "home", expected="a folder that no other gateway runs on", found=str(home),
            remedy="stop that one, or give another --home",
        ) from None  # fmt: skip


def _check_total(limits: Limits, size: int) -> None:
    if size > limits.total:
        raise Refused(f"the job: expected at most {limits.total} bytes, found more.", status=413)
