"""From predictions to numbers: measures, records with their intervals, and the verdict."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catch11.evaluation.classes import same_classes
from catch11.evaluation.interval import Interval, paired_difference
from catch11.evaluation.metrics import accuracy, balanced_accuracy
from catch11.evaluation.record import Condition, Record, Role, Verdict, versions
from catch11.keys.authorized import Authorized
from catch11.releases.manifest import Entry
from catch11.releases.read import Release

AGREEMENT = "agreement"  # with the model's own prediction on the clean item


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number and its ends, of n items. hits: one an item, where it is a share of them."""

    metric: str
    value: Interval
    n: int
    hits: tuple[bool, ...] = ()

    def by(
        self,
        name: str,
        condition: Condition,
        *,
        attack: str | None = None,
        knowledge: tuple[str, ...] = (),
    ) -> "Score":
        """As what a model, or an attack on it, scored."""
        return Score(
            metric=self.metric, value=self.value, n=self.n, hits=self.hits, name=name,
            condition=condition, attack=attack, knowledge=knowledge,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(Measured):
    """What a model, by name, scored under a condition."""

    name: str
    condition: Condition
    attack: str | None = None
    knowledge: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all records of a run state. key: fingerprint of the release's."""

    key: str | None = None
    seed: int | None = None
    command: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """Predictions by model and condition, one an item: a file, a row of a table, a document. truth: a
    class an item, None where it has none. kept: measures of what the authorized model still gets."""

    files: list[str] = field(default_factory=list)
    truth: list[int | None] = field(default_factory=list)
    answers: dict[tuple[str, Condition], list[Any]] = field(
        default_factory=lambda: defaultdict(list)
    )
    psnr: dict[Condition, list[float]] = field(default_factory=lambda: defaultdict(list))
    ssim: dict[Condition, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, part: "Tally") -> None:
        """Takes in what a further batch gave."""
        self.files += part.files
        self.truth += part.truth
        self.problems += part.problems
        pairs: Any = ((self.psnr, part.psnr), (self.ssim, part.ssim), (self.kept, part.kept))
        for mine, theirs in pairs:
            for name, values in theirs.items():
                mine[name] += values
        for place, given in part.answers.items():
            self.answers[place] += given


def share_of(metric: str, hits: Iterable[bool]) -> Measured:
    """A share of hits, with Wilson's interval."""
    every = tuple(hits)
    return Measured(metric=metric, value=accuracy(every), n=len(every), hits=every)


def class_scores(tally: Tally, named: Mapping[str, Authorized]) -> list[Score]:
    """Accuracy where labels, which are classes of the authorized model, the first, apply, and balanced
    accuracy where one of them is more than half; then agreement with a model's own clean prediction; without both, rivals' agreement with the authorized
    model on the released items."""
    scores = []
    first = next(iter(named))
    alike = {name: same_classes(named[first].labels, one.labels) for name, one in named.items()}
    known = [place for place, label in enumerate(tally.truth) if label is not None]
    clean = any(condition == "clean" for _, condition in tally.answers)
    for (name, condition), given in tally.answers.items():
        classes = alike[name]
        if known and classes is not None:
            truth = [tally.truth[place] for place in known]
            hits = _same([given[place] for place in known], _among(classes, truth))
            scores.append(share_of("accuracy", hits).by(name, condition))
            if len(known) < 2 * max(Counter(truth).values()) < 2 * len(known):
                scores.append(_balanced(truth, hits).by(name, condition))
    for (name, condition), given in tally.answers.items():
        if clean and condition != "clean":
            own = tally.answers[name, "clean"]
            scores.append(share_of(AGREEMENT, _same(given, own)).by(name, condition))
        elif not clean and not known and name != first and (classes := alike[name]) is not None:
            hits = _same(given, _among(classes, tally.answers[first, condition]))
            metric = f"{AGREEMENT} with the authorized model"
            scores.append(share_of(metric, hits).by(name, condition))
    return scores


def _balanced(truth: Sequence[int | None], hits: Sequence[bool]) -> Measured:
    """Where one class is more than half of the items, and accuracy says little of the others."""
    by_class: dict[int | None, list[bool]] = defaultdict(list)
    for label, hit in zip(truth, hits, strict=True):
        by_class[label].append(hit)
    share = balanced_accuracy(list(by_class.values()))
    return Measured(metric="balanced accuracy", value=share, n=len(hits))


def _among(classes: Sequence[int], answers: Iterable[Any]) -> list[Any]:
    """The same classes in another model's order; words stay as they are."""
    return [classes[one] if classes else one for one in answers]


def _same(given: Sequence[Any], other: Sequence[Any]) -> list[bool]:
    return [bool(one == two) for one, two in zip(given, other, strict=True)]


def to_record(
    measured: Measured,
    run: Run,
    *,
    model: str,
    role: Role,
    condition: Condition,
    fingerprint: str | None = None,
    attack: str | None = None,
    knowledge: tuple[str, ...] = (),
    psnr: float | None = None,
    ssim: float | None = None,
    settings: Mapping[str, Any] = {},
) -> Record:
    """A measure as a record. fingerprint: of the model. settings: beside those of the run."""
    return Record(
        model=model, role=role, condition=condition, metric=measured.metric,
        value=measured.value.estimate, low=measured.value.low, high=measured.value.high,
        n=measured.n, attack=attack, knowledge=knowledge, psnr=psnr, ssim=ssim,
        model_fingerprint=fingerprint, key_fingerprint=run.key, seed=run.seed, command=run.command,
        settings={**run.settings, **settings}, versions=versions(),
    )  # fmt: skip


def release_id(entries: Iterable[Entry]) -> str:
    """Eight hex digits of a release's listed files, so that records of one release are known."""
    listed = "".join(sorted(entry.sha256 for entry in entries))
    return hashlib.sha256(listed.encode()).hexdigest()[:8]


def kept_facts(release: Release) -> dict[str, str]:
    """What a release says that its files keep, and the seal of the copy that they are for, as far as it
    says so."""
    stated = {
        "keep": release.keep.near if release.keep else "", "sealed": str(release.facts.get("sealed", ""))
    }  # fmt: skip
    return {name: text for name, text in stated.items() if text}


def mean(values: Sequence[float]) -> float | None:
    """The mean of the finite ones; None where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def to_verdict(
    scores: Sequence[Score],
    roles: Mapping[str, Role],
    *,
    max_drop: float | None,
    max_rival: float | None,
    disagreements: int,
    drop: Interval | None = None,
) -> Verdict:
    """The verdict by the first metric of each model. drop: what the authorized model lost, paired, of
    scores that are no shares of hits."""
    first = {score.name: score.metric for score in reversed(scores)}
    rows = {(s.name, s.condition): s for s in scores if s.metric == first[s.name]}
    retention = None
    strongest: Score | None = None
    lost = []
    for (name, condition), released in rows.items():
        if condition != "nte":
            continue
        clean = rows.get((name, "clean"))
        # Agreement is with the clean prediction, which agrees with itself.
        before = clean.value.estimate if clean else 1.0 if released.metric == AGREEMENT else None
        kept = released.value.estimate / before if before and math.isfinite(before) else None
        if roles[name] == "authorized":
            retention = kept
            sure = clean.hits if clean else (True,) * released.n if before else ()
            if sure and released.hits:
                drop = paired_difference(sure, released.hits)
        else:
            lost += [] if kept is None else [1.0 - kept]
            if strongest is None or released.value.estimate > strongest.value.estimate:
                strongest = released
    return Verdict(
        drop=drop,
        retention=retention,
        rival=strongest.value if strongest else None,
        rival_name=strongest.name if strongest else None,
        degradation=min(lost) if lost else None,
        max_drop=max_drop,
        max_rival=max_rival,
        disagreements=disagreements,
    )
