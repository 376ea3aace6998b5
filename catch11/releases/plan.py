"""What a release is to become: from which store into which, shard by shard, with every misfit refused first."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from catch11.data.stores import find as stores
from catch11.data.stores.folders import FolderSource
from catch11.data.stores.frame import Source, Store, Wanted
from catch11.data.stores.hub import datasets
from catch11.data.stores.remote import (
    Where,
    check_place,
    fetch,
    is_remote,
    local,
    name_of,
    overlap,
    shown,
)
from catch11.data.stores.tables import arrow
from catch11.errors import InvalidArgument, ReleaseError
from catch11.releases.holdings import ledger_path
from catch11.releases.places import check_outside, check_source, check_there

PART = ".part"  # behind the name of what is packed when it is finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One release of its own. path: of its source. target: what it is packed into, None of a folder that is
    the release itself. room: the folder that is worked in. sent: the address it goes to in the end."""

    name: str
    path: Path | None
    target: Path | None
    room: Path
    ledger: Path
    sent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """source, sink: their stores, None of folders. address: of a remote folder of files."""

    source: Store | None
    sink: Store | None
    shards: Sequence[Shard]
    several: bool
    wanted: Wanted
    address: str = ""

    def open(self, shard: Shard) -> Source:
        """What is to be recoded of a shard."""
        if self.address:
            return stores.remote_source(self.address)
        assert shard.path is not None
        return (
            FolderSource(shard.path)
            if self.source is None
            else self.source.open(shard.path, self.wanted)
        )


@contextmanager
def planned(
    src: Where, dst: Where, wanted: Wanted, *, to: str | None, ledger: Where | None
) -> Iterator[Plan | None]:
    """The plan, with a remote source fetched while it is open; None where a folder goes into a folder, as
    ever. Writes nothing. Raises InvalidArgument, ReleaseError."""
    if is_remote(dst):
        check_place(str(dst))  # before anything is made
    if not is_remote(src):
        check_there(local(src), src)
    with TemporaryDirectory() as kept:
        address = str(src) if is_remote(src) and stores.remote_folder(str(src)) else ""
        if address:
            found = stores.Found(store=None, shards=[("", Path(kept))])
        else:
            found = stores.find(
                fetch(str(src), Path(kept)) if is_remote(src) else local(src), wanted.suffixes
            )
        sink = _sink(found, str(dst), to)
        _apart(
            src,
            dst,
            None
            if ledger is None and is_remote(dst)
            else ledger_path(dst, ledger, several=_several(found, sink, str(dst))),
        )
        plain = not address and found.store is None and sink is None and not is_remote(dst)
        if plain and not (isinstance(src, str) and src.startswith("file://")):
            yield None
            return
        if wanted.column and (found.store is None or found.store.keeps == "files"):
            expected = "none for files, which have no columns"
            raise InvalidArgument("column", expected=expected, found=wanted.column)
        yield Plan(
            source=found.store, sink=sink, several=_several(found, sink, str(dst)), wanted=wanted,
            shards=_shards(found, sink, dst, ledger, source=str(src)), address=address,
        )  # fmt: skip


def of_parts(
    dst: Where, *, to: str | None, ledger: Where | None
) -> tuple[Store, Callable[[int], Shard]]:
    """What the parts of a stream of rows are packed into, Parquet unless `to` says, and the shard of each by its
    number. Writes nothing. Raises InvalidArgument, ReleaseError."""
    if stores.suffixed(str(dst)) is not None:
        raise InvalidArgument("DST", expected="a folder, as a stream has parts", found=str(dst))
    if is_remote(dst):
        check_place(str(dst))
    found = stores.Found(store=stores.STORES["parquet"], shards=())
    sink = _sink(found, str(dst), to or "parquet")
    assert sink is not None  # a folder keeps no rows

    def shard(number: int) -> Shard:
        one = replace(found, shards=[(f"part_{number:06}", Path())])
        return _shards(one, sink, dst, ledger, source="")[0]

    if not is_remote(dst):
        book, release = (Path(os.path.realpath(one)) for one in (shard(0).ledger, local(dst)))
        check_outside(book, release, "it is private")
    return sink, shard


def _sink(found: stores.Found, dst: str, to: str | None) -> Store | None:
    """What is written. Raises InvalidArgument where it cannot keep what the source holds."""
    keeps = "files" if found.store is None else found.store.keeps
    sink = stores.named(to) if to else stores.suffixed(dst)
    if sink is not None and sink.name == "tar" and keeps == "samples" and not to:
        sink = found.store
    if sink is None and to is None and found.store is not None and keeps != "files":
        sink = found.store
    held = "files" if sink is None else sink.keeps
    if held != keeps:
        same = [one.name for one in stores.STORES.values() if one.keeps == keeps]
        same = ["folder", *same] if keeps == "files" else same
        kind = "a folder of files" if found.store is None else found.store.name
        raise InvalidArgument(
            "to", expected=f"{' or '.join(same)}, which keeps what lies beside the pictures of {kind}",
            found="folder" if sink is None else sink.name,
        )  # fmt: skip
    if keeps == "rows":
        arrow()
    if sink is not None and sink.name == "datasets":
        datasets()
    return sink


def _apart(src: Where, dst: Where, ledger: Path | None) -> None:
    """Raises ReleaseError where what is read, what is written and the ledger lie inside each other."""
    book = None if ledger is None else Path(os.path.realpath(ledger))
    if is_remote(src) and is_remote(dst):
        if overlap(str(src), str(dst)):
            reason = f"source and release must not lie inside each other, found {shown(str(src))}"
            raise ReleaseError(shown(str(dst)), reason, "give another place")
    elif not is_remote(dst):
        assert book is not None
        release = Path(os.path.realpath(local(dst)))
        if not is_remote(src):
            check_source(Path(os.path.realpath(local(src))), src, release, book, files=True)
        check_outside(book, release, "it is private")


def _several(found: stores.Found, sink: Store | None, dst: str) -> bool:
    """Whether the release is a folder of shards. Raises InvalidArgument where it is to be one file."""
    if sink is None or sink.keeps == "files":
        return False
    one = stores.suffixed(dst) is not None
    if found.several and one:
        raise InvalidArgument(
            "DST", expected=f"a folder, as the source has {len(found.shards)} shards", found=dst
        )
    return found.several or not (one or sink.name == "datasets")


def _shards(
    found: stores.Found, sink: Store | None, dst: Where, ledger: Where | None, *, source: str
) -> list[Shard]:
    remote = is_remote(dst)
    several = _several(found, sink, str(dst))
    if several and not remote and local(dst).is_file():
        raise ReleaseError(
            local(dst), "this is a file, expected a folder", "give a folder of shards, or a new one"
        )
    if remote and ledger is None:
        raise InvalidArgument(
            "ledger", expected="a file of this machine, as the release goes elsewhere and the ledger is private",
            found="none", remedy="give one with --ledger",
        )  # fmt: skip
    books = ledger_path(dst, ledger, several=several)
    if several and books.is_file():
        raise ReleaseError(
            books,
            "this is a file, and a release of shards has a folder of ledgers",
            "give a folder with --ledger",
        )
    base = Path(f"{books}{PART}") if remote else Path(os.path.realpath(local(dst)))
    made = []
    for name, path in found.shards:
        own = name or (name_of(source) if several else "")
        stem = stores.stem_of(own) if several else ""
        address = str(dst) if remote else ""
        if not several:
            target = None if sink is None else base / name_of(str(dst)) if remote else base
            book = books
        else:
            assert sink is not None
            suffix = sink.suffixes[0] if sink.suffixes else ""
            target, book = base / f"{stem}{suffix}", books / f"{stem}.jsonl"
            address = f"{address.rstrip('/')}/{stem}{suffix}" if remote else ""
        room = base if target is None else target.with_name(target.name + PART)
        made.append(Shard(name=own, path=path, target=target, room=room, ledger=book, sent=address))
    return made
