"""A finished release folder packed into a zip, tar, shard, table or data set, and laid out again to resume.

Packing goes under a temporary name, is flushed and renamed, and then the folder goes. Laid out again, each
file is held against the list.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.stores.archives import unpack
from catch11.data.stores.frame import LIST, Held, Made, Source, Store, beside
from catch11.data.stores.remote import fetch, kind_at, send, shown
from catch11.errors import ReleaseError
from catch11.releases.durable import sync_file, sync_folder
from catch11.releases.engine import Summary
from catch11.releases.form import file_digest, form_of
from catch11.releases.holdings import Holding, opened
from catch11.releases.ledger import rows_in
from catch11.releases.manifest import NAME, Manifest, read_manifest, verify_lines
from catch11.releases.plan import PART, Shard


def laid_out(shard: Shard, sink: Store | None, *, resume: bool) -> str:
    """Lay out what an earlier run packed, where its folder is gone; the hash of its list, if any."""
    target = shard.target
    if target is not None:
        shutil.rmtree(_gone(target), ignore_errors=True)
    if not (kind_at(shard.sent) != "none" if shard.sent else target and _holds(target)):
        return ""
    if not resume:
        raise ReleaseError(
            shown(shard.sent or str(target)),
            "this is a release already",
            "resume it, or give a new name",
        )
    if shard.room.exists():
        return ""  # it stopped before that was packed, or sent, again
    if shard.sent:
        _fetched(shard, sink)
    if target is None or sink is None:
        return ""
    held = opened(sink, target)
    manifest = verify_lines(held.path, held.lines)
    files = {entry.file: entry.sha256 for entry in manifest.entries.values()}
    laid = shard.room.with_name(f"{shard.room.name}.new")
    shutil.rmtree(laid, ignore_errors=True)
    unpack(_Checked(held, manifest.entries), files, laid)
    os.replace(laid, shard.room)
    return file_digest(shard.room / NAME)


def _holds(path: Path) -> bool:
    """Whether something is there: more than an empty folder."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


class _Checked(Held):
    """Files of a holding by name, each held against the list."""

    def __init__(self, held: Holding, entries: Any) -> None:
        self._held, self._entries = held, entries

    def list(self) -> bytes:
        return b"".join(line + b"\n" for line in self._held.lines)

    def data(self, file: str, sha256: str) -> bytes:
        return self._held.files(self._entries[file])


def _fetched(shard: Shard, sink: Store | None) -> None:
    """Bring what was sent back to where it is worked on. Raises ReleaseError where that was no release."""
    target = shard.target or shard.room
    if kind_at(list_at(shard, sink)) != "file":
        reason = "something lies here that is no release"
        raise ReleaseError(shown(shard.sent), reason, "give a place that is empty or new")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        os.replace(fetch(shard.sent, Path(folder)), target)
        if shard.target is not None and kind_at(shard.sent + LIST) == "file":
            os.replace(fetch(shard.sent + LIST, Path(folder)), beside(target))


def packed(shard: Shard, sink: Store, source: Source, done: Summary, before: str) -> Summary:
    """Pack a finished folder, unless nothing in it changed, where nothing else is packed; and take the folder away."""
    target, room = shard.target, shard.room
    assert target is not None
    held = read_manifest(room / NAME)
    if sink.keeps != "files" or file_digest(room / NAME) != before:
        new = target.with_name(f"{target.name}.new")
        _remove(new)
        made = _made(shard, held)
        if sink.keeps != "files":
            _refuse_lost(shard, made.files, source)
        with quiet():
            sink.pack(source, made, new)
        for one in (new, *new.rglob("*")) if new.is_dir() else (new,):
            if one.is_file():
                sync_file(one)
        if not sink.inside:
            copy = beside(new)
            shutil.copyfile(room / NAME, copy)
            sync_file(copy)
            os.replace(copy, beside(target))
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(new, target)
        sync_folder(target.parent)
    os.replace(room, _gone(target))
    shutil.rmtree(_gone(target), ignore_errors=True)
    return replace(done, manifest=list_of(shard, sink))


def list_of(shard: Shard, sink: Store | None) -> Path:
    """Where the list of a finished shard lies before it is sent."""
    if sink is None or shard.target is None:
        return shard.room / NAME
    if sink.inside:
        return shard.target if sink.suffixes else shard.target / NAME
    return beside(shard.target)


def list_at(shard: Shard, sink: Store | None) -> str:
    """The address of the list of a shard that is sent; empty of one that stays."""
    if not shard.sent or (sink is not None and sink.inside and sink.suffixes):
        return shard.sent
    return f"{shard.sent}/{NAME}" if sink is None or sink.inside else shard.sent + LIST


def _refuse_lost(shard: Shard, files: Mapping[str, str], source: Source) -> None:
    """Raises ReleaseError where rows or samples are gone that the list names: it would name what is not there."""
    if lost := sorted(set(files) - set(source.names)):
        raise ReleaseError(
            shown(shard.sent or str(shard.target)),
            f"an earlier run released what the source has no more: {len(lost)} of it, {lost[0]} the first",
            "give a new name, or the source as it was",
        )


def _files(shard: Shard, held: Manifest) -> dict[str, str]:
    """The finished files by their sources: the ledger says which, the list that they stand."""
    settings = held.header["settings"]
    listed = {entry.file: entry.sha256 for entry in held.entries.values()}
    return {
        row.source: row.file
        for row in rows_in(shard.ledger)
        if row.outcome == "released"
        and row.settings == settings
        and listed.get(row.file) == row.sha256
    }


def _made(shard: Shard, held: Manifest) -> Made:
    return Made(
        folder=shard.room, files=_files(shard, held), order=list(held.entries), list=shard.room / NAME,
        suffix=form_of(held.header["format"]).suffix, opaque=held.header["names"] == "opaque",
    )  # fmt: skip


def sent(shard: Shard, sink: Store | None) -> None:
    """Put a finished release where it goes, its list last; what was made of it here goes."""
    made = shard.target or shard.room
    send(made, shard.sent)
    if sink is not None and not sink.inside:
        send(beside(made), shard.sent + LIST)
        beside(made).unlink()
    _remove(made)
    for folder in shard.room.parents if shard.target else ():
        if any(folder.iterdir()):
            break
        folder.rmdir()
        if folder.name.endswith(PART):
            break


def _gone(target: Path) -> Path:
    """What a folder of work is called once it is done with."""
    return target.with_name(f"{target.name}.gone")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
