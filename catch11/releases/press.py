"""Press: the release engine held open, for pictures and sounds that come a few at a time.

What `release` does once a run is done once here: the model is held against the key, the recoder made, the
ledger read. A file is what `release` makes of the same source, and its line in the ledger is durable
before it is handed out. Nothing else is kept, nor put on the disk for good.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.selection import batches
from catch11.data.stores.frame import Source
from catch11.keys.key import Key
from catch11.kinds import fetched, kind_of
from catch11.recoding.frame import Recoder
from catch11.recoding.threads import torch_threads
from catch11.releases.engine import header, in_threads, settings_id
from catch11.releases.ledger import Blank, Ledger, Marks, Row
from catch11.releases.lines import Lines, Sheet
from catch11.releases.manifest import NAME, Entry, ManifestWriter
from catch11.releases.names import Names, Naming
from catch11.releases.pipeline import Request, pipeline_of
from catch11.releases.places import Places
from catch11.releases.task import Task

_NOWHERE = Path("a release in memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of one source. data: of the file, None where none is released."""

    row: Row
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A release in memory. files: by their names in it, in the list's order. named: which file is of
    which source. manifest: its signed list."""

    files: Mapping[str, bytes]
    named: Mapping[str, str]
    manifest: bytes


@contextmanager
def open_ledger(path: Path, key: Key | Marks) -> Iterator[Ledger]:
    """A ledger that no other run writes meanwhile. Raises ReleaseError where one does."""
    with Lines(path, mode=0o600) as private:
        yield Ledger(private, key=key, several=True)


class Press:
    """One recoder, its model, and whatever sources come. One caller at a time. Raises KeyMismatch."""

    def __init__(
        self, recoder: Recoder[Any], *, model: Any = None, check: Any = None, workers: int = 1
    ) -> None:
        self._recoder, self._check, self._workers = recoder, check, workers
        self._basket = _Basket()
        asked = Request(recoder=recoder, model=model, check=check, source=self._basket)
        self._pipeline = pipeline_of(asked).open(_NOWHERE, asked)
        self._settings = settings_id(recoder, self._pipeline)

    @staticmethod
    def takes(modality: str) -> bool:
        """Whether there is one for this kind of data: where a source is one picture or sound."""
        return bool(fetched(kind_of(modality).pipeline).suffixes)

    def make(self, sources: Mapping[str, bytes | Path], ledger: Ledger) -> dict[str, Made]:
        """Recode sources, by name.

        A name stands for its content: the same content always comes by the same name. What the ledger
        knows at other settings is withheld. Raises ReleaseError where the disk fails.
        """
        self._basket.held = sources
        made: dict[str, Made] = {}
        with torch_threads(self._recoder.threads), quiet():
            task = self._task(ledger)
            chunks = list(batches(sorted(sources), self._pipeline.batch))
            for done in chain.from_iterable(in_threads(self._workers, task, chunks)):
                made[done.row.source] = Made(row=done.row, data=done.data)
        ledger.add(one.row for one in made.values())
        return made

    def bound(self, made: Mapping[str, Made], names: Naming) -> Bound:
        """What was made, by the names of its sources, as the release that `release` writes of them."""
        key = self._recoder.key
        given = Names(names, key=key, suffix=self._pipeline.form.suffix, sources=made)
        named, files, entries = {}, {}, []
        for source in sorted(made, key=given.order):
            one = made[source]
            if one.data is not None:
                named[source] = file = given.choose(source)
                files[file] = one.data
                entries.append(Entry(file=file, sha256=one.row.sha256, agreement=one.row.agreement))
        sheet = Sheet(Path(NAME))
        facts = header(self._task(Blank(key)), self._recoder, names)
        manifest = ManifestWriter(sheet, key=key, header=facts)
        manifest.add(entries)
        manifest.close()
        return Bound(files=files, named=named, manifest=sheet.data)

    def _task(self, ledger: Ledger) -> Task:
        return Task(
            places=Places(release=_NOWHERE, ledger=_NOWHERE), pipeline=self._pipeline,
            canvas=self._recoder.key.canvas, ledger=ledger, settings=self._settings, check=self._check,
            strict=False, on_disk=False,
        )  # fmt: skip


class _Basket(Source):
    """Whatever files came, by name."""

    def __init__(self) -> None:
        self.held: Mapping[str, bytes | Path] = {}

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        return sorted(self.held)

    def data(self, name: str) -> bytes:
        held = self.held[name]
        return held if isinstance(held, bytes) else held.read_bytes()
