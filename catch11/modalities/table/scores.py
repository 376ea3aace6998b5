"""Released tables beside their sources: rows as a model reads them, their classes, and the models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from catch11.data.labels import Classes
from catch11.data.tables import Table, read_table
from catch11.errors import InvalidArgument, ReleaseError
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.release import part_name
from catch11.releases.ledger import Row, read_ledger


def rows_of(table: Table, model: TableModel) -> Tensor:
    """A table as the model reads it, standardised. Raises InvalidArgument."""
    try:
        values, gaps = table.numbers(model.names)
    except ValueError as error:
        raise InvalidArgument(
            f"model {model.name}", expected="its columns", found=str(error)
        ) from None
    if gaps:
        row, why = next(iter(sorted(gaps.items())))
        raise InvalidArgument("rows", expected="numbers", found=f"row {row + 1}: {why}")
    return model.standardise(values)


def classes_of(table: Table, target: str | None, labels: Sequence[str]) -> list[int | None]:
    """The class of each row, None where the column names none. Raises InvalidArgument."""
    if target is None:
        return [None] * len(table)
    if target not in table.names:
        raise InvalidArgument("--target", expected="a column of the release", found=target)
    place = table.names.index(target)
    known = Classes(labels)
    found = [known.index(str(cell)) for cell in table.column(place)]
    if all(value is None for value in found):
        raise InvalidArgument("--target", expected=f"classes such as {labels[0]}", found=target)
    return found


def clean_table(source: Path, file: str, table: Table, rows: Mapping[str, Row]) -> Table:
    """The source of a released file, without the rows that were left out of it."""
    names = {row.file: row.source for row in rows.values() if row.file}
    name = names.get(file, file)
    found = read_table(source if source.is_file() else source / name)
    out = {name for name, row in rows.items() if row.outcome == "withheld"}
    kept = [index for index in range(len(found)) if part_name(name, index) not in out]
    if found.arrow is not None:
        found = replace(found, arrow=found.arrow.take(kept))
    else:
        found = replace(found, cells=tuple(found.cells[index] for index in kept))
    if len(found) != len(table):
        raise ReleaseError(
            file, f"it has {len(table)} rows and its source {len(found)}", "give its ledger"
        )
    return found


def rows_by_source(dst: Path, ledger: Path | None) -> dict[str, Row]:
    """The ledger's rows by their source."""
    path = Path(f"{dst}.ledger.jsonl") if ledger is None else ledger
    if ledger is None and not path.is_file():
        return {}
    return {row.source: row for row in read_ledger(path)}
