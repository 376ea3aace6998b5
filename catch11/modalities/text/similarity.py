"""How alike two documents are, read off their released rows without any model."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

Rows = Float[Tensor, "_ feature"]


def sums(first: Rows, second: Rows) -> Tensor:
    """Cosine of the sums of rows."""
    return torch.cosine_similarity(first.sum(0), second.sum(0), dim=0)


def openings(first: Rows, second: Rows) -> Tensor:
    """Cosine of the first rows, which classifiers read."""
    return torch.cosine_similarity(first[0], second[0], dim=0)


def neighbours(first: Rows, second: Rows) -> Tensor:
    """Mean cosine of a place's row with that place's: steps that are alike place by place."""
    both = min(len(first), len(second))
    return torch.cosine_similarity(first[:both], second[:both]).mean()


def nearest(first: Rows, second: Rows) -> Tensor:
    """Mean cosine of each row with the nearest of the other document, both ways."""
    near = _cosines(first, second)
    return (near.amax(1).mean() + near.amax(0).mean()) / 2.0


def moments(first: Rows, second: Rows) -> Tensor:
    """Mean squared cosine of all rows with all: the overlap of second moments, blind to signs."""
    return _cosines(first, second).square().mean()


READINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sums of rows": sums, "first rows": openings, "rows by place": neighbours,
    "nearest rows": nearest, "second moments": moments,
}  # fmt: skip


def read_similarity(
    rows: Sequence[Float[Tensor, "_ feature"]], pairs: Int[Tensor, "pair two"]
) -> dict[str, Float[Tensor, " pair"]]:
    """What each reading says of each pair of documents; higher is more alike."""
    return {
        name: torch.stack([reading(rows[a], rows[b]) for a, b in pairs.tolist()])
        for name, reading in READINGS.items()
    }


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    return functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
