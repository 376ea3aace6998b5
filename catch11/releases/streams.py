"""A data set that streams, released a part at a time: each part a shard, what is finished skipped."""

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from catch11.data.stores.columns import row_name
from catch11.data.stores.frame import Store, Wanted, beside
from catch11.data.stores.remote import Where, fetch, kind_at, shown
from catch11.data.stores.streams import Stream, part_source, without_rows
from catch11.errors import InvalidArgument, ReleaseError, UnreadableSource
from catch11.releases.engine import Summary
from catch11.releases.ledger import rows_in
from catch11.releases.lines import whole_lines
from catch11.releases.manifest import Manifest, read_manifest
from catch11.releases.packing import list_at, list_of
from catch11.releases.plan import Shard, of_parts
from catch11.releases.shards import Make, made_shard, together

Header = Callable[[Shard, str], Mapping[str, Any]]
"""What the release of a shard would state of itself, its pictures in the column of that name."""
Mark = Callable[[bytes], str]
"""What the ledger knows a picture by."""


def released(
    stream: Stream, dst: Where, make: Make, header: Header, mark: Mark, *,
    to: str | None, ledger: Where | None, wanted: Wanted, resume: bool,
) -> Summary:  # fmt: skip
    """Every part of a stream, packed into a shard of its own. Raises InvalidArgument, ReleaseError."""
    sink, shard_of = of_parts(dst, to=to, ledger=ledger)
    done: list[Summary] = []
    shards: list[Shard] = []
    for number in count():
        shard = shard_of(number)
        stands = None
        if resume and shard.ledger.is_file():
            more = shard_of(number + 1).ledger.is_file()
            stands = _standing(shard, sink, header, wanted, rows=stream.rows, more=more)
            if stands is not None and not number:
                _refuse_other(stream, shard, wanted, mark)
        if stands is None:
            table = stream.part(number)
            if table is None:
                _ended(shard, number)
                break
            source = part_source(table, wanted)
            del table  # one part is held, not two
            stands = made_shard(source, sink, shard, make, resume=resume)
            del source
        done.append(stands)
        shards.append(shard)
    return together(done, shards, sink)


def _refuse_other(stream: Stream, shard: Shard, wanted: Wanted, mark: Mark) -> None:
    """Raises ReleaseError where the first row is not that of the earlier run: what is skipped would not be what stands."""
    table = stream.first()
    if table is None:
        return  # as one that ends too early
    name = row_name(0)
    known = [row.mac for row in rows_in(shard.ledger) if row.source == name]
    try:
        found = mark(part_source(table, wanted).data(name))
    except (UnreadableSource, InvalidArgument):
        found = ""  # it has no picture
    if known[-1:] != [found]:
        raise ReleaseError(
            shown(shard.sent or str(shard.target)), "its first row is not the stream's first: the rows or their order are others",
            "give the same rows in the same order, a shuffled stream with its seed, or a new name",
        )  # fmt: skip


def _ended(shard: Shard, number: int) -> None:
    """Refuse a stream without a row, and one that is shorter than what stands of it."""
    if not number:
        raise without_rows()
    if shard.ledger.is_file():
        raise ReleaseError(
            shown(shard.sent or str(shard.target)), "the stream ends before this part of an earlier run",
            "give the same rows in the same order, or a new name",
        )  # fmt: skip


def _standing(
    shard: Shard, sink: Store, header: Header, wanted: Wanted, *, rows: int, more: bool
) -> Summary | None:
    """What became of a part that an earlier run finished as asked now; None where it must be read. more:
    whether parts follow. Only a full part is finished: a short one may have been the end then and not be it now."""
    with shard.ledger.open("rb") as file:
        begun = next(whole_lines(file), b"")  # a run may have stopped before its first line
    last = {row.source: row for row in rows_in(shard.ledger)} if begun else {}
    if len(last) > rows or (more and len(last) < rows):
        raise InvalidArgument(
            "rows", expected=f"{len(last)}, as {shard.name} of the earlier run has", found=rows
        )
    list_ = _list(shard, sink) if len(last) == rows else None
    column = "" if list_ is None else str(list_.header.get("column", ""))
    if list_ is None or not (list_.complete and list_.entries) or wanted.column not in ("", column):
        return None
    if any(list_.header.get(name) != value for name, value in header(shard, column).items()):
        return None
    outcomes = [row.outcome for row in last.values()]
    found = [one.distance for one in last.values() if one.distance is not None]
    return Summary(
        written=0, reused=outcomes.count("released"), withheld=outcomes.count("withheld"),
        skipped=outcomes.count("skipped"), manifest=list_of(shard, sink), address=shown(list_at(shard, sink)), ledger=shard.ledger,
        distance=(median(found), max(found)) if found else None,
    )  # fmt: skip


def _list(shard: Shard, sink: Store) -> Manifest | None:
    """The list of a part that is packed, or sent, with nothing of a run under way beside it."""
    target = shard.target
    assert target is not None
    under_way = [one for one in target.parent.glob(f"{target.name}.*") if one != beside(target)]
    if under_way:
        return None
    if not shard.sent:
        path = list_of(shard, sink)
        return read_manifest(path) if target.exists() and path.is_file() else None
    address = list_at(shard, sink)
    if target.exists() or "none" in (kind_at(shard.sent), kind_at(address)):
        return None
    with TemporaryDirectory() as folder:
        return read_manifest(fetch(address, Path(folder)))
