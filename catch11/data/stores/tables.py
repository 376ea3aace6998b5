"""Parquet and Arrow with pictures in a column: rows in, the same rows out, their order and other columns kept."""

import hashlib
import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from catch11.data.stores.columns import BATCH, Cells, Cursor, bytes_of, picture_column, replaced
from catch11.data.stores.frame import Beside, Held, Made, Source, Store, Wanted, clause, damaged
from catch11.errors import Catch11Error, InvalidArgument, MissingExtra, UnreadableSource

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
    """Files of a packed table, which have no names there: found by their hashes, in one pass. Of files that are
    equal each has a row of its own: in the order of their names, which is that of the rows unless names are opaque."""

    def __init__(self, path: Path, opened: Callable[[Path, Wanted], Cells]) -> None:
        super().__init__(path)
        self._opened = opened
        self._others: dict[str, Callable[[int], Any]] = {}

    @cached_property
    def _cells(self) -> Cells:
        return self._opened(self.path, Wanted(suffixes=(), column=self.column))

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        cells = self._cells
        rows: dict[str, list[int]] = {}
        for row in range(len(cells.names)):
            data = bytes_of(cells.cell(row))
            if data:
                rows.setdefault(hashlib.sha256(data).hexdigest(), []).append(row)
        return rows

    @cached_property
    def _places(self) -> dict[str, int]:
        """Which of the rows that hold its bytes is a file's."""
        lines = map(json.loads, self.list().splitlines())
        listed = {one["file"]: one["sha256"] for one in lines if one["kind"] == "file"}
        before: Counter[str] = Counter()
        places = {}
        for file, sha256 in sorted(listed.items()):
            places[file] = before[sha256]
            before[sha256] += 1
        return places

    def data(self, file: str, sha256: str) -> bytes:
        return self._cells.data(self._cells.names[self._row(file, sha256)])

    def beside(self, file: str, sha256: str, column: str) -> Any:
        if column not in self._others:
            self._others[column] = self._cells.other(column)
        return self._others[column](self._row(file, sha256))

    def _row(self, file: str, sha256: str) -> int:
        rows = self._rows.get(sha256, [])
        if len(rows) <= self._places[file]:
            raise UnreadableSource(file, "no row holds its bytes")
        return rows[self._places[file]]


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
        try:
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
        except pa.ArrowException as error:
            raise InvalidArgument(
                "to", expected="a store that can hold every column", found=f"{self.name} ({clause(error)})",
                remedy="arrow holds most, or drop the column",
            ) from None  # fmt: skip

    def held(self, path: Path) -> Held:
        return ByDigest(path, self.open)


class Parquet(_Table):
    """A Parquet file."""

    name, suffixes = "parquet", (".parquet",)

    def open(self, path: Path, wanted: Wanted) -> TableSource:
        pa, parquet = arrow(), _parquet()
        with _whole(path, "Parquet file"):
            file = parquet.ParquetFile(path, **_LITTLE)
        column = picture_column(file.schema_arrow, wanted.column, path.name)
        facts = file.metadata
        groups = [facts.row_group(i).num_rows for i in range(facts.num_row_groups)]

        def read(name: str, group: int) -> Iterator[Any]:
            batches = file.iter_batches(BATCH, row_groups=[group], columns=[name])
            return (batch.column(name) for batch in batches)

        def tables() -> Iterator[Any]:
            batches = parquet.ParquetFile(path, **_LITTLE).iter_batches(BATCH)
            with _whole(path, "Parquet file"):
                for batch in batches:
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
        with _whole(path, "Arrow file"):
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
        column = picture_column(schema, wanted.column, path.name)

        def read(name: str, group: int) -> Iterator[Any]:
            cells = read_batch(group).column(name)
            for start in range(0, len(cells), BATCH):
                yield cells.slice(start, BATCH)

        def tables() -> Iterator[Any]:
            for index in range(len(batches)):
                with _whole(path, "Arrow file"):
                    whole = pa.Table.from_batches([read_batch(index)])
                for start in range(0, len(whole), BATCH):
                    yield whole.slice(start, BATCH)

        return TableSource(
            column, schema, sum(batches), lambda n: Cursor(batches, partial(read, n)), tables
        )

    def _writer(self, target: Path, schema: Any) -> Any:
        return _Growing(target, schema)


class _Growing:
    """Writes an Arrow file, in which the dictionaries of columns may grow from batch to batch, and not change."""

    def __init__(self, target: Path, schema: Any) -> None:
        options = arrow().ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        self._file = arrow().ipc.new_file(str(target), schema, options=options)
        self._grows = any(arrow().types.is_dictionary(one.type) for one in schema)
        self._last = schema.empty_table()

    def __enter__(self) -> "_Growing":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write_table(self, table: Any) -> None:
        if self._grows:
            table = arrow().concat_tables([self._last, table]).unify_dictionaries()
            self._last = table.slice(0, 0)
        self._file.write_table(table)


@contextmanager
def _whole(path: Path, what: str) -> Iterator[None]:
    """Trouble with reading a table, said once. Raises InvalidArgument."""
    try:
        yield
    except (arrow().ArrowException, OSError, ValueError) as error:
        if isinstance(error, Catch11Error):
            raise
        raise damaged(path, what, error) from None


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
