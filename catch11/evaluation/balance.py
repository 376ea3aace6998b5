"""Classes of unlike sizes: what a classifier finds of each, beside what the most frequent one would give."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from catch11.evaluation.interval import Interval, wilson
from catch11.evaluation.metrics import auc, balanced_accuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """recalls: the share of each class that is answered rightly, by name. balanced: their mean. majority:
    the share of the most frequent class, which always answering it scores. auc: the mean over classes of
    the area under the curve of one against the rest; None where one class is all there is."""

    recalls: dict[str, Interval]
    balanced: Interval
    majority: float
    auc: Interval | None


def balance_of(
    logits: Float[Tensor, "item classes"], truth: Int[Tensor, " item"], classes: Sequence[str]
) -> Balance:
    """Of the classes that `truth` has."""
    said = logits.argmax(1)
    there = sorted(set(truth.tolist()))
    hits = [(said[truth == label] == label).tolist() for label in there]
    areas = [
        auc(logits[truth == label, label].tolist(), logits[truth != label, label].tolist())
        for label in (there if len(there) > 1 else ())
    ]
    return Balance(
        recalls={
            classes[label]: wilson(sum(hit), len(hit)) for label, hit in zip(there, hits, strict=True)
        },
        balanced=balanced_accuracy(hits),
        majority=max(map(len, hits)) / len(truth),
        auc=_mean(areas) if areas else None,
    )  # fmt: skip


def _mean(areas: Sequence[Interval]) -> Interval:
    """Ends as if all areas erred together, which is the wider."""
    low, estimate, high = (
        sum(getattr(area, end) for area in areas) / len(areas)
        for end in ("low", "estimate", "high")
    )
    return Interval(low=low, estimate=estimate, high=high)
