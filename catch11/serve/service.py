"""Service: everything that one running gateway holds, and who is to be told that a job moved."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import IO, Any, TypeVar

from catch11.errors import InvalidArgument
from catch11.serve import jobs, listing
from catch11.serve.asks import Ask
from catch11.serve.meters import Meters
from catch11.serve.pace import Pace
from catch11.serve.refusals import Refused
from catch11.serve.settings import Settings, job_place, make_private
from catch11.serve.store import Store
from catch11.serve.tokens import Bearer, Doorkeeper
from catch11.serve.uploads import Readable, Stored, keep_part
from catch11.serve.vault import Vault
from catch11.serve.worker import Told, Workers

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
        self.meters, self.pace = Meters(), Pace()
        # Verifying and reading run one at a time, and never on the threads that let requests in.
        self._heavy = ThreadPoolExecutor(1, thread_name_prefix="heavy")
        self._waiting = 0
        self.workers = Workers(store, self.vault, settings, told=self._told)
        self.ready = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._held: IO[bytes] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Workers at work until the end of the block; then no accepted job is lost."""
        self._loop = asyncio.get_running_loop()
        self._lock_folder()
        await asyncio.to_thread(self.workers.start)
        sweeper = asyncio.create_task(self._sweep())
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            sweeper.cancel()
            await asyncio.to_thread(self.workers.stop)
            self._heavy.shutdown(wait=False, cancel_futures=True)
            if self._held is not None:
                self._held.close()

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
        if self.workers.stopping:
            raise Refused("the gateway is stopping; ask again in a moment.", status=503, wait=5.0)
        job = jobs.create(self.store, who, ask, again=again, busy=self.settings.busy)
        make_private(job_place(self.settings.home, job).source)
        return job

    def receive(self, who: Bearer, job: str, name: str, data: Readable) -> Stored:
        """Take one part of a job. Raises Refused."""
        kind, count, size = jobs.open_job(self.store, who.tenant, job)
        limits = who.limits
        if count >= limits.parts:
            raise Refused(
                f"the job has {limits.parts} files, as many as this token may; start it.",
                status=413,
            )
        part = keep_part(
            job_place(self.settings.home, job).source, name, data, kind=kind, limits=limits
        )
        if size + part.size > limits.total:
            raise Refused(
                f"the job: expected at most {limits.total} bytes, found more.", status=413
            )
        jobs.add_part(self.store, job, part)
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
        self._told(Told(job, jobs.CANCELLED))

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

    def _told(self, told: Told) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, told.job)

    def _ring(self, job: str) -> None:
        for event in self._bells.get(job, ()):
            event.set()

    async def _sweep(self) -> None:
        while True:
            before = time.time() - 3600.0 * self.settings.retain
            for job in await asyncio.to_thread(jobs.stale, self.store, before):
                await asyncio.to_thread(self._remove, job)
            await asyncio.sleep(_SWEEP)

    def _remove(self, job: str) -> None:
        jobs.forget(self.store, job)
        shutil.rmtree(job_place(self.settings.home, job).root, ignore_errors=True)

    def _lock_folder(self) -> None:
        make_private(self.settings.home)
        self._held = open(self.settings.home / "running", "wb")  # noqa: SIM115 - held until the end
        if fcntl is None:
            return
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise InvalidArgument(
                "home", expected="a folder that no other gateway runs on", found=str(self.settings.home),
                remedy="stop that one, or give another --home",
            ) from None  # fmt: skip
