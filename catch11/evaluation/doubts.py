"""Reasons not to rely on what was measured of a release, as far as its records alone show them.

The same doubts as `catch11.evaluation.trust`, which sees every single answer and so pairs them; here intervals
are compared as if they were independent, which doubts more.
"""

import math
from collections.abc import Iterator, Sequence

from catch11.evaluation.groups import clean_of, largest
from catch11.evaluation.record import Condition, Record
from catch11.evaluation.trust import FEW, HANDLING, WEAK

_AGREEMENT = ("agreement", "agreement with the authorized model")
_TASK = ("accuracy", "mcc")  # scores that mean little without the clean one beside them


def doubts(records: Sequence[Record]) -> tuple[str, ...]:
    """One sentence a doubt, of the records of one release; what was not measured comes first, with
    the option that measures it."""
    checks = (_missing, _labels, _amount, _withheld, _models, _weak, _handling, _noise)
    return tuple(dict.fromkeys(sentence for check in checks for sentence in check(records)))


def judged(record: Record) -> bool:
    """Whether it is a score of released files, with an attack or without."""
    return record.condition in ("nte", "attack")


def _plain(record: Record) -> bool:
    return record.condition == "nte" or record.attack == "none"


def _missing(records: Sequence[Record]) -> Iterator[str]:
    if not any(_plain(r) and r.role == "authorized" for r in records):
        yield (
            "what the authorized model keeps was not measured: give catch11 attack or verify "
            "the option --model"
        )
    if not any(judged(r) and r.role != "authorized" for r in records):
        yield "no rival was run: nothing is known of what other models get (option --rival)"
    scored = [r for r in records if judged(r) and r.metric in _TASK]
    bare = dict.fromkeys(r.model for r in scored if clean_of(r, records) is None)
    if bare:
        whole = len(bare) == len({r.model for r in scored})
        names = "" if whole else f" by {', '.join(bare)}"
        yield (
            f"no score on the originals{names}, so shares of a clean score are unknown: run "
            "catch11 verify with --source, or catch11 attack with --model, --source and --records"
        )


def _labels(records: Sequence[Record]) -> Iterator[str]:
    rows = [r for r in records if judged(r) and r.metric != "auc"]
    if rows and all(r.metric in _AGREEMENT for r in rows):
        yield "no labels were given: whether a rival is any good on clean images is unknown"


def _amount(records: Sequence[Record]) -> Iterator[str]:
    rows = largest(r for r in records if judged(r))
    for n in sorted({r.n for r in rows if r.n < FEW}, reverse=True):
        names = dict.fromkeys(r.attack or "the release as it is" for r in rows if r.n == n)
        where = "" if all(r.n == n for r in rows) else f" for {', '.join(names)}"
        yield f"only {n} images were scored{where}: below {FEW} the intervals are wide"


def _withheld(records: Sequence[Record]) -> Iterator[str]:
    count = max((int(r.settings.get("withheld") or 0) for r in records), default=0)
    if count:
        yield (
            f"{count} sources were withheld from the release: what is kept is measured on the "
            "rest alone"
        )


def _models(records: Sequence[Record]) -> Iterator[str]:
    """One name for several files; rivals that are the authorized model, its kin or one another."""
    own = {r.model_fingerprint for r in records if r.role == "authorized"} - {None}
    seen: dict[str, str] = {}
    for name in dict.fromkeys(r.model for r in records):
        prints = {r.model_fingerprint for r in records if r.model == name} - {None}
        if len(prints) > 1:
            yield (
                f"{name} stands for {len(prints)} files of different fingerprints: formats of one "
                "model, or several models of one name"
            )
    for r in records:
        if r.role == "authorized":
            continue
        print_ = r.model_fingerprint
        if print_ in own:
            yield f"{r.model} is the authorized model itself, listed as a rival"
        elif print_ and seen.setdefault(print_, r.model) != r.model:
            yield f"{r.model} has the same weights as {seen[print_]}"
        elif r.role == "sibling":
            yield (
                f"{r.model} descends from the authorized weights: it is expected to read the "
                "release"
            )


def _weak(records: Sequence[Record]) -> Iterator[str]:
    clean = [r for r in records if r.condition == "clean"]
    ours = {r.metric: r.value for r in clean if r.role == "authorized"}
    for r in clean:
        if r.role != "authorized" and r.value < WEAK * ours.get(r.metric, 0.0):
            yield (
                f"{r.model} scores {r.value:.2f} on clean images: too weak a rival for its "
                "failure to mean much"
            )


def _handling(records: Sequence[Record]) -> Iterator[str]:
    """The zero-noise control shows what the trip through the canvas alone costs."""
    for r in records:
        clean = clean_of(r, records) if r.condition == "control" else None
        if clean is not None and _least(clean, r) > HANDLING:
            yield (
                f"{r.model} loses {clean.value - r.value:.2f} on clean pictures brought to the "
                "canvas: its preprocessing does not match, and that part is not the recoding's "
                "doing"
            )


def _noise(records: Sequence[Record]) -> Iterator[str]:
    kept = {(r.model, r.metric, r.n): r for r in _own(records, "nte")}
    for noise in _own(records, "gaussian"):
        released = kept.get((noise.model, noise.metric, noise.n))
        if released is not None and _least(released, noise) <= 0.0:
            yield (
                "the authorized model does no better on the release than on Gaussian noise of "
                "the same PSNR: this evaluation shows no specificity"
            )


def _own(records: Sequence[Record], condition: Condition) -> list[Record]:
    return [r for r in records if r.condition == condition and r.role == "authorized"]


def _least(first: Record, second: Record) -> float:
    """The low end of first minus second (Newcombe 1998, method 10: independent shares)."""
    reach = math.hypot(first.value - first.low, second.high - second.value)
    return first.value - second.value - reach
