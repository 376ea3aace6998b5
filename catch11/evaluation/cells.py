"""A resumable matrix: many cells, each worked out once, its records kept as JSON lines."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record, read_records, write_records

Value = str | int | float | bool | None
Work = Callable[["Cell"], Sequence[Record]]
Progress = Callable[[int, int], None]
_MARK = "cell"  # the setting that ties a record to its cell
_PLACE = "cell records"  # "2 of 4"; the number alone in files of earlier versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One place of a matrix: a name for people, and everything that decides its numbers."""

    name: str
    settings: Mapping[str, Value]

    @property
    def id(self) -> str:
        """Hash of name and settings: another setting is another cell."""
        text = json.dumps([self.name, sorted(self.settings.items())], allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_cells(
    cells: Iterable[Cell], path: str | Path, work: Work, *, progress: Progress | None = None
) -> tuple[Record, ...]:
    """Work out the cells that the file does not hold yet and append their records, a cell at once.

    A stop loses the cell at hand and no other; a cell cut short is worked out again whole, however
    often it was cut. Returns the records of these cells, in their order. Raises InvalidArgument for two cells
    alike, for a cell without records, and for a file of other lines.
    """
    rows = tuple(cells)
    if len({cell.id for cell in rows}) < len(rows):
        raise InvalidArgument("cells", expected="each cell once", found="two alike")
    path = Path(path)
    if path.exists():
        _trim(path)
    done = _held(path)
    for number, cell in enumerate(rows):
        if progress is not None:
            progress(number, len(rows))
        if cell.id in done:
            continue
        made = tuple(work(cell))
        if not made:
            raise InvalidArgument(f"cell {cell.name}", expected="records", found="none")
        marked = [_marked(one, cell, place, len(made)) for place, one in enumerate(made, start=1)]
        write_records(path, marked)
        done[cell.id] = marked
    if progress is not None:
        progress(len(rows), len(rows))
    return tuple(record for cell in rows for record in done[cell.id])


def worked_out(path: Path) -> frozenset[str]:
    """Ids of the cells that a file holds whole."""
    return frozenset(_held(path))


def _marked(record: Record, cell: Cell, place: int, count: int) -> Record:
    mark = {_MARK: cell.id, "cell name": cell.name, _PLACE: f"{place} of {count}", **cell.settings}
    return replace(record, settings={**record.settings, **mark})


def _held(path: Path) -> dict[str, list[Record]]:
    """Records by cell, of the cells that are whole: the last whole run of each.

    A run is whole where its records stand in order, from 1 of n to n of n; one that was cut short
    is no part of the next.
    """
    runs: dict[str, list[Record]] = {}
    whole: dict[str, list[Record]] = {}
    unplaced: dict[str, list[Record]] = {}
    for record in read_records(path) if path.exists() else ():
        name, mark = str(record.settings.get(_MARK)), record.settings.get(_PLACE)
        if isinstance(mark, int):
            unplaced.setdefault(name, []).append(record)
            continue
        run = runs.setdefault(name, [])
        place, _, count = str(mark).partition(" of ")
        before = f"{len(run)} of {count}"
        if place != str(len(run) + 1) or (run and run[-1].settings[_PLACE] != before):
            run.clear()
        if place == str(len(run) + 1):
            run.append(record)
        if run and str(len(run)) == count:
            whole[name] = list(run)
    return _unplaced(unplaced) | whole


def _unplaced(held: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
    """Whole cells of files whose records say how many they are and not which: the last so many,
    unless one of them stands there twice, as after two runs that were cut short."""
    whole = {}
    for name, records in held.items():
        count = int(records[-1].settings[_PLACE])
        last = records[-count:]
        if 0 < count == len(last) == len({_what(record) for record in last}):
            whole[name] = last
    return whole


def _what(record: Record) -> str:
    """What a record is of, its numbers apart."""
    settings = sorted(record.settings.items())
    return repr(
        (record.model, record.role, record.condition, record.metric, record.attack, settings)
    )


def _trim(path: Path) -> None:
    """Take off a last line that a stop cut short, so that the next record begins a line."""
    data = path.read_bytes()
    kept = data[: data.rfind(b"\n") + 1]
    if len(kept) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(kept))
