"""Releases of one shard after another: each made in a folder and packed, and all of them summed up."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from catch11.data.stores.find import stem_of
from catch11.data.stores.frame import Source, Store
from catch11.data.stores.hub import SPLITS
from catch11.data.stores.remote import send, shown
from catch11.releases.engine import Summary
from catch11.releases.ledger import read_ledger
from catch11.releases.packing import laid_out, list_at, packed, sent
from catch11.releases.places import one_sentence
from catch11.releases.plan import Plan, Shard

Make = Callable[[Source, Shard], Summary]
"""The release folder of an opened shard, in its room, with its ledger."""


def made_of(plan: Plan, make: Make, *, resume: bool) -> Summary:
    """Every shard of a plan, packed."""
    done = [
        made_shard(plan.open(shard), plan.sink, shard, make, resume=resume) for shard in plan.shards
    ]
    return together(done, plan.shards, plan.sink if plan.several else None)


def made_shard(
    source: Source, sink: Store | None, shard: Shard, make: Make, *, resume: bool
) -> Summary:
    """Release one shard and pack it; closes the source."""
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
                done = replace(done, address=shown(list_at(shard, sink)))
    finally:
        source.close()
    return done


def together(done: Sequence[Summary], shards: Sequence[Shard], sink: Store | None) -> Summary:
    """One summary of all shards. sink: what their folder is of, None where there is none."""
    if sink is not None and sink.name == "datasets":
        _splits(shards)
    if len(done) == 1:
        return done[0]
    rows = [row for one in done if one.distance is not None for row in read_ledger(one.ledger)]
    found = [row.distance for row in rows if row.outcome == "released" and row.distance is not None]
    counts: dict[str, int] = {}
    for one in done:
        for name, count in one.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Summary(
        written=sum(one.written for one in done), reused=sum(one.reused for one in done),
        withheld=sum(one.withheld for one in done), skipped=sum(one.skipped for one in done),
        manifest=done[0].manifest.parent, address=done[0].address.rpartition("/")[0], ledger=shards[0].ledger.parent,
        refused=tuple(refusal for one in done for refusal in one.refused), counts=counts,
        keep=done[0].keep,
        distance=(median(found), max(found)) if found else None,
    )  # fmt: skip


def _splits(shards: Sequence[Shard]) -> None:
    """Say which data sets lie in a folder of them, as `datasets` does."""
    names = [stem_of(shard.name) for shard in shards]
    first, below = shards[0], len(Path(names[0]).parts)
    assert first.target is not None
    with TemporaryDirectory() as kept:
        path = (Path(kept) if first.sent else first.target.parents[below - 1]) / SPLITS
        path.write_text(json.dumps({"splits": names}))
        if first.sent:
            send(path, f"{first.sent.removesuffix(names[0])}{SPLITS}")
