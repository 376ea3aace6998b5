"""What a file kept, measured on it: how far a model's scores or maps are from the clean ones."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.recoding.deep.agreement import divergence
from catch11.recoding.deep.target import Reading, Target
from catch11.recoding.keep import SCORES, Keep

_TOGETHER = 16  # windows that are read at once


def distances(keep: Keep, target: Target, made: Tensor, clean: Tensor) -> Sequence[float | None]:
    """Of windows in [0, 1] from the clean ones, in the measure of what is kept: nats for scores,
    relative for maps, which are the target's. None where it is the answer alone."""
    if keep.tolerance is None:
        return [None] * len(made)
    found: list[float | None] = []
    for a, b in zip(made.split(_TOGETHER), clean.split(_TOGETHER), strict=True):
        meant, read = readings(target, a, b)
        far = nats(read, meant) if keep.what == SCORES else target.distance(read, meant)
        found += far.tolist()
    return found


def readings(
    target: Target,
    made: Float[Tensor, "batch channel height width"],
    clean: Float[Tensor, "batch channel height width"],
) -> tuple[Reading, Reading]:
    """What the model makes of clean windows and of released ones, along its clean words where it
    answers in words."""
    with torch.no_grad():
        meant = target.clean(clean.to(target.device))
        return meant, target.read(made.to(target.device), words=meant.words)


def nats(made: Reading, clean: Reading) -> Float[Tensor, " batch"]:
    """KL(clean ‖ released) of the scores; of an answer in words the largest of a word."""
    if clean.words is None:
        return divergence(made.logits, clean.logits).clamp_min(0.0)  # rounding leaves it below
    each = divergence(made.logits.flatten(0, 1), clean.logits.flatten(0, 1)).clamp_min(0.0)
    behind = clean.words.to(each.device) < 0
    return each.view(clean.words.shape).masked_fill(behind, 0.0).amax(1)


def cosines(made: Reading, clean: Reading) -> Float[Tensor, " batch"]:
    """Of the first matched map with the clean one."""
    a, b = made.maps[0].float().flatten(1), clean.maps[0].float().flatten(1)
    return F.cosine_similarity(a, b, dim=1)
