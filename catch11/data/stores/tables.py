"""Parquet and Arrow with pictures in a column: rows in, the same rows out, their order and other columns kept."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from catch11.data.stores.columns import BATCH, Cells, Cursor, bytes_of, picture_column, replaced
from catch11.data.stores.frame import Beside, Held, Made, Source, Store, Wanted, damaged
from catch11.errors import MissingExtra, UnreadableSource

_LITTLE = {"buffer_size": 1 << 20, "pre_buffer": False}  # of a row group, not all of it
_GROUP = 32 << 20  # bytes of a row group as it is written, about


class TableSource(Cells):
    """The pictures of a table. cells: makes what reads a column's cells; tables: its rows."""

    def __init__(
        self,
        column: str,
        schema: Any,
        count: int,
        cells: Callable[[str], Callable[[int], Any]],
        tables: Callable[[], Iterator[Any]],
    ) -> None:
        super().__init__(count, cells(column))
        self.column, self.schema, self._make, self._tables = column, schema, cells, tables

    def other(self, column: str) -> Callable[[int], Any]:
        if column not in self.schema.names:
            raise KeyError(column)
        return self._make(column)

    def tables(self) -> Iterator[Any]:
        return self._tables()


class ByDigest(Beside):
    """Files of a packed table, which have no names there: found by their hashes, in one pass."""

    def __init__(self, path: Path, opened: Callable[[Path, Wanted], Cells]) -> None:
        super().__init__(path)
        self._opened = opened
        self._others: dict[str, Callable[[int], Any]] = {}

    @cached_property
    def _cells(self) -> Cells:
        return self._opened(self.path, Wanted(suffixes=(), column=self.column))

    @cached_property
    def _rows(self) -> dict[str, int]:
        cells = self._cells
        rows: dict[str, int] = {}
        for row in range(len(cells.names)):
            data = bytes_of(cells.cell(row))
            if data:
                rows.setdefault(hashlib.sha256(data).hexdigest(), row)
        return rows

    def data(self, file: str, sha256: str) -> bytes:
        return self._cells.data(self._cells.names[self._row(file, sha256)])

    def beside(self, file: str, sha256: str, column: str) -> Any:
        if column not in self._others:
            self._others[column] = self._cells.other(column)
        return self._others[column](self._row(file, sha256))

    def _row(self, file: str, sha256: str) -> int:
        if sha256 not in self._rows:
            raise UnreadableSource(file, "no row holds its bytes")
        return self._rows[sha256]


class _Table(Store):
    keeps = "rows"

    @abstractmethod
    def open(self, path: Path, wanted: Wanted) -> TableSource: ...

    @abstractmethod
    def _writer(self, target: Path, schema: Any) -> Any:
        """A writer with `write_table`."""

    def pack(self, source: Source, made: Made, target: Path) -> None:
        assert isinstance(source, Cells)
        pa = arrow()
        first, held, size = 0, [], 0
        with self._writer(target, source.schema) as writer:
            for table in source.tables():
                new = replaced(table, source.column, first, made)
                first += len(table)
                held.append(new)
                size += new.nbytes
                if size > _GROUP:
                    writer.write_table(pa.concat_tables(held))
                    held, size = [], 0
            if held:
                writer.write_table(pa.concat_tables(held))

    def held(self, path: Path) -> Held:
        return ByDigest(path, self.open)


class Parquet(_Table):
    """A Parquet file."""

    name, suffixes = "parquet", (".parquet",)

    def open(self, path: Path, wanted: Wanted) -> TableSource:
        pa, parquet = arrow(), _parquet()
        try:
            file = parquet.ParquetFile(path, **_LITTLE)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(path, "Parquet file", error) from None
        column = picture_column(file.schema_arrow, wanted.column, path.name)
        facts = file.metadata
        groups = [facts.row_group(i).num_rows for i in range(facts.num_row_groups)]

        def read(name: str, group: int) -> Iterator[Any]:
            batches = file.iter_batches(BATCH, row_groups=[group], columns=[name])
            return (batch.column(name) for batch in batches)

        def tables() -> Iterator[Any]:
            for batch in parquet.ParquetFile(path, **_LITTLE).iter_batches(BATCH):
                yield pa.Table.from_batches([batch])

        return TableSource(
            column,
            file.schema_arrow,
            facts.num_rows,
            lambda n: Cursor(groups, partial(read, n)),
            tables,
        )

    def _writer(self, target: Path, schema: Any) -> Any:
        return _parquet().ParquetWriter(target, schema, write_batch_size=BATCH)


class Arrow(_Table):
    """An Arrow IPC file, also called Feather, or stream; mapped, not loaded. Written as a file."""

    name = "arrow"
    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather")

    def open(self, path: Path, wanted: Wanted) -> TableSource:
        pa = arrow()
        try:
            held = pa.memory_map(str(path))
            try:
                file = pa.ipc.open_file(held)
                batches = [file.get_batch(i).num_rows for i in range(file.num_record_batches)]
                read_batch, schema = file.get_batch, file.schema
            except pa.ArrowInvalid:
                held.seek(0)
                table = pa.ipc.open_stream(held).read_all()
                parts = table.to_batches()
                batches, read_batch, schema = (
                    [len(p) for p in parts],
                    parts.__getitem__,
                    table.schema,
                )
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(path, "Arrow file", error) from None
        column = picture_column(schema, wanted.column, path.name)

        def read(name: str, group: int) -> Iterator[Any]:
            cells = read_batch(group).column(name)
            for start in range(0, len(cells), BATCH):
                yield cells.slice(start, BATCH)

        def tables() -> Iterator[Any]:
            for index in range(len(batches)):
                whole = pa.Table.from_batches([read_batch(index)])
                for start in range(0, len(whole), BATCH):
                    yield whole.slice(start, BATCH)

        return TableSource(
            column, schema, sum(batches), lambda n: Cursor(batches, partial(read, n)), tables
        )

    def _writer(self, target: Path, schema: Any) -> Any:
        return arrow().ipc.new_file(str(target), schema)


def arrow() -> Any:
    """pyarrow. Raises MissingExtra."""
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise MissingExtra("pyarrow", "tables") from None
    return pyarrow


def _parquet() -> Any:
    import pyarrow.parquet

    return pyarrow.parquet
