"""A resumable matrix: many cells, each worked out once, its records kept as JSON lines."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catch11.errors import InvalidArgument
from catch11.record import Record, read_records, write_records

Value = str | int | float | bool | None
Work = Callable[["Cell"], Sequence[Record]]
Progress = Callable[[int, int], None]
_MARK = "cell"  # the setting that ties a record to its cell


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

    A stop loses the cell at hand and no other; of a cell cut short, what was written is worked out
    again. Returns the records of these cells, in their order. Raises InvalidArgument for two cells
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
        marked = [_marked(record, cell, len(made)) for record in made]
        write_records(path, marked)
        done[cell.id] = marked
    if progress is not None:
        progress(len(rows), len(rows))
    return tuple(record for cell in rows for record in done[cell.id])


def _marked(record: Record, cell: Cell, count: int) -> Record:
    mark = {_MARK: cell.id, "cell name": cell.name, "cell records": count, **cell.settings}
    return replace(record, settings={**record.settings, **mark})


def _held(path: Path) -> dict[str, list[Record]]:
    """Records by cell, of the cells that are whole: the last of them as written last."""
    held: dict[str, list[Record]] = {}
    for record in read_records(path) if path.exists() else ():
        held.setdefault(str(record.settings.get(_MARK)), []).append(record)
    whole = {}
    for name, records in held.items():
        count = int(records[0].settings.get("cell records", 0))
        if 0 < count <= len(records):
            whole[name] = records[-count:]
    return whole


def _trim(path: Path) -> None:
    """Take off a last line that a stop cut short, so that the next record begins a line."""
    data = path.read_bytes()
    kept = data[: data.rfind(b"\n") + 1]
    if len(kept) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(kept))
