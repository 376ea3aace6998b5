"""What a release would be, measured on a few of its items: how many, how strong, how long, how large.

Nothing is written: a few chunks, evenly spaced, are read, recoded, encoded and checked as the work
itself would, and the rest is reckoned from them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from time import monotonic
from typing import Any

from catch11.data.pictures import quiet
from catch11.data.selection import batches, spread
from catch11.errors import UnreadableSource
from catch11.releases.engine import Planned, settings_id
from catch11.releases.ledger import read_ledger
from catch11.releases.pipeline import Draft

CHUNKS = 4
SECONDS = 60.0  # after which no further chunk is begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A release before it is made. files: sources there are; standing: of these, already released as
    asked. tried: items that were recoded for this; kept: of these, how many would be released. lost:
    sources that cannot be read, among the tried and the listed. psnr: the tried ones' median, None where there is none.
    seconds, megabytes: of all that is left to do, reckoned."""

    files: int
    standing: int
    tried: int
    kept: int
    lost: int
    psnr: float | None
    seconds: float
    megabytes: float
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


@dataclass(slots=True)
class _Tally:
    """What the tried chunks came to."""

    tried: int = 0
    lost: int = 0
    sizes: list[int] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # an item, of each chunk
    reasons: list[str] = field(default_factory=list)


def preview(planned: Planned, *, workers: int = 1) -> Preview:
    """Try a few items of a release that was planned. Raises ReleaseError where its ledger is damaged."""
    pipeline, tally = planned.pipeline, _Tally()
    order = pipeline.sort(sorted(pipeline.names))
    chunks = spread(list(batches(order, pipeline.batch)), CHUNKS)
    begun = monotonic()
    with quiet():
        for chunk in chunks:
            if monotonic() - begun > SECONDS:
                break
            _try(planned, chunk, tally)
    count = len(pipeline.names)
    standing = _standing(planned)
    left, share = count - standing, len(tally.sizes) / max(tally.tried, 1)
    size = sum(tally.sizes) / max(len(tally.sizes), 1)
    return Preview(
        files=count + len(pipeline.problems), standing=standing, tried=tally.tried,
        kept=len(tally.sizes), lost=tally.lost + len(pipeline.problems),
        psnr=median(tally.psnr) if tally.psnr else None,
        # The first chunk loads what the others find loaded, so that the mean would be too long.
        seconds=left * median(tally.seconds or [0.0]) / workers,
        megabytes=left * share * size / 1e6, reasons=tuple(dict.fromkeys(tally.reasons)),
    )  # fmt: skip


def _try(planned: Planned, names: Sequence[str], tally: _Tally) -> None:
    """One chunk, as far as its bytes."""
    pipeline, canvas, begun = planned.pipeline, planned.recoder.key.canvas, monotonic()
    items = []
    for name in names:
        try:
            items.append(pipeline.read(name, pipeline.data(name)))
        except UnreadableSource as error:
            tally.lost += 1
            tally.reasons.append(error.reason)
    made = list(pipeline.recode(items)) if items else []
    files = [(item, one) for item, one in zip(items, made, strict=True) if one.value is not None]
    data = [pipeline.form.encode(one.value, canvas) for _, one in files]
    judged: Sequence[Draft[Any]] = [one for _, one in files]
    if planned.check is not None and files:
        judged = pipeline.judge([item for item, _ in files], judged, data)
    tally.tried += len(names)
    for one, held in zip(judged, data, strict=True):
        if one.value is not None:
            tally.sizes.append(len(held))
            if one.psnr is not None and math.isfinite(one.psnr):
                tally.psnr.append(one.psnr)
    tally.reasons += [one.reason for one in (*made, *judged) if one.value is None]
    tally.seconds.append((monotonic() - begun) / len(names))


def _standing(planned: Planned) -> int:
    """How many sources an earlier run released as it is asked for now."""
    if not planned.places.ledger.is_file():
        return 0
    settings = settings_id(planned.recoder, planned.pipeline)
    here = set(planned.pipeline.names)
    rows = read_ledger(planned.places.ledger)
    given = {row.source for row in rows if row.outcome == "released" and row.settings == settings}
    return len(given & here)
