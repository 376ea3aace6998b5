"""Which records belong together: one release, one line of releases, the clean score beside a score."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from catch11.evaluation.record import Record


def release_of(record: Record) -> str:
    """What tells releases apart: the listed files where stated, else key, method and whom for."""
    settings = record.settings
    if settings.get("release"):
        return str(settings["release"])
    whom = settings.get("authorized")
    parts = ((record.key_fingerprint or "")[:8], settings.get("method"), whom and f"for {whom}")
    return " ".join(str(part) for part in parts if part)


def line_of(record: Record) -> tuple[str, str, str]:
    """What releases of different strengths have in common: key, method and authorized model. Where
    no key is stated, the command that made the record stands for it."""
    settings = record.settings
    return (
        record.key_fingerprint or record.command or "",
        str(settings.get("method") or ""),
        str(settings.get("authorized") or ""),
    )


def clean_of(record: Record, among: Iterable[Record]) -> Record | None:
    """What the same model scored, by the same metric, on the originals of the same release: on as
    many pictures where that is among the records, else on another number of them. Of a further
    release with the same key, method and authorized model only a score of as many pictures with the
    same seed and the same weights counts. None where there is none."""
    place = (record.model, record.metric)
    alike = [one for one in among if one.condition == "clean" and (one.model, one.metric) == place]
    own = [one for one in alike if release_of(one) == release_of(record)]
    if own:
        return max(own, key=lambda one: (*_likeness(one, record), one.n))
    kin = [one for one in alike if line_of(one) == line_of(record)]
    return next((one for one in kin if all(_likeness(one, record)[1:])), None)


def _likeness(one: Record, other: Record) -> tuple[bool, bool, bool, bool]:
    """Of one run; of as many pictures; by the same weights; with one seed: what pairs best, first."""
    return (
        one.settings.get("cell") == other.settings.get("cell"),
        one.n == other.n,
        one.model_fingerprint == other.model_fingerprint,
        one.seed == other.seed,
    )


def preferred(records: Sequence[Record]) -> list[Record]:
    """Of each model and condition of a release the records of one metric: accuracy where there is
    one, then what stands first."""
    chosen: dict[tuple[object, ...], str] = {}
    for record in records:
        place = _place(record)
        if place not in chosen or record.metric == "accuracy":
            chosen[place] = record.metric
    return [record for record in records if chosen[_place(record)] == record.metric]


def _place(record: Record) -> tuple[object, ...]:
    return release_of(record), record.model, record.condition, record.attack


def largest(records: Iterable[Record]) -> list[Record]:
    """Of what was measured of a release more than once, on different numbers of pictures, the
    records of the most. Clean scores stay: they are paired with what has their number."""
    held: dict[tuple[object, ...], int] = defaultdict(int)
    rows = list(records)
    for record in rows:
        held[_cell(record)] = max(held[_cell(record)], record.n)
    return [one for one in rows if one.condition == "clean" or one.n == held[_cell(one)]]


def _cell(record: Record) -> tuple[object, ...]:
    return (*_place(record), record.role, record.metric, record.knowledge)
