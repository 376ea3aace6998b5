"""Which store a path is of, and its shards."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from catch11.data.stores.archives import Tar, Zip
from catch11.data.stores.folders import FolderSource, RemoteFolder
from catch11.data.stores.frame import LIST, Source, Store, Wanted
from catch11.data.stores.hub import MARK, SPLITS, Datasets, is_data_set
from catch11.data.stores.remote import Where, below, fetch, is_remote, kind_at, local, system
from catch11.data.stores.samples import WebDataset, has_samples
from catch11.data.stores.tables import Arrow, Parquet
from catch11.data.stores.tarfiles import indexed
from catch11.errors import InvalidArgument, UnreadableSource

STORES: dict[str, Store] = {
    one.name: one for one in (Zip(), Tar(), WebDataset(), Parquet(), Arrow(), Datasets())
}
FOLDER = "folder"
_STARTS = {
    "zip": (0, b"PK"),
    "tar": (257, b"ustar"),
    "parquet": (0, b"PAR1"),
    "arrow": (0, b"ARROW1"),
}
_WORK = (".part", ".gone", ".new")  # folders of a run that is under way
_BESIDE = frozenset({"", ".md", ".json", ".jsonl", ".txt", ".yaml", ".yml", ".crc"})  # shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A store at a path. shards: its files or folders, by their names below it; one without a name where
    the path itself is it. An image folder has no store."""

    store: Store | None
    shards: Sequence[tuple[str, Path]]

    @property
    def several(self) -> bool:
        """Whether the path is a folder of shards."""
        return bool(self.shards) and bool(self.shards[0][0])


def find(path: Path, suffixes: Collection[str]) -> Found:
    """What lies at a path: an archive, shards, a table, a data set, or a plain folder of files. suffixes:
    of what is recoded."""
    if path.is_file():
        return Found(store=_of_file(path, suffixes), shards=[("", path)])
    if is_data_set(path):
        return Found(store=STORES["datasets"], shards=[("", path)])
    if (path / SPLITS).is_file():
        splits = sorted(one.parent for one in path.rglob(MARK) if is_data_set(one.parent))
        named = [(one.relative_to(path).as_posix(), one) for one in splits]
        return Found(store=STORES["datasets"], shards=named)
    shards = _shards(path, suffixes)
    if not shards:
        return Found(store=None, shards=[("", path)])
    stores = {_suffix(one): _of_suffix(_suffix(one), shard=True) for _, one in shards}
    (store,) = {one.name: one for one in stores.values() if one}.values()
    _apart([name for name, _ in shards])
    return Found(store=store, shards=shards)


def named(name: str) -> Store | None:
    """The store that `--to` names; None for a folder. Raises InvalidArgument."""
    if name == FOLDER:
        return None
    if name not in STORES:
        known = ", ".join((FOLDER, *STORES))
        raise InvalidArgument("to", expected=f"one of {known}", found=name)
    return STORES[name]


def suffixed(path: str) -> Store | None:
    """The store that a path's suffix stands for; None without one. A tar may be either of two."""
    return _of_suffix(_suffix(Path(path)), shard=False)


class Union(Source):
    """Several shards as one source: each name behind that of its shard."""

    def __init__(self, shards: dict[str, Source]) -> None:
        self._shards = shards
        self.names = tuple(f"{shard}/{n}" for shard, one in shards.items() for n in one.names)
        self.problems = tuple(
            (f"{shard}/{n}", why) for shard, one in shards.items() for n, why in one.problems
        )

    def data(self, name: str) -> bytes:
        for shard, one in self._shards.items():
            if name.startswith(f"{shard}/"):
                with suppress(UnreadableSource):
                    return one.data(name.removeprefix(f"{shard}/"))
        raise UnreadableSource(name, "no shard holds it")

    def close(self) -> None:
        for one in self._shards.values():
            one.close()


def opened(where: Where, wanted: Wanted) -> Source:
    """The source at a path or address, all its shards in one. Raises InvalidArgument, ReleaseError."""
    if not is_remote(where):
        return _opened(local(where), wanted)
    if remote_folder(str(where)):
        return remote_source(str(where))
    kept = tempfile.mkdtemp()
    source = _opened(fetch(str(where), Path(kept)), wanted)
    weakref.finalize(source, shutil.rmtree, kept, ignore_errors=True)
    return source


def remote_folder(address: str) -> bool:
    """Whether at an address lies a plain folder of files, which need not be fetched as a whole."""
    if kind_at(address) == "file":
        return False
    names = [PurePosixPath(path) for path in below(address)]
    marks = {one.name for one in names} & {SPLITS, MARK}
    return not marks and any(not _shard_like(one.name) for one in names)


def remote_source(address: str) -> RemoteFolder:
    """The files below an address."""
    files, path = system(address)
    return RemoteFolder(files, path, below(address))


def _opened(path: Path, wanted: Wanted) -> Source:
    found = find(path, wanted.suffixes)
    if found.store is None:
        return FolderSource(path)
    if not found.several:
        return found.store.open(found.shards[0][1], wanted)
    return Union({stem_of(name): found.store.open(one, wanted) for name, one in found.shards})


def stem_of(name: str) -> str:
    """A shard's name without the suffixes of its store, which another store would not share."""
    for store in STORES.values():
        for suffix in store.suffixes:
            if name.lower().endswith(suffix):
                return name[: -len(suffix)]
    return name


def _apart(names: Sequence[str]) -> None:
    """Refuse shards that would be one when they are released."""
    stems: dict[str, str] = {}
    for name in names:
        other = stems.setdefault(stem_of(name), name)
        if other != name:
            raise InvalidArgument(
                "SRC", expected="shards whose names differ in more than the suffix", found=f"{other} and {name}"
            )  # fmt: skip


def _of_file(path: Path, suffixes: Collection[str]) -> Store | None:
    store = _of_suffix(_suffix(path), shard=False) or _of_start(path)
    if store is not None and store.name == "tar":
        members = indexed(path)
        shard = has_samples(members, suffixes)
        members.close()
        return STORES["webdataset"] if shard else store
    return store


def _of_start(path: Path) -> Store | None:
    """The store of a file whose name does not say it."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError:
        return None
    for name, (place, mark) in _STARTS.items():
        if head[place : place + len(mark)] == mark:
            return STORES[name]
    return None


def _of_suffix(suffix: str, *, shard: bool) -> Store | None:
    for store in STORES.values():
        if suffix in store.suffixes and not (shard and store.name == "tar"):
            return store
    return None


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".tar.gz" if name.endswith(".tar.gz") else path.suffix.lower()


def _shard_like(name: str) -> bool:
    """Whether a file is a shard, or one that lies beside shards."""
    store = _of_suffix(_suffix(Path(name)), shard=True)
    plain = Path(name).suffix.lower() in _BESIDE or name.endswith(LIST)
    return plain if store is None else store.name != "zip"


def _shards(path: Path, suffixes: Collection[str]) -> list[tuple[str, Path]]:
    """The shards below a folder that holds shards of one store, and notes on them; none of a folder of pictures.
    Raises InvalidArgument where sources are looked for, and other things lie beside shards, and no picture."""
    found: list[tuple[str, Path]] = []
    kinds: dict[str, str] = {}
    strays: list[str] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and not one.endswith(_WORK)
        )
        for name in sorted(files):
            one = Path(folder) / name
            own = one.relative_to(path).as_posix()
            store = _of_suffix(_suffix(one), shard=True)
            if _suffix(one) in suffixes:
                return []
            if not _shard_like(name):
                strays = strays or [own]
            elif store is not None:
                kinds.setdefault(store.name, own)
                found.append((own, one))
    if suffixes and found and len(others := [*kinds.values(), *strays]) > 1:
        raise InvalidArgument(
            "SRC", expected="pictures or sounds, or shards of one kind and nothing else",
            found=" and ".join(others), remedy="give the shards in a folder of their own",
        )  # fmt: skip
    return sorted(found) if len(kinds) == 1 else []
