"""From answers to numbers: hits, records with their intervals, and the verdict."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from catch11.data.labels import Labels
from catch11.evaluation.interval import Interval, paired_difference
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record, Role, Verdict, versions
from catch11.models.frame import Model
from catch11.releases.read import Release


@runtime_checkable
class Fingerprinted(Protocol):
    """What a record states of a model."""

    @property
    def fingerprint(self) -> str: ...


@dataclass(slots=True)
class Tally:
    """Answers by model and condition, one a file (of tables, a row); numbers only, so memory stays flat."""

    files: list[str] = field(default_factory=list)
    answers: dict[tuple[str, Condition], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    psnr: dict[Condition, list[float]] = field(default_factory=lambda: defaultdict(list))
    ssim: dict[Condition, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    name: str
    condition: Condition
    metric: str
    hits: tuple[bool, ...]


def score_answers(
    tally: Tally, named: Mapping[str, Model], truth: Labels | None, model: Model
) -> list[Score]:
    """Accuracy where labels apply, then agreement with a model's own clean answer; without both,
    rivals' agreement with the authorized model on the released files."""
    scores = []
    labelled = [truth.of(file) for file in tally.files] if truth else None
    clean = "clean" in {condition for _, condition in tally.answers}
    for (name, condition), given in tally.answers.items():
        if labelled is not None and len(named[name].labels) == len(model.labels):
            scores.append(_score(name, condition, "accuracy", given, labelled))
    for (name, condition), given in tally.answers.items():
        if clean and condition != "clean":
            own = tally.answers[name, "clean"]
            scores.append(_score(name, condition, "agreement", given, own))
        elif not clean and labelled is None and named[name] is not model:
            authorized = tally.answers[next(iter(named)), condition]
            metric = "agreement with the authorized model"
            scores.append(_score(name, condition, metric, given, authorized))
    return scores


def _score(
    name: str, condition: Condition, metric: str, given: Sequence[int], truth: Sequence[int | None]
) -> Score:
    hits = tuple(one == other for one, other in zip(given, truth, strict=True))
    return Score(name=name, condition=condition, metric=metric, hits=hits)


def to_record(
    score: Score,
    named: Mapping[str, Fingerprinted],
    roles: Mapping[str, Role],
    tally: Tally,
    settings: Mapping[str, Any],
    key: str,
    seed: int,
    command: str | None,
) -> Record:
    """key: fingerprint of the release's."""
    share = accuracy(score.hits)
    return Record(
        model=score.name,
        role=roles[score.name],
        condition=score.condition,
        metric=score.metric,
        value=share.estimate,
        low=share.low,
        high=share.high,
        n=len(score.hits),
        psnr=_mean(tally.psnr.get(score.condition, ())),
        ssim=_mean(tally.ssim.get(score.condition, ())),
        model_fingerprint=named[score.name].fingerprint,
        key_fingerprint=key,
        seed=seed,
        command=command,
        settings=settings,
        versions=versions(),
    )


def release_id(release: Release) -> str:
    """Eight hex digits of a release's listed files, so that records of one release are known."""
    listed = "".join(sorted(entry.sha256 for entry in release.entries))
    return hashlib.sha256(listed.encode()).hexdigest()[:8]


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def to_verdict(
    scores: Sequence[Score],
    roles: Mapping[str, Role],
    max_drop: float | None,
    max_rival: float | None,
    disagreements: int,
) -> Verdict:
    first = next((score.metric for score in scores), "")
    hits = {(s.name, s.condition): s.hits for s in scores if s.metric == first}
    drop = retention = None
    strongest: tuple[str, Interval] | None = None
    lost = []
    for (name, condition), released in hits.items():
        if condition != "nte":
            continue
        share = accuracy(released)
        # Agreement is with the clean answer, which agrees with itself.
        clean = hits.get((name, "clean"), (True,) * len(released) if first == "agreement" else None)
        kept = sum(released) / sum(clean) if clean and sum(clean) else None
        if roles[name] == "authorized":
            drop, retention = paired_difference(clean, released) if clean else None, kept
        else:
            lost += [] if kept is None else [1.0 - kept]
            if strongest is None or share.estimate > strongest[1].estimate:
                strongest = (name, share)
    return Verdict(
        drop=drop,
        retention=retention,
        rival=strongest[1] if strongest else None,
        rival_name=strongest[0] if strongest else None,
        degradation=min(lost) if lost else None,
        max_drop=max_drop,
        max_rival=max_rival,
        disagreements=disagreements,
    )
