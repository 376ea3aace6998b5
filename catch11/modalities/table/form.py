"""csv, tsv, parquet: a table again, some of its columns replaced, some of its rows left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from catch11.canvas.frame import Canvas
from catch11.data.tables import Table, decode_table, encode_table
from catch11.errors import UnreadableTable
from catch11.releases.form import Form


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """A table to be written. names: the columns that are replaced, by values, a row for each of the
    table's. whole: which of them hold whole numbers. left_out: rows, with their reasons."""

    table: Table
    names: Sequence[str]
    values: Float[np.ndarray, "row column"]
    whole: Sequence[bool]
    left_out: Mapping[int, str]

    @property
    def kept(self) -> Bool[np.ndarray, " row"]:
        """Which rows are written."""
        return np.array([row not in self.left_out for row in range(len(self.values))])

    @property
    def cells(self) -> Float[np.ndarray, "kept column"]:
        """What the replaced columns hold in the file."""
        values = self.values[self.kept]
        return np.where(self.whole, values.round(), values)


class TableForm(Form[Sheet, Table]):
    """A file with a table."""

    def __init__(self, name: str) -> None:
        self.name, self.suffix = name, f".{name}"

    def encode(self, meant: Sheet, canvas: Canvas) -> bytes:
        return encode_table(
            meant.table, meant.names, meant.values, kept=meant.kept, whole=meant.whole
        )

    def decode(self, data: bytes, canvas: Canvas) -> Table:
        try:
            return decode_table(data, path=f"released{self.suffix}")
        except UnreadableTable as error:
            raise ValueError(error.reason) from None

    def same(self, meant: Sheet, read: Table) -> bool:
        """The same columns, and in those that were replaced the same numbers."""
        if read.names != meant.table.names:
            return False
        values, gaps = read.numbers(meant.names)
        return not gaps and np.array_equal(values, meant.cells)


CSV, TSV, PARQUET = TableForm("csv"), TableForm("tsv"), TableForm("parquet")
