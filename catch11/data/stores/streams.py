"""Data sets of the library `datasets` in hand, streamed or not: cut into parts, each a table in memory."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from catch11.data.stores.columns import BATCH, picture_column
from catch11.data.stores.frame import Wanted
from catch11.data.stores.hub import datasets
from catch11.data.stores.tables import TableSource, arrow
from catch11.errors import InvalidArgument, ReleaseError

NAME = "the stream"  # in sentences
_ONE = 1  # row at a time: of several, a column that is empty in the first is refused


def is_stream(src: object) -> bool:
    """Whether this is an object of `datasets`; it is not imported for that."""
    return any(one.__module__.partition(".")[0] == "datasets" for one in type(src).__mro__)


class Stream:
    """A data set, `rows` rows a part. Its pictures stay undecoded.

    data: an IterableDataset or Dataset. Raises InvalidArgument for anything else.
    """

    def __init__(self, data: Any, *, rows: int) -> None:
        hub = datasets()
        if rows < 1:
            raise InvalidArgument("rows", expected="at least 1", found=rows)
        if isinstance(data, hub.Dataset):
            data = _plain(data)
        if not isinstance(data, hub.IterableDataset):
            splits = f" of the splits {', '.join(data)}" if isinstance(data, dict) else ""
            raise InvalidArgument(
                "SRC", expected="an IterableDataset or a Dataset", found=type(data).__name__ + splits,
                remedy="give one split" if splits else "",
            )  # fmt: skip
        self.rows, self._features, self._data = rows, data.features, data.with_format("arrow")
        self._cast, self._embed = hub.table.table_cast, hub.table.embed_table_storage
        self._next = -1
        self._read: Iterator[Any] = iter(())

    def part(self, number: int) -> Any:
        """The Arrow table of a part, None behind the last. What lies before it is skipped, not read, where `datasets`
        can do that. Raises ReleaseError where the stream breaks off."""
        first = number * self.rows
        with _unbroken(first):
            if number != self._next:
                rest = self._data.skip(first) if first else self._data
                self._read = rest.iter(batch_size=_ONE)
            self._next = number + 1
            rows = [self._whole(row) for row in islice(self._read, self.rows)]
            return arrow().concat_tables(rows, promote_options="permissive") if rows else None

    def first(self) -> Any:
        """The first row, as a table, None of a stream without one. Raises ReleaseError."""
        with _unbroken(0):
            row = next(iter(self._data.iter(batch_size=_ONE)), None)
            return None if row is None else self._whole(row)

    def _whole(self, row: Any) -> Any:
        """A row with the features that the stream states, and the bytes of pictures that it only names; one whose file
        cannot be read stays without."""
        if self._features is None:
            return row
        row = self._cast(row.select(list(self._features)), self._features.arrow_schema)
        for place, name in enumerate(row.column_names):
            with suppress(Exception):  # each system that is read from raises its own
                row = row.set_column(place, row.field(place), self._embed(row.select([name]))[name])
        return row


@contextmanager
def _unbroken(first: int) -> Iterator[None]:
    """One sentence, where the stream breaks off while rows from `first` on are read."""
    try:
        yield
    except Exception as error:
        raise ReleaseError(
            NAME, f"it broke off behind row {first} ({type(error).__name__})",
            "the parts before stand; mend it and run the same again",
        ) from error  # fmt: skip


def without_rows() -> InvalidArgument:
    """What is said of a data set that holds nothing."""
    return InvalidArgument("SRC", expected="at least one row", found=f"none in {NAME}")


def _plain(data: Any) -> Any:
    """A Dataset as a stream of all its columns, whatever it shows."""
    if data.format["type"] == "custom":
        raise InvalidArgument(
            "SRC", expected="a data set without a transform, which rows are released before", found="one with",
            remedy="take it off by with_format(None), or apply it by map",
        )  # fmt: skip
    if not len(data):
        raise without_rows()
    return data.with_format(None).to_iterable_dataset()


def part_source(table: Any, wanted: Wanted) -> TableSource:
    """The pictures of a part. Raises InvalidArgument where no column, or no one column, holds them."""
    return TableSource(
        picture_column(table.schema, wanted.column, NAME), table.schema, len(table),
        lambda name: lambda row: table.column(name)[row].as_py(),
        lambda: (table.slice(start, BATCH) for start in range(0, len(table), BATCH)),
    )  # fmt: skip
