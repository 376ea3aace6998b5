"""Test-time augmentation: a rival answers several views of a released picture and its answers are averaged."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.purify import Filter, crop, each, gaussian, resize
from catch11.canvas.frame import Canvas
from catch11.data.windows import as_pictures
from catch11.models.frame import Model

PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


def ten_crops(share: float) -> list[Filter]:
    """Corners and middle, each mirrored too: the usual ten (Krizhevsky et al. 2012)."""
    return [partial(crop, share=share, place=p, flip=f) for p in PLACES for f in (False, True)]


VIEWS: dict[str, list[Filter]] = {
    "ten crops of 0.875": ten_crops(0.875),
    "ten crops of 0.6": ten_crops(0.6),
    "five blurs": [partial(gaussian, sigma=s) for s in (0.7, 1.0, 1.5, 2.0, 3.0)],
    "five sizes": [partial(resize, factor=f) for f in (1.5, 2.0, 3.0, 4.0, 6.0)],
}


@register
class Views(Attack):
    """The mean log-probability of a rival over views, for every rival and several sets of views."""

    name = "views"
    cost = "untrained"
    knowledge = frozenset({"released"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for name, rival in material.rivals.items():
            for setting, changes in VIEWS.items():
                answer = partial(averaged, rival=rival, canvas=material.canvas, changes=changes)
                yield Attempt(setting=setting, classify=answer, rival=name)


def averaged(windows: Tensor, *, rival: Model, canvas: Canvas, changes: list[Filter]) -> Tensor:
    """Log-probabilities of windows, the mean over views that are read as 8-bit pictures."""
    total = torch.zeros(len(windows), len(rival.labels))
    for change in changes:
        pictures = as_pictures(each(windows, change), canvas)
        total += rival.logits(rival.preprocess(pictures)).log_softmax(1)
    return total / len(changes)
