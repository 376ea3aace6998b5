"""Releases on Ray: chunks are read here, recoded and checked by workers, and committed here, in order.

The lists are chained and signed by one hand, so one process keeps them; workers hold no ledger and no release. What they need
(recoder, key, models) is put into the object store once, and they fetch it from there: it is in no argument of a
task, and no log. What a worker that dies had at hand is done again by another; what was committed stands, so every
source is released once, and a run that is stopped resumes like any other. A chunk gives the same bytes wherever it is
done.
"""

import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.stores.frame import Source
from catch11.errors import InvalidArgument, MissingExtra, ReleaseError, UnreadableSource
from catch11.recoding.threads import torch_threads
from catch11.releases.durable import sync_file
from catch11.releases.engine import Runner
from catch11.releases.form import digest
from catch11.releases.ledger import Blank
from catch11.releases.pipeline import Request, pipeline_of
from catch11.releases.places import Places
from catch11.releases.work import TWICE, Done, Task, settled, standing, work

_AHEAD = 2  # chunks under way for each worker: one that is worked on, one that waits
_SECONDS = 5.0  # for an address to answer
_RETRIES = 3  # of a chunk whose worker died

Answer = tuple[Done, bytes | None]


class Given(Source):
    """Sources whose bytes are at hand; why others cannot be read."""

    def __init__(self) -> None:
        self.held: dict[str, bytes | str] = {}

    def data(self, name: str) -> bytes:
        data = self.held[name]
        if isinstance(data, str):
            raise UnreadableSource(name, data)
        return data


class Worker:
    """Does chunks in a process of its own. packed: what it works with."""

    def __init__(self, packed: bytes) -> None:
        self._source = Given()
        self._asked: Request = replace(pickle.loads(packed), source=self._source)
        self._pipeline = pipeline_of(self._asked).open(Path(), self._asked)

    def chunk(
        self, number: int, names: Sequence[str], data: Sequence[bytes | str], settings: str
    ) -> list[Answer]:
        """What became of some sources, and the bytes of their files."""
        key = self._asked.recoder.key
        self._source.held = dict(zip(names, data, strict=True))
        with TemporaryDirectory() as room, quiet(), torch_threads(self._asked.recoder.threads):
            places = Places(release=Path(room), ledger=Path(room))
            places.workroom.mkdir()
            task = Task(
                places=places, pipeline=self._pipeline, canvas=key.canvas, ledger=Blank(key),
                settings=settings, check=self._asked.check,
            )  # fmt: skip
            return [_carried(one) for one in work(task, number, names)]


def _carried(one: Done) -> Answer:
    data = None if one.temporary is None else one.temporary.read_bytes()
    return replace(one, temporary=None), data


@lru_cache(maxsize=1)
def _worker(packed: Any) -> Worker:
    """The worker of this process, for as long as the same is asked of it."""
    import ray

    return Worker(ray.get(packed))


def _chunk(packed: Sequence[Any], *given: Any) -> list[Answer]:
    # In a list a reference stays one: what it stands for does not come with the task.
    return _worker(packed[0]).chunk(*given)


@contextmanager
def cluster(asked: Request, *, workers: int, address: str | None) -> Iterator[Runner]:
    """Workers of a Ray cluster, of this machine unless `address` names one, as what a release is run by.

    Raises MissingExtra, InvalidArgument where nothing answers at the address or sources are of a kind that lies
    in one file.
    """
    kind = pipeline_of(asked)
    if not kind.suffixes:
        raise InvalidArgument("engine", expected=f"local for a {kind.noun}", found="ray")
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        _join(ray, address, workers)
    try:
        # By cloudpickle, which takes the functions that models hold.
        packed = [ray.put(ray.cloudpickle.dumps(replace(asked, source=None)))]
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_chunk)
        yield partial(_run, ray, partial(task.remote, packed), _AHEAD * workers)
    finally:
        if own:
            ray.shutdown()


def _run(
    ray: Any, begin: Callable[..., Any], most: int, task: Task, chunks: Sequence[Sequence[str]]
) -> Iterator[list[Done]]:
    """Results in the order of the chunks, at most so many under way: what is read waits for workers."""
    ahead: deque[tuple[int, Sequence[str], Any]] = deque()
    for number, names in enumerate(chunks):
        found = settled(task, names)
        if found is None:
            data = [_data(task, name) for name in names]
            found = begin(number, list(names), data, task.settings)
        ahead.append((number, names, found))
        if len(ahead) >= most:
            yield _taken(ray, task, *ahead.popleft())
    while ahead:
        yield _taken(ray, task, *ahead.popleft())


def _data(task: Task, name: str) -> bytes | str:
    try:
        return task.pipeline.data(name)
    except UnreadableSource as error:
        return error.reason


def _taken(ray: Any, task: Task, number: int, names: Sequence[str], found: Any) -> list[Done]:
    """A chunk's results, its files laid down here."""
    if isinstance(found, list):
        return found
    try:
        answers: list[Answer] = ray.get(found)
    except ray.exceptions.RayTaskError as error:
        raise _cause(error) from None
    except ray.exceptions.RayError as error:
        reason = f"a worker was lost more than {_RETRIES} times ({type(error).__name__})"
        raise ReleaseError(names[0], reason, "what is listed stands; run the same again") from None
    done = []
    for index, (one, data) in enumerate(answers):
        held = standing(task, one.row.source, one.row.mac)
        known = task.ledger.released(one.row.pixels) if one.row.pixels else None
        if held is not None:
            done.append(held)
        elif known is not None and known.settings != task.settings:
            reason = f"its pixels were {TWICE}, as {known.file}"
            row = replace(one.row, outcome="withheld", reason=reason, sha256="", agreement=None,
                          psnr=None, front_shift=None, distance=None)  # fmt: skip
            done.append(Done(row=row))
        else:
            path = None if data is None else _laid(task, f"{number}-{index}", data, one)
            done.append(replace(one, temporary=path))
    return done


def _laid(task: Task, name: str, data: bytes, one: Done) -> Path:
    """A file that a worker made, on the disk, read back."""
    path = task.places.workroom / name
    path.write_bytes(data)
    if digest(path.read_bytes()) != one.row.sha256:
        reason = "the file read back differs from what was written"
        raise ReleaseError(one.row.source, reason, "check the disk")
    sync_file(path)
    return path


def _cause(error: Any) -> BaseException:
    """What a worker raised, as it would have been raised here."""
    return error.cause if isinstance(error.cause, BaseException) else error


def _join(ray: Any, address: str | None, workers: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report home
    if address is None:
        ray.init(
            num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False
        )
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto":
        try:
            socket.create_connection((host, int(port)), timeout=_SECONDS).close()
        except (OSError, ValueError):
            raise InvalidArgument(
                "address", expected="HOST:PORT of a Ray cluster that answers", found=address,
                remedy="start one with `ray start --head`, or leave --address out",
            ) from None  # fmt: skip
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as error:  # noqa: BLE001 - of a dozen types
        raise InvalidArgument(
            "address", expected="a Ray cluster of the same versions that answers",
            found=f"{address} ({type(error).__name__})",
        ) from None  # fmt: skip


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "ray") from None
    import ray.exceptions

    return ray
