"""Releases on Ray: chunks are read here, recoded and checked by workers, and committed here, in order.

The lists are chained and signed by one hand, so one process keeps them; workers hold no ledger and no release. What a
worker that dies had at hand is done again by another; what was committed stands, so every source is released once, and
a run that is stopped resumes like any other. A chunk gives the same bytes wherever it is done.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from catch11.data.pictures import quiet
from catch11.data.stores.frame import Bytes, Given, bytes_at
from catch11.errors import InvalidArgument, ReleaseError
from catch11.recoding.threads import torch_threads
from catch11.releases.durable import sync_file
from catch11.releases.engine import Runner
from catch11.releases.form import digest
from catch11.releases.ledger import Blank
from catch11.releases.pipeline import Request, pipeline_of
from catch11.releases.places import Places
from catch11.releases.pool import Pool, pool
from catch11.releases.task import TWICE, Done, Task
from catch11.releases.work import settled, standing, work

Answer = tuple[Done, bytes | None]
_Chunk = tuple[int, Sequence[str], list[Done] | None]


class Recoding:
    """Does chunks, of sources whose bytes come with them."""

    def __init__(self, asked: Request) -> None:
        self._source = Given()
        self._asked = replace(asked, source=self._source)
        self._pipeline = pipeline_of(self._asked).open(Path(), self._asked)

    def __call__(
        self, number: int, names: Sequence[str], data: Sequence[Bytes], settings: str
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


@contextmanager
def cluster(asked: Request, *, workers: int, address: str | None) -> Iterator[Runner]:
    """Workers of a Ray cluster, of this machine unless `address` names one, as what a release is run by.

    Raises MissingExtra, InvalidArgument where nothing answers at the address or sources are of a kind that lies
    in one file.
    """
    kind = pipeline_of(asked)
    if not kind.suffixes:
        raise InvalidArgument("engine", expected=f"local for a {kind.noun}", found="ray")
    make = partial(Recoding, replace(asked, source=None))
    device = str(getattr(asked.model, "device", "cpu"))
    with pool(make, workers=workers, address=address, device=device) as held:
        yield partial(_run, held)


def _run(pool: Pool, task: Task, chunks: Sequence[Sequence[str]]) -> Iterator[list[Done]]:
    """Results in the order of the chunks."""
    calls = (_call(task, number, names) for number, names in enumerate(chunks))
    for (number, _, found), answers in pool.each(calls, lambda chunk: chunk[1][0]):
        yield _taken(task, number, answers) if found is None else found


def _call(
    task: Task, number: int, names: Sequence[str]
) -> tuple[_Chunk, tuple[object, ...] | None]:
    """A chunk, and what a worker is called with, where an earlier run left something to do."""
    found = settled(task, names)
    if found is not None:
        return (number, names, found), None
    data = [bytes_at(task.pipeline.data, name) for name in names]
    return (number, names, None), (number, list(names), data, task.settings)


def _taken(task: Task, number: int, answers: Sequence[Answer]) -> list[Done]:
    """A chunk's results, its files laid down here."""
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
    for one in done:
        if one.temporary is not None:
            sync_file(one.temporary)
    return done


def _laid(task: Task, name: str, data: bytes, one: Done) -> Path:
    """A file that a worker made, written and read back."""
    path = task.places.workroom / name
    path.write_bytes(data)
    if digest(path.read_bytes()) != one.row.sha256:
        reason = "the file read back differs from what was written"
        raise ReleaseError(one.row.source, reason, "check the disk")
    return path
