"""Is this evaluation itself sound? Facts of an evaluation in, one sentence a doubt out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from catch11.evaluation.metrics import Interval, paired_difference
from catch11.evaluation.record import Record
from catch11.evaluation.roles import role_of
from catch11.models.frame import Model

HANDLING = 0.02  # accuracy that the way through the canvas may cost
FEW = 100  # images: below this an accuracy of .8 is known no better than to ± .08
WEAK = (
    0.5  # a rival that knows less than this share of what the authorized model knows proves little
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an evaluation did. labels: of the scored files, by released name. hits: by model name
    and condition, one for each scored image, in one order for all."""

    authorized: str
    rivals: Sequence[str]
    files: Sequence[str]
    labels: Mapping[str, int]
    names: Sequence[str]
    hits: Mapping[tuple[str, str], Sequence[bool]]
    sourced: bool
    withheld: int = 0
    unlabelled: int = 0


def doubts(facts: Facts) -> tuple[str, ...]:
    """One sentence for each reason not to rely on the evaluation; empty when none was found."""
    return tuple(
        sentence
        for check in (_amount, _coverage, _selection, _chance, _weak, _handling, _noise, _leaks)
        for sentence in check(facts)
    )


def doubts_of_models(model: Model, rivals: Sequence[Model]) -> tuple[str, ...]:
    """Doubts about the choice of rivals, from their weights and labels alone."""
    found = []
    seen: dict[str, str] = {}
    for rival in rivals:
        if rival.fingerprint == model.fingerprint:
            found.append(f"{rival.name} is the authorized model itself, listed as a rival")
        elif rival.fingerprint in seen:
            found.append(f"{rival.name} has the same weights as {seen[rival.fingerprint]}")
        elif role_of(model, rival) == "sibling":
            found.append(
                f"{rival.name} descends from the authorized weights: it is expected to read the release"
            )
        if len(rival.labels) != len(model.labels):
            found.append(
                f"{rival.name} has {len(rival.labels)} classes and the authorized model "
                f"{len(model.labels)}: labels do not apply to it, so its own clean answer is the truth"
            )
        seen.setdefault(rival.fingerprint, rival.name)
    return tuple(found)


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


def _amount(facts: Facts) -> Iterator[str]:
    count = len(next(iter(facts.hits.values()), ()))
    if count < FEW:
        yield f"only {count} images were scored: below {FEW} the intervals are wide"
    if facts.unlabelled:
        yield f"{facts.unlabelled} files have no label and were left out"


def _coverage(facts: Facts) -> Iterator[str]:
    if not facts.rivals:
        yield "no rival was run: nothing is known of what other models get"
    if not facts.sourced:
        yield "no source was given: clean answers, the drop and the controls are unknown"
    if not facts.labels and facts.rivals:
        yield "no labels were given: whether a rival is any good on clean images is unknown"


def _selection(facts: Facts) -> Iterator[str]:
    if facts.withheld:
        yield (
            f"{facts.withheld} sources were withheld from the release: what is kept is measured "
            "on the rest alone"
        )


def _chance(facts: Facts) -> Iterator[str]:
    if not facts.labels:
        return
    count = Counter(facts.labels.values())
    share = count.most_common(1)[0][1] / len(facts.labels)
    if len(count) == 1 or share > 0.5:
        yield f"one class makes up {share:.0%} of the images: always answering it scores as much"


def _weak(facts: Facts) -> Iterator[str]:
    if not facts.labels:
        return
    ours = facts.hits.get((facts.authorized, "clean"))
    for rival in facts.rivals:
        theirs = facts.hits.get((rival, "clean"))
        if ours and theirs and sum(theirs) < WEAK * sum(ours):
            yield (
                f"{rival} scores {sum(theirs) / len(theirs):.2f} on clean images: too weak a "
                "rival for its failure to mean much"
            )


def _handling(facts: Facts) -> Iterator[str]:
    """The zero-noise control shows what the trip through the canvas alone costs."""
    for name in (facts.authorized, *facts.rivals):
        cost = _gap(facts, (name, "clean"), (name, "control"))
        if cost is not None and cost.low > HANDLING:
            yield (
                f"{name} loses {cost.estimate:.2f} on clean pictures brought to the canvas: "
                "its preprocessing does not match, and that part is not the recoding's doing"
            )


def _noise(facts: Facts) -> Iterator[str]:
    gain = _gap(facts, (facts.authorized, "nte"), (facts.authorized, "gaussian"))
    if gain is not None and gain.low <= 0.0:
        yield (
            "the authorized model does no better on the release than on Gaussian noise of the "
            "same PSNR: this evaluation shows no specificity"
        )


def _gap(facts: Facts, first: tuple[str, str], second: tuple[str, str]) -> Interval | None:
    one, two = facts.hits.get(first), facts.hits.get(second)
    return paired_difference(one, two) if one and two else None


def _leaks(facts: Facts) -> Iterator[str]:
    """Folders or names that give the label away, to a rival that reads no pixel."""
    labelled = [file for file in facts.files if file in facts.labels]
    held: dict[str, set[int]] = defaultdict(set)
    for file in labelled:
        held[str(PurePosixPath(file).parent)].add(facts.labels[file])
    several = len(set(facts.labels.values())) > 1
    if several and len(held) > 1 and all(len(classes) == 1 for classes in held.values()):
        yield "the released folders give the labels away: release with opaque names"
        return
    named = sum(_spells(file, facts.labels[file], facts.names) for file in labelled)
    if labelled and named > len(labelled) / 2:
        yield "the released file names hold the class names: release with opaque names"


def _spells(file: str, label: int, names: Sequence[str]) -> bool:
    if label >= len(names):
        return False
    words = [word.strip().casefold() for word in names[label].replace("_", " ").split(",")]
    text = file.casefold().replace("_", " ").replace("-", " ")
    return any(len(word) > 2 and word in text for word in words)
