"""Pool: workers of Ray that hold one thing, which lies in the object store once, and answer calls on it.

What the calls work with (key, models) is fetched from there by every worker: it is in no argument of a task, and no log.
This process keeps it mapped, so that Ray spills it to no disk.
"""

import logging
import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from catch11 import __version__
from catch11.errors import InvalidArgument, ReleaseError
from catch11.lab import needed

_AHEAD = 3  # calls under way for each worker: one that is worked on, others that wait
_SECONDS = 5.0  # for an address to answer
_SETTINGS = bytes(
    (0, 0, 0, 4, 0, 0, 0, 0, 0)
)  # a frame of HTTP/2: the first that either side sends
_RETRIES = 3  # of a call whose worker died
_PATIENCE = 600.0  # seconds in which a first worker must have started
_AGAIN = "what is listed stands; run the same again"

Kept = TypeVar("Kept")
Tool = Callable[..., Any]


class _Worker:
    """Answers calls in a process of its own."""

    _tool: Tool | None = None

    def version(self) -> str:
        return __version__

    def call(self, packed: Sequence[Any], *given: Any) -> Any:
        """packed: what makes the tool, in a list: so a reference stays one, and what it stands for does not come along."""
        if self._tool is None:
            import ray

            self._tool = pickle.loads(ray.get(packed[0]))()
        return self._tool(*given)


@dataclass(slots=True, eq=False)
class Call:
    """What was asked of a worker. ticket: of Ray, for what comes of it. lost: workers that died of it, or with it."""

    given: tuple[Any, ...]
    worker: Any = None
    ticket: Any = None
    lost: int = 0


class Pool:
    """At most `workers` processes, which start with the first call; fewer while a cluster has no room for more.

    A worker that is lost is replaced where there is room, and what it had at hand is done by another meanwhile: Ray itself
    would wait for room.
    """

    def __init__(self, ray: Any, make: Callable[[], Tool], *, workers: int, gpu: bool) -> None:
        self._ray, self._make = ray, make
        self._kind = ray.remote(num_cpus=1, num_gpus=int(gpu))(_Worker)
        self.workers = workers
        self._packed: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._calls: dict[Any, list[Any]] = {}
        self._failed = 0

    def _start(self) -> None:
        one = self._kind.remote()
        self._starting[one.version.remote()] = one

    def begin(self, *given: Any) -> Call:
        """Have the worker that has least to do do something."""
        if not self._packed:
            # By cloudpickle, which takes the functions that models hold.
            packed = self._ray.put(np.frombuffer(self._ray.cloudpickle.dumps(self._make), np.uint8))
            self._packed, self._pinned = [packed], self._ray.get(packed)
            for _ in range(self.workers):
                self._start()
        call = Call(given)
        self._send(call)
        return call

    def _send(self, call: Call) -> None:
        self._look()
        call.worker = min(self._calls, key=lambda one: len(self._calls[one]))
        call.ticket = call.worker.call.remote(self._packed, *call.given)
        self._calls[call.worker].append(call.ticket)

    def end(self, call: Call, doing: str) -> Any:
        """What came of it; what a worker raised is raised here. doing: for a sentence. Raises ReleaseError where
        workers were lost time and again."""
        while True:
            try:
                return self._ray.get(call.ticket)
            except self._ray.exceptions.RayTaskError as error:
                raise _cause(error) from None
            except self._ray.exceptions.RayError as error:
                call.lost += 1
                if call.lost > _RETRIES:
                    raise _lost(doing, error) from None
                if self._calls.pop(call.worker, None) is not None:
                    self._ray.kill(call.worker)
                    self._start()
                self._send(call)

    def each(
        self, calls: Iterable[tuple[Kept, tuple[Any, ...] | None]], doing: Callable[[Kept], str]
    ) -> Iterator[tuple[Kept, Any]]:
        """What comes of every call, in their order, beside what is kept with it; None of no call. Few are under
        way, so that what calls read waits for workers."""
        ahead: deque[tuple[Kept, Call | None]] = deque()
        for kept, given in calls:
            ahead.append((kept, None if given is None else self.begin(*given)))
            if len(ahead) >= _AHEAD * self.workers:
                yield self._first(ahead, doing)
        while ahead:
            yield self._first(ahead, doing)

    def _first(
        self, ahead: deque[tuple[Kept, Call | None]], doing: Callable[[Kept], str]
    ) -> tuple[Kept, Any]:
        kept, call = ahead.popleft()
        return kept, None if call is None else self.end(call, doing(kept))

    def close(self) -> None:
        """Let the workers go."""
        for one in (*self._calls, *self._starting.values()):
            self._ray.kill(one)

    def _look(self) -> None:
        """Which workers are there, and which calls are under way; waits for a first worker. Raises ReleaseError where none
        comes."""
        while self._starting:
            none = not self._calls
            there, _ = self._ray.wait(
                list(self._starting), num_returns=1 if none else len(self._starting),
                timeout=_PATIENCE if none else 0,
            )  # fmt: skip
            for ticket in there:
                self._came(ticket, self._starting.pop(ticket))
            if self._calls:
                break
            if not there:
                reason = f"no worker found room in {_PATIENCE:g} s"
                raise ReleaseError("ray", reason, f"look at `ray status`; {_AGAIN}")
        for worker, tickets in self._calls.items():
            if tickets:
                _, left = self._ray.wait(tickets, num_returns=len(tickets), timeout=0)
                self._calls[worker] = left

    def _came(self, ticket: Any, worker: Any) -> None:
        try:
            _same_version(self._ray.get(ticket))
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except self._ray.exceptions.RayError as error:  # lost as it started
            self._failed += 1
            if self._failed > _RETRIES:
                raise _lost("ray", error) from None
            self._start()
        else:
            self._calls[worker] = []


def _lost(doing: str, error: Exception) -> ReleaseError:
    reason = f"a worker was lost more than {_RETRIES} times ({type(error).__name__})"
    return ReleaseError(doing, reason, _AGAIN)


@contextmanager
def pool(
    make: Callable[[], Tool], *, workers: int | None, address: str | None, device: str = "cpu"
) -> Iterator[Pool]:
    """Workers on this machine, or on the cluster at `address`, that each call `make` once for what they work with. workers: as many as
    this machine has processors, unless given. device: cuda where each needs a GPU.

    Raises MissingExtra, InvalidArgument where nothing answers at the address or nothing there can work.
    """
    if workers is not None and workers < 1:
        raise InvalidArgument("workers", expected="at least 1", found=workers)
    ray, workers = needed("ray", "ray"), workers or os.cpu_count() or 1
    own = not ray.is_initialized()
    if own:
        _join(ray, address, workers)
    try:
        gpu = device.startswith("cuda")
        for name, wanted in (("CPU", True), ("GPU", gpu)):
            if wanted and ray.cluster_resources().get(name, 0) < 1:
                raise InvalidArgument(
                    "engine", expected=f"a Ray cluster with a {name}", found="none in it"
                )
        held = Pool(ray, make, workers=workers, gpu=gpu)
        try:
            yield held
        finally:
            held.close()
    finally:
        if own:
            ray.shutdown()


def check_engine(engine: str, address: str | None, workers: int | None = None) -> bool:
    """Whether it is Ray that works. workers: given where only Ray has any. Raises InvalidArgument."""
    if engine not in ("local", "ray"):
        raise InvalidArgument("engine", expected="local or ray", found=engine)
    if engine == "local" and address is not None:
        raise InvalidArgument("address", expected="none without --engine ray", found=address)
    if engine == "local" and workers is not None:
        raise InvalidArgument("workers", expected="none without --engine ray", found=workers)
    return engine == "ray"


def _same_version(found: str) -> None:
    if found != __version__:
        raise InvalidArgument(
            "address", expected=f"a cluster with catch11 {__version__}, which gives the same bytes",
            found=found,
        )  # fmt: skip


def _cause(error: Any) -> BaseException:
    """What a worker raised, as it would have been raised here."""
    return error.cause if isinstance(error.cause, BaseException) else error


def _join(ray: Any, address: str | None, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report home
    if address is None:
        ray.init(
            address="local",  # else it would look for a cluster, in RAY_ADDRESS and about this machine
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        return
    if address != "auto" and not answers(address):
        raise InvalidArgument(
            "address", expected="HOST:PORT of a Ray cluster that answers", found=address,
            remedy="start one with `ray start --head`, or leave --address out",
        )  # fmt: skip
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # noqa: BLE001 - of a dozen types
        raise InvalidArgument(
            "address", expected="a Ray cluster of the same versions that answers",
            found=f"{address} ({type(error).__name__})",
            remedy="where it asks for a token, set RAY_AUTH_MODE=token",
        ) from None  # fmt: skip


def answers(address: str) -> bool:
    """Whether HTTP/2 is spoken at HOST:PORT, as Ray does, whose dashboard does not. It waits for minutes itself where it is not."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_SECONDS) as line:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return True
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
            return line.recv(9, socket.MSG_WAITALL)[3:4] == _SETTINGS[3:4]
    except (OSError, ValueError, OverflowError):
        return False
