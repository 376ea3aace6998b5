"""Where a release lies: a folder, or what it was packed into; each with its list, files read alike."""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from catch11.data.stores.find import STORES, find, stem_of, suffixed
from catch11.data.stores.frame import LIST, Held, Store, beside
from catch11.data.stores.hub import SPLITS, is_data_set
from catch11.data.stores.remote import Where, fetch, is_remote, kind_at, local, shown
from catch11.errors import Catch11Error, ReleaseError, UnreadableSource
from catch11.releases.form import digest
from catch11.releases.lines import whole_lines
from catch11.releases.manifest import ANEW, NAME, Entry, listed_bytes, verify_lines

_HELP = "give what `catch11 recode` wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One list and its files. shard: what stands before their names, where there are shards. path: for
    sentences. beside: what else a table or sample holds of a file, by its column."""

    shard: str = ""
    root: Path
    path: Path
    lines: list[bytes] = field(repr=False)
    files: Callable[[Entry], bytes] = field(repr=False)
    beside: Callable[[Entry, str], Any] | None = field(default=None, repr=False)


def holdings(dst: Where) -> list[Holding]:
    """The lists of a release, one a shard; none is verified. Raises ReleaseError."""
    if is_remote(dst):
        kept = tempfile.mkdtemp()
        path = fetch(str(dst), Path(kept))
        with suppress(ReleaseError):  # a zip or tar has none beside it
            if path.is_file() and kind_at(f"{dst}{LIST}") == "file":
                fetch(f"{dst}{LIST}", Path(kept))
        try:
            return [_kept(one, kept) for one in _local(path)]
        except ReleaseError:  # it names the copy
            raise ReleaseError(shown(str(dst)), "no release can be read here", _HELP) from None
    return _local(local(dst))


def header_of(dst: Where) -> dict[str, Any]:
    """What the first line of the first list says, not verified; empty where there is none."""
    path = None if is_remote(dst) else local(dst) / NAME
    try:
        lines = _header(path) if path is not None and path.is_file() else holdings(dst)[0].lines
        facts = json.loads(lines[0]) if lines else {}
    except (OSError, ValueError, RecursionError, Catch11Error):
        return {}
    return facts if isinstance(facts, dict) else {}


def is_release(dst: Where) -> bool:
    """Whether a path or address looks like a release: a folder with a list, or what one was packed into.
    Models are named alike, so nothing else is looked into."""
    if is_remote(dst):
        return bool(header_of(dst))
    path = local(dst)
    packed = path.is_file() and suffixed(str(dst)) is not None
    return (path / NAME).is_file() or ((packed or path.is_dir()) and bool(header_of(dst)))


def refuse_released(src: Path) -> None:
    """Raises ReleaseError where a source is a release, a file of one, or holds one: noise upon noise serves nobody."""
    if (list_ := next(_lists_of(src), None)) is not None:
        raise ReleaseError(
            src, f"this was released by catch11 already, as {list_} says",
            "give what it was made from; to recode it all the same, copy its files without that list",
        )  # fmt: skip


def ledgers(dst: Where, ledger: Where | None) -> list[tuple[str, Path]]:
    """The private lists of a release and what stands before the names of their files: the one given, or those
    beside it; none where there is none."""
    if ledger is None and is_remote(dst):
        return []
    path = ledger_path(dst, ledger, several=False)
    if path.is_file() or (ledger is not None and not path.is_dir()):
        return [("", path)]
    folder = ledger_path(dst, ledger, several=True)
    found = sorted(folder.rglob("*.jsonl")) if folder.is_dir() else []
    return [(f"{one.relative_to(folder).as_posix().removesuffix('.jsonl')}/", one) for one in found]


def ledger_path(dst: Where, ledger: Where | None, *, several: bool) -> Path:
    """The private list of a release, or the folder of them where it has shards."""
    if ledger is not None:
        return Path(ledger)
    return Path(f"{os.path.abspath(local(dst))}.ledger{'' if several else '.jsonl'}")


def opened(store: Store, path: Path) -> Holding:
    """A packed release. Raises ReleaseError where nothing there is one."""
    try:
        held = store.held(path)
        lines = list(whole_lines(BytesIO(held.list())))
    except (Catch11Error, OSError, ValueError) as error:
        raise ReleaseError(path, f"no release can be read here ({_clause(error)})", _HELP) from None
    try:
        held.column = str(json.loads(lines[0]).get("column", ""))
    except (ValueError, AttributeError, IndexError, RecursionError):
        held.column = ""
    at = path if store.inside else beside(path)

    def others(entry: Entry, column: str) -> Any:
        return held.beside(entry.file, entry.sha256, column)

    return Holding(root=path, path=at, lines=lines, files=_reader(held, path), beside=others)


def _local(root: Path) -> list[Holding]:
    if (root / NAME).is_file() and not is_data_set(root):
        lines, read = _lines(root / NAME), partial(listed_bytes, root)
        return [Holding(root=root, path=root / NAME, lines=lines, files=read)]
    if root.is_file() or is_data_set(root) or (root / SPLITS).is_file() or _has_lists(root):
        found = find(root, ())
        store = found.store
        if store is not None and store.name in ("tar", "webdataset"):
            shard = beside(found.shards[0][1]).is_file()
            store = STORES["webdataset" if shard else "tar"]
        if store is not None:
            held = [(stem_of(name), opened(store, path)) for name, path in found.shards]
            return [replace(one, shard=f"{name}/" if name else "") for name, one in held]
    reason = "no manifest can be read here (No such file or directory)"
    raise ReleaseError(root / NAME, reason, "give a folder that `catch11 recode` wrote")


def _lists_of(src: Path) -> Iterator[str]:
    """The lists, signed as ours are, that a source holds or that name it."""
    if src.is_dir():
        for folder, _, files in os.walk(src):
            for name in files:
                if name.endswith(NAME) and _signed(_header(path := Path(folder, name))):
                    yield str(path)
        return
    book, store = src.parent / NAME, suffixed(src.name)
    lines = _lines(book) if _signed(_header(book)) else []
    if _signed(lines) and any(json.loads(line).get("file") == src.name for line in lines):
        yield str(book)
    if store is not None and store.name == "tar" and beside(src).is_file():
        store = STORES["webdataset"]
    with suppress(ReleaseError):
        if store is not None and _signed((held := opened(store, src)).lines[:1]):
            yield str(held.path)


def _header(path: Path) -> list[bytes]:
    """The first line of what may be a list; others have files of that name, of any size and kind."""
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            return list(whole_lines([file.readline(1 << 16)]))
    except OSError:
        return []


def _signed(lines: list[bytes]) -> bool:
    """Whether lines are a list of ours or its beginning, whoever signed it."""
    try:
        verify_lines(Path(), lines)
    except ReleaseError:
        return False
    return True


def _kept(one: Holding, folder: str) -> Holding:
    """The same, of a folder that goes when nothing can read it any more."""

    def files(entry: Entry) -> bytes:
        return one.files(entry)

    weakref.finalize(files, shutil.rmtree, folder, ignore_errors=True)
    return replace(one, files=files)


def _lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return list(whole_lines(file))
    except OSError as error:
        reason = f"no manifest can be read here ({error.strerror})"
        raise ReleaseError(path, reason, "give a folder that `catch11 recode` wrote") from None


def _has_lists(root: Path) -> bool:
    return root.is_dir() and next(root.rglob(f"*{LIST}"), None) is not None


def _reader(held: Held, path: Path) -> Callable[[Entry], bytes]:
    def read(entry: Entry) -> bytes:
        try:
            data = held.data(entry.file, entry.sha256)
        except (UnreadableSource, Catch11Error) as error:
            reason = getattr(error, "reason", str(error).rstrip("."))
            where = f"{path}/{entry.file}"
            raise ReleaseError(where, f"it is listed and cannot be read ({reason})", ANEW) from None
        if digest(data) != entry.sha256:
            raise ReleaseError(f"{path}/{entry.file}", "its bytes are not the ones listed", ANEW)
        return data

    return read


def _clause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
