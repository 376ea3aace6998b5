"""release: pictures or sounds from wherever they lie into whatever they shall lie in; all else as ever.

What is packed (zip, tar, shard, table, data set) is first a release folder beside it, by the name of the result and
`.part`, so that a stopped run resumes as every release does; `packing` does the rest.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from catch11.data.stores.frame import Given, Source, Wanted
from catch11.data.stores.remote import Where, is_remote
from catch11.data.stores.remote import local as here
from catch11.data.stores.streams import Stream, is_stream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import fetched, kind_of
from catch11.recoding.frame import Recoder
from catch11.releases import engine as local
from catch11.releases import streams
from catch11.releases.engine import Progress, Runner, Summary
from catch11.releases.form import form_of
from catch11.releases.holdings import refuse_released
from catch11.releases.ledger import Marks, content_mac
from catch11.releases.names import Naming
from catch11.releases.pipeline import Long, Request
from catch11.releases.plan import Plan, Shard, planned
from catch11.releases.pool import check_engine
from catch11.releases.shards import made_of


def release(
    src: Where | Any,
    dst: Where,
    recoder: Recoder[Any],
    *,
    to: str | None = None,
    rows: int = 1000,
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
    these (s3://, gs://, memory://, ...), or an IterableDataset or Dataset of `datasets` in hand. dst: a folder, or what its suffix or `to` says: folder, zip, tar, webdataset,
    parquet, arrow, datasets; otherwise as the source. Other columns and members stay as they are, in their
    order; a row or sample without a released picture is left out. columns: the column or field of pictures where
    there are several; of texts those to recode. The list lies in a folder, zip, tar or data set, and beside
    anything else; of shards each has its own, and its own ledger in the folder `DST.ledger`. rows: of a data set in hand, that
    are taken at a time and make a shard, of Parquet unless `to` says arrow or datasets; they must come in the same order when
    a run resumes, which skips the shards that are full.

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

    suffix = suffix_of(recoder)

    def made(source: Source, shard: Shard) -> Summary:
        return local.release(source, shard.room, recoder, ledger=shard.ledger, **given)

    def header(shard: Shard, column: str) -> Mapping[str, Any]:
        nothing = Given()
        nothing.column = column
        plan = local.planned(
            nothing, shard.room, recoder, format=format, model=model, check=check, ledger=shard.ledger,
            read=read, long=long, most=most,
        )  # fmt: skip
        return local.stated(plan, names)

    def mark(data: bytes) -> str:
        return content_mac(marks or recoder.key, data, of="source")

    if is_stream(src):
        stream, wanted = Stream(src, rows=rows), _wanted(recoder.key.modality, columns, suffix)
        with _run_by(engine, asked, workers, address) as given["run"]:
            return streams.released(
                stream, dst, made, header, mark, to=to, ledger=ledger, wanted=wanted, resume=resume
            )
    with (
        stored(
            src, dst, recoder.key.modality, to=to, ledger=ledger, columns=columns, suffix=suffix
        ) as plan,
        _run_by(engine, asked, workers, address) as given["run"],
    ):
        if plan is None:
            return local.release(src, dst, recoder, ledger=ledger, columns=columns, **given)
        return made_of(plan, made, resume=resume)


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


def suffix_of(recoder: Recoder[Any]) -> str:
    """Of the files that a recoder's data is released in; none where stores hold no such data."""
    return form_of(recoder.domain.format).suffix if _suffixes(recoder.key.modality) else ""


@contextmanager
def stored(
    src: Where, dst: Where, modality: str, *, to: str | None, ledger: Where | None,
    columns: Sequence[str] = (), suffix: str = "",
) -> Iterator[Plan | None]:  # fmt: skip
    """The plan of a release from or into a store; None where there is none of either. suffix: of released files, if known."""
    if not _suffixes(modality):
        for name, place in (("SRC", src), ("DST", dst)):
            if is_remote(place):
                raise InvalidArgument(
                    name, expected=f"a place on this machine for a key of {modality}",
                    found=f"an address of {str(place).partition(':')[0]}://", remedy="copy what lies there",
                )  # fmt: skip
        if to not in (None, "folder"):
            raise InvalidArgument("to", expected=f"folder for a key of {modality}", found=to)
        refuse_released(here(src))
        yield None
        return
    with planned(src, dst, _wanted(modality, columns, suffix), to=to, ledger=ledger) as plan:
        if not is_remote(src):
            refuse_released(here(src))
        yield plan


def _suffixes(modality: str) -> Collection[str]:
    """Of the files of a kind of data that stores may hold; none where it knows no stores."""
    suffixes: Collection[str] = fetched(kind_of(modality, argument="key").pipeline).suffixes
    return suffixes


def _wanted(modality: str, columns: Sequence[str], suffix: str) -> Wanted:
    """What is looked for in a store."""
    suffixes = _suffixes(modality)
    if not suffixes:
        expected = f"a file or a folder for a key of {modality}"
        raise InvalidArgument("SRC", expected=expected, found="a data set in hand")
    if len(columns) > 1:
        raise InvalidArgument("column", expected="one column of pictures", found=", ".join(columns))
    return Wanted(suffixes=suffixes, column=columns[0] if columns else "", suffix=suffix)
