"""Reading text back from released embeddings: the nearest row of a public embedding table."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval, wilson

Nearness = Literal["euclidean", "cosine"]
_TOGETHER = 256  # tokens at a time: 256 x 50,000 distances are 50 MB


def nearest_tokens(
    embeddings: Float[Tensor, "text token _"],
    table: Float[Tensor, "word feature"],
    *,
    nearness: Nearness = "cosine",
) -> Int[Tensor, "text token"]:
    """The table's row nearest to each embedding; the table is the model's, or a rival's."""
    if embeddings.shape[-1] != table.shape[-1]:
        expected, found = f"{table.shape[-1]} features", embeddings.shape[-1]
        raise InvalidArgument("embeddings", expected=expected, found=found)
    flat = embeddings.flatten(0, 1)
    if nearness == "cosine":
        flat, table = functional.normalize(flat, dim=-1), functional.normalize(table, dim=-1)
    nearest = [torch.cdist(part, table).argmin(1) for part in flat.split(_TOGETHER)]
    return torch.cat(nearest).reshape(embeddings.shape[:2])


def recovery(
    embeddings: Float[Tensor, "text token feature"],
    table: Float[Tensor, "word feature"],
    words: Int[Tensor, "text token"],
    mask: Bool[Tensor, "text token"],
) -> Interval:
    """Share of words read back, by the better of two measures of nearness; mask: tokens that count,
    padding and special ones left out. Tokens of one text depend on each other, which the interval
    (Wilson) does not know."""
    measures: tuple[Nearness, ...] = ("euclidean", "cosine")
    hits = max(
        int((nearest_tokens(embeddings, table, nearness=nearness) == words)[mask].sum())
        for nearness in measures
    )
    return wilson(hits, int(mask.sum()))
