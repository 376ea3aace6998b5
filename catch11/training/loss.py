"""What a step makes smaller: cross-entropy with smoothed labels, and the distance from a teacher."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.training.recipe import Recipe

Logits = Float[Tensor, "batch classes"]


def class_weights(labels: Int[Tensor, " count"], classes: int) -> Float[Tensor, " classes"]:
    """count / (classes · count of the class): of rare classes above 1, of frequent ones below."""
    counts = torch.bincount(labels, minlength=classes).clamp_min(1)
    return len(labels) / (classes * counts.float())


def step_loss(
    heads: Sequence[Logits],
    labels: Int[Tensor, " batch"],
    taught: Logits | None,
    recipe: Recipe,
    *,
    weights: Float[Tensor, " classes"] | None = None,
) -> Float[Tensor, ""]:
    """Mean loss of a batch, in nats. taught: the teacher's logits.

    A net of two heads learns the labels with the first and the teacher's answers with the second (hard
    distillation, Touvron et al. 2021, §4); a net of one learns a mixture of the labels and of the
    teacher's softened answers (Hinton et al. 2015, §2).
    """
    told = functional.cross_entropy(
        heads[0], labels, weight=weights, label_smoothing=recipe.smoothing
    )
    if taught is None:
        return told
    if len(heads) > 1:
        shown = functional.cross_entropy(heads[1], taught.argmax(1))
    else:
        hot = functional.log_softmax(heads[0] / recipe.heat, dim=1)
        goal = functional.log_softmax(taught / recipe.heat, dim=1)
        shown = functional.kl_div(hot, goal, log_target=True, reduction="batchmean")
        shown = shown * recipe.heat**2
    return (1 - recipe.teach) * told + recipe.teach * shown
