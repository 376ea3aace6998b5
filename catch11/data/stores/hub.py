"""Data sets of the library `datasets`, as `save_to_disk` leaves them: a folder of Arrow files, mapped."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catch11.data.sounds import SUFFIXES as SOUNDS
from catch11.data.stores.columns import BATCH, Cells, bytes_of, replaced
from catch11.data.stores.frame import Held, Made, Source, Store, Wanted, damaged
from catch11.data.stores.tables import ByDigest, arrow
from catch11.errors import InvalidArgument, MissingExtra

LIST_NAME = "manifest.jsonl"
SPLITS = "dataset_dict.json"
MARK = "state.json"
_MARKS = ("dataset_info.json", MARK)
_SAID = (
    "description",
    "citation",
    "homepage",
    "license",
)  # the rest can name where sources came from


class DatasetSource(Cells):
    """The pictures of a data set. column: of its features, the one that holds them."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        hub = datasets()
        try:
            found = hub.load_from_disk(str(path)).with_format(None)
        except Exception as error:  # noqa: BLE001 - Arrow, JSON and the library raise their own
            raise damaged(path, "data set", error) from None
        self.column, self.features = _column(found, wanted.column, path), found.features
        for name, kind in found.features.items():
            if isinstance(kind, hub.Image | hub.Audio):
                found = found.cast_column(name, _undecoded(hub, kind))
        self.data_set = found
        cells = self.data_set.select_columns([self.column])
        super().__init__(len(found), lambda row: cells[row][self.column])

        self.schema = self.features.arrow_schema

    def other(self, column: str) -> Callable[[int], Any]:
        rows = self.data_set.select_columns([column]) if column in self.features else None
        if rows is None:
            raise KeyError(column)
        return lambda row: rows[row][column]

    def tables(self) -> Iterator[Any]:
        for table in self.data_set.with_format("arrow").iter(batch_size=BATCH):
            yield table.cast(self.schema)


class _Folder(ByDigest):
    def list(self) -> bytes:
        return (self.path / LIST_NAME).read_bytes()


class Datasets(Store):
    """A data set on disk."""

    name, keeps, inside = "datasets", "rows", True

    def open(self, path: Path, wanted: Wanted) -> DatasetSource:
        return DatasetSource(path, wanted)

    def pack(self, source: Source, made: Made, target: Path) -> None:
        assert isinstance(source, Cells)
        pa, hub = arrow(), datasets()
        features, said = _described(hub, source, sound=made.suffix in SOUNDS)
        rows = target.with_name(f"{target.name}.rows")
        schema, first = features.arrow_schema, 0
        with pa.ipc.new_stream(str(rows), schema) as writer:
            for table in source.tables():
                new = replaced(table, source.column, first, made)
                writer.write_table(_with_media(pa, new, source.column, schema))
                first += len(table)
        table = hub.table.MemoryMappedTable.from_file(str(rows))
        name = hashlib.sha256(made.list.read_bytes()).hexdigest()[:16]
        info = hub.DatasetInfo(features=features, **said)
        split = source.data_set.split if isinstance(source, DatasetSource) else None
        # A fingerprint of its own would hold the time, and no two runs would end alike.
        made_of = hub.Dataset(table, info=info, split=split, fingerprint=name)
        with _quiet(hub):  # of no shard, which it makes of no row, the library reads nothing
            made_of.save_to_disk(str(target), num_shards=None if len(table) else 1)
        rows.unlink()
        shutil.copyfile(made.list, target / LIST_NAME)

    def held(self, path: Path) -> Held:
        return _Folder(path, self.open)


def is_data_set(path: Path) -> bool:
    """Whether a folder is what `save_to_disk` left of one data set."""
    return all((path / mark).is_file() for mark in _MARKS)


def _described(hub: Any, source: Cells, *, sound: bool) -> tuple[Any, dict[str, Any]]:
    """Features of what is written, and what is said of it."""
    if isinstance(source, DatasetSource):
        said = {name: getattr(source.data_set.info, name) for name in _SAID}
        return source.features, said
    features = hub.Features.from_arrow_schema(source.schema)
    if not isinstance(features[source.column], hub.Image | hub.Audio):
        features[source.column] = hub.Audio() if sound else hub.Image()
    return features, {}


def _with_media(pa: Any, table: Any, column: str, schema: Any) -> Any:
    """The same rows under the schema of features, whose pictures are structs of bytes and path."""
    place, field = table.schema.get_field_index(column), schema.field(column)
    cells = [
        {"bytes": bytes_of(cell), "path": cell.get("path") if isinstance(cell, dict) else None}
        for cell in table.column(place).to_pylist()
    ]
    return table.set_column(place, field, pa.array(cells, field.type)).cast(schema)


def datasets() -> Any:
    """The library. Raises MissingExtra."""
    try:
        import datasets as hub
    except ImportError:
        raise MissingExtra("datasets", "datasets") from None
    return hub


def _undecoded(hub: Any, kind: Any) -> Any:
    """The same feature, whose cells stay the bytes that they are."""
    if isinstance(kind, hub.Image):
        return hub.Image(mode=kind.mode, decode=False)
    return hub.Audio(sampling_rate=kind.sampling_rate, decode=False)


@contextmanager
def _quiet(hub: Any) -> Iterator[None]:
    """Without the library's own progress bars."""
    shown = not hub.are_progress_bars_disabled()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            hub.enable_progress_bars()


def _column(found: Any, wanted: str, path: Path) -> str:
    if not hasattr(found, "features"):
        raise InvalidArgument(
            "SRC", expected="one data set", found=f"several splits in {path.name}"
        )
    media = [
        name for name, one in found.features.items() if type(one).__name__ in ("Image", "Audio")
    ]
    if wanted in media or (not wanted and len(media) == 1):
        return wanted or media[0]
    columns = ", ".join(f"{name} ({type(one).__name__})" for name, one in found.features.items())
    raise InvalidArgument(
        "column", expected="one Image or Audio column, or the name of one (--column)",
        found=f"{wanted or ' and '.join(media) or 'none'} among {columns} in {path.name}",
    )  # fmt: skip
