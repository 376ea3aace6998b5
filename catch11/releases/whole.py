"""release: pictures or sounds from wherever they lie into whatever they shall lie in; all else as ever.

What is packed (zip, tar, shard, table, data set) is first a release folder beside it, by the name of the result and
`.part`, so that a stopped run resumes as every release does. Finished, it is packed under a temporary name,
flushed, renamed, and the folder goes. To resume what is packed, it is laid out again, each file held against the list.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.stores.archives import unpack
from catch11.data.stores.frame import LIST, Held, Made, Source, Store, Wanted, beside
from catch11.data.stores.hub import SPLITS
from catch11.data.stores.remote import Where, fetch, kind_at, send
from catch11.errors import InvalidArgument, ReleaseError
from catch11.kinds import fetched, kind_of
from catch11.recoding.frame import Recoder
from catch11.releases import engine as local
from catch11.releases.durable import sync_file, sync_folder
from catch11.releases.engine import Progress, Runner, Summary
from catch11.releases.form import form_of
from catch11.releases.holdings import Holding, opened
from catch11.releases.ledger import read_ledger
from catch11.releases.manifest import NAME, read_manifest, verify_lines
from catch11.releases.names import Naming
from catch11.releases.pipeline import Long, Request
from catch11.releases.places import one_sentence
from catch11.releases.plan import PART, Plan, Shard, planned


def release(
    src: Where,
    dst: Where,
    recoder: Recoder[Any],
    *,
    to: str | None = None,
    format: str | None = None,
    model: Any = None,
    check: Any = None,
    names: Naming = "keep",
    ledger: Where | None = None,
    workers: int = 1,
    resume: bool = True,
    read: Callable[..., Any] | None = None,
    columns: Sequence[str] = (),
    long: Long = "truncate",
    most: int | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    address: str | None = None,
) -> Summary:
    """Recode every picture, sound, table or document of `src` into `dst`.

    src: a folder; of tables and texts a file too; of pictures and sounds also a zip or tar, WebDataset shards, a
    Parquet or Arrow file or a folder of them, a data set of `datasets` on disk, or an address of any of
    these (s3://, gs://, memory://, ...). dst: a folder, or what its suffix or `to` says: folder, zip, tar, webdataset,
    parquet, arrow, datasets; otherwise as the source. Other columns and members stay as they are, in their
    order; a row or sample without a released picture is left out. columns: the column or field of pictures where
    there are several; of texts those to recode. The list lies in a folder, zip, tar or data set, and beside
    anything else; of shards each has its own, and its own ledger in the folder `DST.ledger`.

    model: the authorized model, where sources are
    read for it (tables, texts, features of sounds) and neither check nor recoder has it. check: it; what it answers otherwise than
    the source is withheld, of a table row by row. names: "keep" mirrors the tree, "opaque" writes
    keyed ids. ledger: the private list, beside `dst` unless given. workers: threads; the bytes
    written do not depend on it. read: how a picture or sound comes to the canvas, if not as usual.
    long: what becomes of a document that the model, or `most`
    tokens, has no room for: "truncate" or "refuse". progress: called with (done, total, source). engine: "ray"
    recodes in `workers` processes of Ray, of this machine, or of the cluster at `address`: see `cluster`.

    A run that was stopped resumes where it stood; sources that cannot be read are skipped with a
    reason in the ledger. Raises ReleaseError, InvalidArgument, KeyMismatch, MissingExtra.
    """
    given: dict[str, Any] = {
        "format": format, "model": model, "check": check, "names": names, "workers": workers,
        "resume": resume, "read": read, "long": long, "most": most, "progress": progress,
    }  # fmt: skip
    asked = Request(
        recoder=recoder, model=model, check=check, read=read, long=long, most=most
    )  # fmt: skip
    with (
        stored(src, dst, recoder, to=to, ledger=ledger, columns=columns) as plan,
        _run_by(engine, asked, workers, address) as run,
    ):
        given["run"] = run
        if plan is None:
            return local.release(src, dst, recoder, ledger=ledger, columns=columns, **given)
        done = [_shard(plan, shard, recoder, given) for shard in plan.shards]
        if plan.several and plan.sink is not None and plan.sink.name == "datasets":
            _splits(plan)
    return done[0] if len(done) == 1 else _together(done, plan)


@contextmanager
def _run_by(
    engine: str, asked: Request, workers: int, address: str | None
) -> Iterator[Runner | None]:
    """What chunks are done by; None for threads of this process."""
    if engine not in ("local", "ray"):
        raise InvalidArgument("engine", expected="local or ray", found=engine)
    if engine == "local":
        if address is not None:
            raise InvalidArgument("address", expected="none without --engine ray", found=address)
        yield None
        return
    from catch11.releases.cluster import cluster

    models = (asked.model, asked.check, getattr(asked.recoder, "model", None))
    reader = next((one for one in models if one is not None), None)
    with cluster(replace(asked, model=reader), workers=workers, address=address) as run:
        yield run


@contextmanager
def stored(
    src: Where, dst: Where, recoder: Recoder[Any], *, to: str | None, ledger: Where | None,
    columns: Sequence[str] = (),
) -> Iterator[Plan | None]:  # fmt: skip
    """The plan of a release from or into a store; None where there is none of either."""
    suffixes = fetched(kind_of(recoder.key.modality, argument="key").pipeline).suffixes
    if not suffixes:
        if to not in (None, "folder"):
            raise InvalidArgument(
                "to", expected=f"folder for a key of {recoder.key.modality}", found=to
            )
        yield None
        return
    if len(columns) > 1:
        raise InvalidArgument("column", expected="one column of pictures", found=", ".join(columns))
    wanted = Wanted(suffixes=suffixes, column=columns[0] if columns else "")
    with planned(src, dst, wanted, to=to, ledger=ledger) as plan:
        yield plan


def _shard(plan: Plan, shard: Shard, recoder: Recoder[Any], given: dict[str, Any]) -> Summary:
    """Release one shard and pack it."""
    source, sink = plan.open(shard), plan.sink
    try:
        with one_sentence(shard.target or shard.room):
            shard.ledger.parent.mkdir(parents=True, exist_ok=True)
            shard.room.parent.mkdir(parents=True, exist_ok=True)
            before = _laid_out(shard, sink, given)
        done = local.release(source, shard.room, recoder, ledger=shard.ledger, **given)
        with one_sentence(shard.target or shard.room):
            if sink is not None and shard.target is not None:
                done = _packed(shard, sink, source, done, before)
            if shard.sent:
                _sent(shard, sink)
    finally:
        source.close()
    return done


def _laid_out(shard: Shard, sink: Store | None, given: dict[str, Any]) -> list[bytes]:
    """Lay out what an earlier run packed, where its folder is gone; the lines of its list, if any."""
    target = shard.target
    if target is not None:
        shutil.rmtree(_gone(target), ignore_errors=True)
    there = kind_at(shard.sent) != "none" if shard.sent else target is not None and target.exists()
    if not there:
        return []
    if not given["resume"]:
        raise ReleaseError(
            shard.sent or target, "this is a release already", "resume it, or give a new name"
        )
    if shard.room.exists():
        return []  # it stopped before that was packed, or sent, again
    if shard.sent:
        _fetched(shard)
    if target is None or sink is None:
        return []
    held = opened(sink, target)
    manifest = verify_lines(held.path, held.lines)
    files = {entry.file: entry.sha256 for entry in manifest.entries.values()}
    laid = shard.room.with_name(f"{shard.room.name}.new")
    shutil.rmtree(laid, ignore_errors=True)
    unpack(_Checked(held, manifest.entries), files, laid)
    os.replace(laid, shard.room)
    return held.lines


class _Checked(Held):
    """Files of a holding by name, each held against the list."""

    def __init__(self, held: Holding, entries: Any) -> None:
        self._held, self._entries = held, entries

    def list(self) -> bytes:
        return b"".join(line + b"\n" for line in self._held.lines)

    def data(self, file: str, sha256: str) -> bytes:
        return self._held.files(self._entries[file])


def _fetched(shard: Shard) -> None:
    """Bring what was sent back to where it is worked on."""
    target = shard.target or shard.room
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        os.replace(fetch(shard.sent, Path(folder)), target)
        if shard.target is not None and kind_at(shard.sent + LIST) == "file":
            os.replace(fetch(shard.sent + LIST, Path(folder)), beside(target))


def _packed(
    shard: Shard, sink: Store, source: Source, done: Summary, before: list[bytes]
) -> Summary:
    """Pack a finished folder, unless nothing in it changed; and take the folder away."""
    target, room = shard.target, shard.room
    assert target is not None
    list_ = (
        target / NAME
        if sink.inside and not sink.suffixes
        else target
        if sink.inside
        else beside(target)
    )
    held = read_manifest(room / NAME)
    if list(held.lines) != before:
        new = target.with_name(f"{target.name}.new")
        _remove(new)
        with quiet():
            sink.pack(source, _made(shard, held, done), new)
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
    return _at(done, list_)


def _made(shard: Shard, held: Any, done: Summary) -> Made:
    """The finished files by their sources: the ledger says which, the list that they stand."""
    settings = held.header["settings"]
    listed = {entry.file: entry.sha256 for entry in held.entries.values()}
    files = {
        row.source: row.file
        for row in read_ledger(done.ledger)
        if row.outcome == "released"
        and row.settings == settings
        and listed.get(row.file) == row.sha256
    }
    return Made(
        folder=shard.room, files=files, order=list(listed), list=shard.room / NAME,
        suffix=form_of(held.header["format"]).suffix, opaque=held.header["names"] == "opaque",
    )  # fmt: skip


def _sent(shard: Shard, sink: Store | None) -> None:
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


def _splits(plan: Plan) -> None:
    """Say which data sets lie in a folder of them, as `datasets` does."""
    names = [Path(shard.name).name for shard in plan.shards]
    target = plan.shards[0].target
    assert target is not None
    (target.parent / SPLITS).write_text(json.dumps({"splits": names}))


def _together(done: Sequence[Summary], plan: Plan) -> Summary:
    """One summary of all shards."""
    rows = [row for one in done if one.distance is not None for row in read_ledger(one.ledger)]
    found = [row.distance for row in rows if row.outcome == "released" and row.distance is not None]
    counts: dict[str, int] = {}
    for one in done:
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Summary(
        written=sum(one.written for one in done), reused=sum(one.reused for one in done),
        withheld=sum(one.withheld for one in done), skipped=sum(one.skipped for one in done),
        manifest=done[0].manifest.parent, ledger=plan.shards[0].ledger.parent,
        refused=tuple(refusal for one in done for refusal in one.refused), counts=counts,
        keep=done[0].keep,
        distance=(median(found), max(found)) if found else None,
    )  # fmt: skip


def _at(done: Summary, manifest: Path) -> Summary:
    return replace(done, manifest=manifest)


def _gone(target: Path) -> Path:
    """What a folder of work is called once it is done with."""
    return target.with_name(f"{target.name}.gone")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
