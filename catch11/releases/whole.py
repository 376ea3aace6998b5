"""release: pictures or sounds from wherever they lie into whatever they shall lie in; all else as ever.

What is packed (zip, tar, shard, table, data set) is first a release folder beside it, by the name of the result and
`.part`, so that a stopped run resumes as every release does; `packing` does the rest.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from catch11.data.stores.frame import Source, Wanted
from catch11.data.stores.hub import SPLITS
from catch11.data.stores.remote import Where, is_remote
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import fetched, kind_of
from catch11.recoding.frame import Recoder
from catch11.releases import engine as local
from catch11.releases.engine import Progress, Runner, Summary
from catch11.releases.ledger import Marks, read_ledger
from catch11.releases.names import Naming
from catch11.releases.packing import laid_out, packed, sent
from catch11.releases.pipeline import Long, Request
from catch11.releases.places import one_sentence
from catch11.releases.plan import Plan, Shard, planned
from catch11.releases.pool import check_engine


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
    strict: bool = True,
    marks: Key | Marks | None = None,
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
    tokens, has no room for: "truncate" or "refuse". strict: whether a source that the ledger knows at other settings stops
    the release; else it alone is withheld. marks: what the ledger knows sources by, if not the key, by this
    process alone. progress: called with (done, total, source). engine: "ray"
    recodes in `workers` processes of Ray, of this machine, or of the cluster at `address`: see `cluster`.

    A run that was stopped resumes where it stood; sources that cannot be read are skipped with a
    reason in the ledger. Raises ReleaseError, InvalidArgument, KeyMismatch, MissingExtra.
    """
    given: dict[str, Any] = {
        "format": format, "model": model, "check": check, "names": names, "workers": workers,
        "resume": resume, "read": read, "long": long, "most": most, "strict": strict,
        "marks": marks, "progress": progress,
    }  # fmt: skip
    asked = Request(
        recoder=recoder, model=model, check=check, read=read, long=long, most=most
    )  # fmt: skip
    with (
        stored(src, dst, recoder.key.modality, to=to, ledger=ledger, columns=columns) as plan,
        _run_by(engine, asked, workers, address) as run,
    ):
        given["run"] = run
        if plan is None:
            return local.release(src, dst, recoder, ledger=ledger, columns=columns, **given)

        def made(source: Source, shard: Shard) -> Summary:
            return local.release(source, shard.room, recoder, ledger=shard.ledger, **given)

        return made_of(plan, made, resume=resume)


def made_of(plan: Plan, make: Callable[[Source, Shard], Summary], *, resume: bool) -> Summary:
    """Every shard of a plan, packed. make: the release folder of an opened shard, in its room, with its ledger."""
    done = [_shard(plan, shard, make, resume) for shard in plan.shards]
    if plan.several and plan.sink is not None and plan.sink.name == "datasets":
        _splits(plan)
    return done[0] if len(done) == 1 else _together(done, plan)


@contextmanager
def _run_by(
    engine: str, asked: Request, workers: int, address: str | None
) -> Iterator[Runner | None]:
    """What chunks are done by; None for threads of this process."""
    if not check_engine(engine, address):
        yield None
        return
    from catch11.releases.cluster import cluster

    models = (asked.model, asked.check, getattr(asked.recoder, "model", None))
    reader = next((one for one in models if one is not None), None)
    with cluster(replace(asked, model=reader), workers=workers, address=address) as run:
        yield run


@contextmanager
def stored(
    src: Where, dst: Where, modality: str, *, to: str | None, ledger: Where | None,
    columns: Sequence[str] = (),
) -> Iterator[Plan | None]:  # fmt: skip
    """The plan of a release from or into a store; None where there is none of either."""
    suffixes = fetched(kind_of(modality, argument="key").pipeline).suffixes
    if not suffixes:
        for name, place in (("SRC", src), ("DST", dst)):
            if is_remote(place):
                raise InvalidArgument(
                    name, expected=f"a place on this machine for a key of {modality}",
                    found=f"an address of {str(place).partition(':')[0]}://", remedy="copy what lies there",
                )  # fmt: skip
        if to not in (None, "folder"):
            raise InvalidArgument("to", expected=f"folder for a key of {modality}", found=to)
        yield None
        return
    if len(columns) > 1:
        raise InvalidArgument("column", expected="one column of pictures", found=", ".join(columns))
    wanted = Wanted(suffixes=suffixes, column=columns[0] if columns else "")
    with planned(src, dst, wanted, to=to, ledger=ledger) as plan:
        yield plan


def _shard(plan: Plan, shard: Shard, make: Callable[[Source, Shard], Summary], resume: bool) -> Summary:  # fmt: skip
    """Release one shard and pack it."""
    source, sink = plan.open(shard), plan.sink
    try:
        with one_sentence(shard.target or shard.room):
            shard.ledger.parent.mkdir(parents=True, exist_ok=True)
            shard.room.parent.mkdir(parents=True, exist_ok=True)
            before = laid_out(shard, sink, resume=resume)
        done = make(source, shard)
        with one_sentence(shard.target or shard.room):
            if sink is not None and shard.target is not None:
                done = packed(shard, sink, source, done, before)
            if shard.sent:
                sent(shard, sink)
    finally:
        source.close()
    return done


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
