"""A column of pictures among others: which it is, its cells by row, and the same with other pictures in it."""

import json
import posixpath
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from catch11.data.stores.frame import Made, Source, too_large
from catch11.errors import InvalidArgument, UnreadableSource

BATCH = 32  # rows read at once
_BATCHES = 8  # that are kept: workers ask for rows that lie close
_HUB = b"huggingface"  # in the metadata of a schema: what the columns are
_MEDIA = ("Image", "Audio")


def picture_column(schema: Any, wanted: str, where: str) -> str:
    """The column of pictures, or sounds, of an Arrow schema: the one named, else the only one. Raises
    InvalidArgument."""
    found = [field.name for field in schema if _holds(field.type)]
    stated = [name for name in found if name in _stated(schema)]
    structs = [field.name for field in schema if _is_struct(field.type)]
    choice = [wanted] if wanted else stated or structs or found
    if len(choice) == 1 and choice[0] in found and schema.names.count(choice[0]) == 1:
        return choice[0]
    if wanted:
        expected = f"a column with bytes in it: {', '.join(found) or 'there is none'}"
        raise InvalidArgument("column", expected=expected, found=f"{wanted} in {where}")
    columns = ", ".join(field.name for field in schema)
    raise InvalidArgument(
        "column", expected="one column of pictures, or the name of one (--column)",
        found=f"{' and '.join(choice) if choice else f'none among {columns}'} in {where}",
    )  # fmt: skip


def row_name(row: int) -> str:
    """What a row is called: its number, so that names sort as rows do."""
    return f"{row:09}"


def bytes_of(cell: Any) -> bytes | None:
    """The picture in a cell: bytes, or a struct that holds them."""
    value = cell.get("bytes") if isinstance(cell, dict) else cell
    return value if isinstance(value, bytes) else None


class Cells(Source):
    """The pictures of a column, a name a row. cell: what stands in a row. schema: of the table."""

    ordered: ClassVar[bool] = True
    schema: Any

    def __init__(self, count: int, cell: Callable[[int], Any]) -> None:
        self.names = tuple(map(row_name, range(count)))
        self.cell = cell

    def other(self, column: str) -> Callable[[int], Any]:
        """The cells of another column, by row. Raises KeyError."""
        raise KeyError(column)

    def tables(self) -> Iterator[Any]:
        """All its rows, a few at a time, as Arrow tables."""
        raise NotImplementedError

    def data(self, name: str) -> bytes:
        try:
            data = bytes_of(self.cell(int(name)))
        except (OSError, ValueError, LookupError) as error:
            raise UnreadableSource(name, f"its row cannot be read ({error})".rstrip(".")) from None
        if not data:
            raise UnreadableSource(name, "the row has no picture")
        too_large(name, len(data))
        return data


class Cursor:
    """Cells by row, read in order and in flat memory; going back starts over at its group.

    groups: rows of each part of the file that can be read by itself. read: the arrays of such a part.
    """

    def __init__(self, groups: Sequence[int], read: Callable[[int], Iterator[Any]]) -> None:
        self._starts = [0, *accumulate(groups)]
        self._read = read
        self._lock = threading.Lock()
        self._cache: deque[tuple[int, Any]] = deque(maxlen=_BATCHES)
        self._arrays: Iterator[Any] = iter(())
        self._group, self._next = -1, 0

    def __call__(self, row: int) -> Any:
        with self._lock:
            for start, array in self._cache:
                if start <= row < start + len(array):
                    return array[row - start].as_py()
            group = bisect_right(self._starts, row) - 1
            if group != self._group or row < self._next:
                self._group, self._next = group, self._starts[group]
                self._arrays = self._read(group)
            for array in self._arrays:
                start, self._next = self._next, self._next + len(array)
                self._cache.append((start, array))
                if row < self._next:
                    return array[row - start].as_py()
        raise ValueError(f"there is no row {row}")


def replaced(table: Any, column: str, first: int, made: Made) -> Any:
    """The rows of an Arrow table that have a file, with it in the column; `first` is the table's first row."""
    import pyarrow as pa

    kept = [row for row in range(len(table)) if row_name(first + row) in made.files]
    if len(kept) < len(table):  # not by take, which some types lack
        table = pa.concat_tables([table.slice(0, 0), *(table.slice(row, 1) for row in kept)])
    table = table.combine_chunks()
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    cells = [
        _cell(old, made.files[row_name(first + row)], made)
        for row, old in zip(kept, table.column(place).to_pylist(), strict=True)
    ]
    return table.set_column(place, field, pa.array(cells, field.type))


def _cell(old: Any, file: str, made: Made) -> Any:
    data = (made.folder / file).read_bytes()
    if not isinstance(old, dict):
        return data
    new = {**old, "bytes": data}
    if isinstance(path := old.get("path"), str) and path:
        new["path"] = file if made.opaque else posixpath.splitext(path)[0] + made.suffix
    return new


def _holds(kind: Any) -> bool:
    import pyarrow.types as types

    bytes_ = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(one(kind) for one in bytes_) or _is_struct(kind)


def _is_struct(kind: Any) -> bool:
    import pyarrow.types as types

    place = kind.get_field_index("bytes") if types.is_struct(kind) else -1
    return (
        place >= 0
        and not types.is_struct(kind.field(place).type)
        and _holds(kind.field(place).type)
    )


def _stated(schema: Any) -> Collection[str]:
    """Columns that a hub's own metadata call pictures or sounds."""
    try:
        features = json.loads((schema.metadata or {})[_HUB])["info"]["features"]
        return {name for name, one in features.items() if one.get("_type") in _MEDIA}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return ()
