"""Committing finished work: names, the ledger, the files, the manifest, in that order.

Of each chunk of sources: the finished files lie in the workroom, on disk; the ledger gets its
lines; the files get their names; the manifest gets its lines. Each step is durable before the next
begins, so a stop at any moment leaves nothing listed that is not there, and no file visible that
the ledger does not know. A run that resumes ends with the same bytes as one that never stopped.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catch11.releases.durable import sync_folder
from catch11.releases.ledger import Ledger, Outcome, Row
from catch11.releases.manifest import Entry, ManifestWriter
from catch11.releases.names import Names
from catch11.releases.places import Places
from catch11.releases.task import Done

_REASONS = 100  # that are told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason why sources, or rows of one, are not in the release; first: the first of `count`."""

    outcome: Outcome
    reason: str
    first: str
    count: int = 1


class Committer:
    """Takes chunks in order, from one thread. count: what became of the sources so far. content:
    what is counted of the content of those that were worked on. distances: of the released."""

    def __init__(
        self, where: Places, *, ledger: Ledger, manifest: ManifestWriter, names: Names
    ) -> None:
        self._where, self._ledger = where, ledger
        self._manifest, self._names = manifest, names
        self._known: dict[str, str] = {}
        self.count: Counter[str] = Counter()
        self.content: Counter[str] = Counter()
        self.distances: list[float] = []
        self._refused: dict[tuple[str, str], Refusal] = {}

    def remember(self, given: Iterable[tuple[str, str]]) -> None:
        """Keep the names (source, file) of earlier runs, where this release holds them."""
        for source, file in given:
            held = file in self._manifest.entries or (self._where.release / file).is_file()
            if held and self._names.claim(file, source):
                self._known[source] = file

    def commit(self, chunk: Sequence[Done]) -> None:
        """Make the outcome of a chunk durable and visible. Raises OSError; see the module."""
        rows, entries, moves = [], [], []
        for item in chunk:
            row = item.row
            if row.outcome == "released" and not item.reused:
                name = self._known.get(row.source) or self._names.choose(row.source)
                row = replace(row, file=name)
            if row.outcome == "released":
                entry = Entry(file=row.file, sha256=row.sha256, agreement=row.agreement)
                entries.append(entry)
                self.distances += [] if row.distance is None else [row.distance]
            if item.temporary is not None:
                moves.append((item.temporary, self._where.release / row.file))
            # Parts first: a ledger that was cut short never knows an item and not what it is made of.
            rows += [*item.parts, row]
            self._note(item.parts or [row])
            self.content.update(item.counts)
            reused = item.reused and row.outcome == "released"
            self.count["reused" if reused else row.outcome] += 1
        self._ledger.add(rows)
        self._move(moves)
        self._manifest.add(entries)

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Why sources and rows of tables are not there, the most frequent reasons first."""
        return tuple(sorted(self._refused.values(), key=lambda one: -one.count))

    def _note(self, rows: Iterable[Row]) -> None:
        for row in rows:
            place = (row.outcome, row.reason)
            if len(self._refused) >= _REASONS and place not in self._refused:
                place = (row.outcome, "other reasons")  # some hold a number
            if row.outcome != "released":
                new = Refusal(outcome=row.outcome, reason=place[1], first=row.source, count=0)
                known = self._refused.get(place, new)
                self._refused[place] = replace(known, count=known.count + 1)

    def _move(self, moves: list[tuple[Path, Path]]) -> None:
        for start, end in moves:
            end.parent.mkdir(parents=True, exist_ok=True)
            os.replace(start, end)
        for folder in {end.parent for _, end in moves}:
            sync_folder(folder)
