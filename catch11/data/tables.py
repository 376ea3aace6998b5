"""Tables from outside, treated as hostile: CSV and TSV files, and Parquet where pyarrow is installed.

Stated choices: the first line of a CSV names the columns; the file is UTF-8, cells are separated by
commas, semicolons or tabs, whichever the first line has most of; everything but the model's columns
is written back as it was read, in the same order. A row with an empty, NaN, infinite or wordy cell
in a column the model reads is withheld, for no noise hides a gap; a file that lacks such a column is
refused.
"""

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from catch11.data.pictures import read_source
from catch11.data.rows import csv_rows
from catch11.errors import UnreadablePicture, UnreadableTable
from catch11.lab import needed

SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
_MOST = 1 << 24  # cells of a file
_UNPACKED = 1 << 30  # bytes of a Parquet file
_ARROW = ("pyarrow", "pyarrow.parquet")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A table as it was read. names: of the columns, in order. cells: of a CSV, a list of texts a
    row; arrow: of a Parquet file, the pyarrow table."""

    names: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...] = ()
    arrow: Any = None
    separator: str = ","

    def __len__(self) -> int:
        return len(self.cells) if self.arrow is None else int(self.arrow.num_rows)

    def numbers(
        self, wanted: Sequence[str]
    ) -> tuple[Float[np.ndarray, "row column"], Mapping[int, str]]:
        """The wanted columns as float64, and the reason of every row that is not all numbers.

        Raises ValueError where a column is missing or stands there twice.
        """
        for name in wanted:
            if self.names.count(name) != 1:
                count = self.names.count(name)
                what = "is missing" if not count else f"stands there {count} times"
                raise ValueError(f"the column {name!r} {what}")
        columns = [self.column(self.names.index(name)) for name in wanted]
        values = np.full((len(self), len(wanted)), np.nan)
        reasons: dict[int, str] = {}
        for place, (name, column) in enumerate(zip(wanted, columns, strict=True)):
            for row, cell in enumerate(column):
                number = _number(cell)
                if math.isfinite(number):
                    values[row, place] = number
                else:
                    reasons.setdefault(row, f"column {name!r} holds {_shown(cell)}")
        return values, reasons

    def column(self, place: int) -> Sequence[object]:
        """The cells of one column, as they were read."""
        if self.arrow is None:
            return [row[place] for row in self.cells]
        found: list[object] = self.arrow.column(place).to_pylist()
        return found


def read_table(path: str | os.PathLike[str]) -> Table:
    """The table in a file. Raises UnreadableTable, whose `reason` is one clause, and MissingExtra."""
    try:
        data = read_source(path)
    except UnreadablePicture as error:
        raise UnreadableTable(path, error.reason) from None
    return decode_table(data, path=path)


def decode_table(data: bytes, *, path: str | os.PathLike[str]) -> Table:
    """As `read_table`, of bytes; the suffix of `path` says whether they are Parquet."""
    try:
        if Path(path).suffix.lower() == ".parquet":
            return _parquet(data)
        return _csv(data)
    except ValueError as error:
        raise UnreadableTable(path, " ".join(str(error).split())[:160].rstrip(".")) from None


def encode_table(
    table: Table,
    wanted: Sequence[str],
    values: Float[np.ndarray, "row column"],
    *,
    kept: Bool[np.ndarray, " row"],
    whole: Sequence[bool],
) -> bytes:
    """The table with the wanted columns replaced, of the rows that are kept.

    values: one row for each of the table's. whole: columns that are written as whole numbers.
    """
    places = {table.names.index(name): index for index, name in enumerate(wanted)}
    if table.arrow is not None:
        return _parquet_bytes(table, places, values, kept, whole)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=table.separator, lineterminator="\n")
    writer.writerow(table.names)
    for row, (cells, keep) in enumerate(zip(table.cells, kept, strict=True)):
        if keep:
            writer.writerow(
                _written(values[row, places[place]], whole[places[place]])
                if place in places
                else cell
                for place, cell in enumerate(cells)
            )
    return text.getvalue().encode()


def _written(value: float, whole: bool) -> str:
    return str(round(value)) if whole else repr(float(value))


def _csv(data: bytes) -> Table:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if "\0" in text:
        raise ValueError("it is not a text file")
    first = next(io.StringIO(text, newline=None), "")
    separator = max(",;\t", key=first.count)
    rows = csv_rows(text, separator=separator)
    if not rows:
        raise ValueError("it is empty")
    names, body = rows[0], rows[1:]
    if not body:
        raise ValueError("it has no rows below its first line")
    if len(names) * len(body) > _MOST:
        raise ValueError(f"it has more than {_MOST} cells")
    for line, row in enumerate(body, start=2):
        if len(row) != len(names):
            raise ValueError(f"row {line} has {len(row)} cells, and {len(names)} columns are named")
    return Table(names=names, cells=tuple(body), separator=separator)


def _parquet(data: bytes) -> Table:
    arrow, parquet = (needed(name, "tables") for name in _ARROW)
    try:
        stated = parquet.ParquetFile(io.BytesIO(data)).metadata
        size = sum(
            stated.row_group(group).total_byte_size for group in range(stated.num_row_groups)
        )
        if stated.num_rows * stated.num_columns > _MOST or size > _UNPACKED:
            raise ValueError(
                f"it states more than {_MOST} cells, or {_UNPACKED >> 20} MiB unpacked"
            )
        found = parquet.read_table(io.BytesIO(data))
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"it is no Parquet file ({str(error)[:80]})") from None
    if not found.num_rows or not found.num_columns:
        raise ValueError("it has no rows")
    if found.num_rows * found.num_columns > _MOST:
        raise ValueError(f"it has more than {_MOST} cells")
    return Table(names=tuple(found.column_names), arrow=found)


def _parquet_bytes(
    table: Table, places: Mapping[int, int], values: np.ndarray, kept: np.ndarray,
    whole: Sequence[bool],
) -> bytes:  # fmt: skip
    arrow, parquet = (needed(name, "tables") for name in _ARROW)
    made = table.arrow
    for place, index in places.items():
        column, kind = values[:, index], made.schema.field(place).type
        if whole[index]:
            rounded = [round(v) if math.isfinite(v) else None for v in column]
            fresh = arrow.array(rounded, type=arrow.int64())
            if arrow.types.is_integer(kind):
                with suppress(arrow.ArrowInvalid):  # noise may leave the range of a narrow type
                    fresh = fresh.cast(kind)
        else:
            fresh = arrow.array(column, type=arrow.float64())
        made = made.set_column(place, made.column_names[place], fresh)
    made = made.filter(arrow.array(kept.tolist()))
    stream = io.BytesIO()
    parquet.write_table(made.replace_schema_metadata(_metadata(table.arrow, made)), stream)
    return stream.getvalue()


def _metadata(read: Any, made: Any) -> dict[bytes, bytes]:
    """What was written beside a Parquet table; of columns whose type changed pandas' own notes say
    the new one, for it would refuse to read them as what they no longer are."""
    facts = dict(read.schema.metadata or {})
    pairs = zip(read.schema, made.schema, strict=True)
    changed = {old.name: new.type for old, new in pairs if old.type != new.type}
    try:
        pandas = json.loads(facts.pop(b"pandas"))
        for one in pandas["columns"]:
            if (name := one.get("field_name", one.get("name"))) in changed:
                kind = changed[name].to_pandas_dtype().__name__
                one.update(pandas_type=kind, numpy_type=kind, metadata=None)
        facts[b"pandas"] = json.dumps(pandas).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass  # none, or none that pandas reads
    return facts


def _number(cell: object) -> float:
    """A cell as a number; NaN for whatever is none. A flag is no number."""
    if isinstance(cell, bool) or cell is None:
        return math.nan
    if isinstance(cell, str) and "_" in cell:
        return math.nan  # Python's own digit groups, which no other reader takes
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _shown(cell: object) -> str:
    text = "" if cell is None else str(cell).strip()
    return f"{text[:20]!r}, which is no number" if text else "nothing"
