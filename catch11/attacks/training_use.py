"""Is the release good training data? Train a rival on labelled NTEs, judge it on clean pictures."""

from collections.abc import Iterator

import torch

from catch11.attacks.adaptation import Sweep, trainable, trained
from catch11.attacks.frame import Attack, Attempt, Material, register


@register
class TrainingUse(Attack):
    """A rival trained from scratch, or fine-tuned, on labelled NTEs and used on clean pictures: what
    a thief who wants a model, not the pictures, gets. It needs the source to be judged."""

    name = "training-use"
    cost = "trained"
    knowledge = frozenset({"released", "labels"})

    def __init__(self, sweep: Sweep = Sweep(starts=("scratch",))) -> None:  # noqa: B008 - frozen
        self.sweep = sweep

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for name, rival in trainable(material).items():
            for setting, reader, cut in trained(
                rival, *material.lessons(rival), self.sweep, generator=generator
            ):
                yield Attempt(setting=setting, classify=reader, rival=name, on="clean", cut=cut)
