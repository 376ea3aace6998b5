"""Is this evaluation itself sound? What was measured in, one sentence a doubt out.

The same doubts of an evaluation at work, whose every answer is there and is paired, and of records
that were kept, whose intervals are compared as if they were independent, which doubts more.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from catch11.data.labels import folded
from catch11.evaluation.classes import same_classes
from catch11.evaluation.groups import clean_of, largest
from catch11.evaluation.interval import Interval, paired_difference
from catch11.evaluation.leaks import leaks
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.roles import roles_of
from catch11.keys.authorized import Authorized

HANDLING = 0.02  # accuracy that the way through the canvas may cost
FEW = 100  # images: below this an accuracy of .8 is known no better than to ± .08
WEAK = 0.5  # a rival that knows less than this share of what the authorized one knows proves little
_AGREEMENT = ("agreement", "agreement with the authorized model")
_TASK = ("accuracy", "mcc")  # scores that mean little without the clean one beside them
_UNLABELLED = "no labels were given: whether a rival is any good on clean images is unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an evaluation did. labels: of the scored items, by name; names: of the classes. hits: by
    model name and condition, one for each scored item, in one order for all. scored: how many items
    were, where there are no hits. unit: what the items are, for sentences."""

    authorized: str
    rivals: Sequence[str]
    files: Sequence[str]
    labels: Mapping[str, int]
    names: Sequence[str]
    hits: Mapping[tuple[str, str], Sequence[bool]]
    sourced: bool
    scored: int | None = None
    withheld: int = 0
    unlabelled: Sequence[str] = ()
    unit: str = "images"


class Standing(NamedTuple):
    """A model's score under a condition; hits: where every answer is there, so that it is paired."""

    model: str
    score: Interval
    hits: Sequence[bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    """What both ways of looking bring. missing: sentences on what was not measured. counts: items
    scored, and of what. clean: a rival's clean score beside the authorized model's. handled: clean
    beside the zero-noise control. specific: the authorized model, released beside Gaussian."""

    missing: Sequence[str]
    counts: Sequence[tuple[int, str]]
    withheld: int
    clean: Sequence[tuple[Standing, Standing]]
    handled: Sequence[tuple[Standing, Standing]]
    specific: Sequence[tuple[Standing, Standing]]
    unit: str = "images"


def doubts(facts: Facts) -> tuple[str, ...]:
    """One sentence for each reason not to rely on an evaluation; empty when none was found."""
    held = _of_answers(facts)
    none = facts.unlabelled
    left = [f"{len(none)} files have no label and were left out, first {none[0]}"] if none else []
    return (*_shared(held), *left, *_chance(facts), *leaks(facts.files, facts.labels, facts.names))


def doubts_of_records(records: Sequence[Record]) -> tuple[str, ...]:
    """The same of the records of one release; what was not measured comes first, with the option that
    measures it."""
    return tuple(dict.fromkeys((*_shared(_of_records(records)), *_models(records))))


def doubts_of_models(model: Authorized, rivals: Sequence[Authorized]) -> tuple[str, ...]:
    """Doubts about the choice of rivals, from their weights and labels alone."""
    roles = roles_of(model, {str(place): one for place, one in enumerate((model, *rivals))})
    rows = [(one.name, one.fingerprint, roles[str(n)]) for n, one in enumerate(rivals, start=1)]
    other = [
        f"{rival.name} {_otherwise(model, rival)}: labels do not apply to it, so its own clean "
        "answer is the truth"
        for rival in rivals
        if same_classes(model.labels, rival.labels) is None
    ]
    return (*_alike(rows, {model.fingerprint}), *other)


def _otherwise(model: Authorized, rival: Authorized) -> str:
    if len(rival.labels) != len(model.labels):
        return f"has {len(rival.labels)} classes and the authorized model {len(model.labels)}"
    known = {folded(name) for name in rival.labels}
    name = next((one for one in model.labels if folded(one) not in known), model.labels[0])
    return f"names other classes than the authorized model, whose {name!r} it does not know"


def doubts_of_shares(records: Iterable[Record]) -> tuple[str, ...]:
    """Doubts about a table of accuracies and agreements, from how many items stand behind each."""
    counts = [record.n for record in records if record.metric in ("accuracy", "agreement")]
    few = [count for count in counts if count < FEW]
    if not few:
        return ()
    return (
        f"{len(few)} of {len(counts)} shares are of fewer than {FEW} items, one of {min(few)}: "
        "their intervals are wide",
    )


def judged(record: Record) -> bool:
    """Whether it is a score of released files, with an attack or without."""
    return record.condition in ("nte", "attack")


def _shared(held: _Evidence) -> Iterator[str]:
    yield from held.missing
    for n, where in held.counts:
        if n < FEW:
            yield f"only {n} {held.unit} were scored{where}: below {FEW} the intervals are wide"
    if held.withheld:
        yield (
            f"{held.withheld} sources were withheld from the release: what is kept is measured on "
            "the rest alone"
        )
    for theirs, ours in held.clean:
        if theirs.score.estimate < WEAK * ours.score.estimate:
            yield (
                f"{theirs.model} scores {theirs.score.estimate:.2f} on clean {held.unit}: too weak a "
                "rival for its failure to mean much"
            )
    for clean, control in held.handled:
        if _least(clean, control) > HANDLING:
            yield (
                f"{clean.model} loses {clean.score.estimate - control.score.estimate:.2f} on clean "
                "pictures brought to the canvas: its preprocessing does not match, and that part is "
                "not the recoding's doing"
            )
    for released, noise in held.specific:
        if _least(released, noise) <= 0.0:
            yield (
                "the authorized model does no better on the release than on Gaussian noise of the "
                "same PSNR: this evaluation shows no specificity"
            )


def _least(first: Standing, second: Standing) -> float:
    """The low end of first minus second: paired where the answers are there, else as of independent
    shares (Newcombe 1998, method 10)."""
    if first.hits is not None and second.hits is not None:
        return paired_difference(first.hits, second.hits).low
    one, two = first.score, second.score
    reach = math.hypot(one.estimate - one.low, two.high - two.estimate)
    return one.estimate - two.estimate - reach


def _alike(rows: Iterable[tuple[str, str | None, Role]], own: set[str | None]) -> Iterator[str]:
    """Rivals that are the authorized model, descend from it, or are one another: of each its name,
    fingerprint and role."""
    seen: dict[str, str] = {}
    for name, print_, role in rows:
        if print_ in own:
            yield f"{name} is the authorized model itself, listed as a rival"
        elif print_ and seen.setdefault(print_, name) != name:
            yield f"{name} has the same weights as {seen[print_]}"
        elif role == "sibling":
            yield f"{name} descends from the authorized weights: it is expected to read the release"


def _of_answers(facts: Facts) -> _Evidence:
    def standing(model: str, condition: str) -> Standing | None:
        hits = facts.hits.get((model, condition))
        return Standing(model, accuracy(hits), hits) if hits else None

    def pairs(rows: Iterable[tuple[Standing | None, Standing | None]]) -> list:
        return [row for row in rows if None not in row]

    own, every = facts.authorized, (facts.authorized, *facts.rivals)
    missing = []
    if not facts.rivals:
        missing.append("no rival was run: nothing is known of what other models get")
    if not facts.sourced:
        missing.append("no source was given: clean answers, the drop and the controls are unknown")
    if not facts.labels and facts.rivals:
        missing.append(_UNLABELLED)
    weighed = facts.rivals if facts.labels else ()
    return _Evidence(
        missing=missing,
        counts=[(facts.scored or len(next(iter(facts.hits.values()), ())), "")],
        withheld=facts.withheld,
        clean=pairs((standing(one, "clean"), standing(own, "clean")) for one in weighed),
        handled=pairs((standing(one, "clean"), standing(one, "control")) for one in every),
        specific=pairs([(standing(own, "nte"), standing(own, "gaussian"))]),
        unit=facts.unit,
    )


def _of_records(records: Sequence[Record]) -> _Evidence:
    scored = [r for r in records if judged(r)]
    clean = [r for r in records if r.condition == "clean"]
    ours = {r.metric: r for r in clean if r.role == "authorized"}
    kept = {(r.model, r.metric, r.n): r for r in _own(records, "nte")}
    handled = [(clean_of(r, records), r) for r in records if r.condition == "control"]
    specific = [(kept.get((r.model, r.metric, r.n)), r) for r in _own(records, "gaussian")]
    return _Evidence(
        missing=[*_unmeasured(records), *_unlabelled(scored)],
        counts=list(_counts(scored)),
        withheld=max((int(r.settings.get("withheld") or 0) for r in records), default=0),
        clean=[
            (_standing(r), _standing(ours[r.metric]))
            for r in clean
            if r.role != "authorized" and r.metric in ours
        ],
        handled=[(_standing(a), _standing(b)) for a, b in handled if a is not None],
        specific=[(_standing(a), _standing(b)) for a, b in specific if a is not None],
    )


def _standing(record: Record) -> Standing:
    return Standing(record.model, record.interval)


def _own(records: Sequence[Record], condition: Condition) -> list[Record]:
    return [r for r in records if r.condition == condition and r.role == "authorized"]


def _counts(scored: Sequence[Record]) -> Iterator[tuple[int, str]]:
    rows = largest(scored)
    for n in sorted({r.n for r in rows}, reverse=True):
        names = dict.fromkeys(r.attack or "the release as it is" for r in rows if r.n == n)
        yield n, "" if all(r.n == n for r in rows) else f" for {', '.join(names)}"


def _unmeasured(records: Sequence[Record]) -> Iterator[str]:
    if not any(
        r.role == "authorized" and (r.condition == "nte" or r.attack == "none") for r in records
    ):
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


def _unlabelled(scored: Sequence[Record]) -> Iterator[str]:
    rows = [r for r in scored if r.metric != "auc"]
    if rows and all(r.metric in _AGREEMENT for r in rows):
        yield _UNLABELLED


def _models(records: Sequence[Record]) -> Iterator[str]:
    """One name for several files; rivals that are one with another model."""
    for name in dict.fromkeys(r.model for r in records):
        prints = {r.model_fingerprint for r in records if r.model == name} - {None}
        if len(prints) > 1:
            yield (
                f"{name} stands for {len(prints)} files of different fingerprints: formats of one "
                "model, or several models of one name"
            )
    own = {r.model_fingerprint for r in records if r.role == "authorized"} - {None}
    rivals = [r for r in records if r.role != "authorized"]
    yield from _alike([(r.model, r.model_fingerprint, r.role) for r in rivals], own)


def _chance(facts: Facts) -> Iterator[str]:
    if not facts.labels:
        return
    count = Counter(facts.labels.values())
    share = count.most_common(1)[0][1] / len(facts.labels)
    if len(count) == 1 or share > 0.5:
        yield (
            f"one class makes up {share:.0%} of the {facts.unit}: always answering it scores as much"
        )
