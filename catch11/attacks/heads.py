"""New heads on what models read in files: the licensee asks what nobody licensed, rivals ask anything."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.attacks.adaptation import trainable
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.maps import summaries
from catch11.attacks.tiles import fitted
from catch11.models.frame import Model
from catch11.models.grouped import NO_OR_YES

Rows = Float[Tensor, "batch feature"]
Head = Callable[[Rows], Float[Tensor, "batch class"]]


RIDGES = (1e-2, 1.0)


class _Head(Attack):
    """For a question that is asked beside the licensed classes."""

    def unfit(self, material: Material) -> str:
        asked = material.labelled is None or material.classes == NO_OR_YES
        return "" if asked else "no question is asked beside the licensed classes"


@register
class LicenseeHead(_Head):
    """A new head on what the authorized model reads in files, learned from labelled ones: for a question
    that nobody licensed."""

    name = "licensee-head"
    cost = "untrained"
    knowledge = frozenset({"released", "labels", "weights"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        yield from _heads(material.weights, material.weights.name, material)


@register
class RivalHead(_Head):
    """The same on what each rival reads in files: the least that labels teach, and the quickest."""

    name = "rival-head"
    cost = "untrained"
    knowledge = frozenset({"released", "labels"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for name, rival in trainable(material).items():
            yield from _heads(rival, name, material)


def _heads(model: Model, name: str, material: Material) -> Iterator[Attempt]:
    """Heads on each map of a model, judged as that model."""
    assert material.labelled is not None  # labels are no and yes, whatever classes the model has
    windows, labels = material.labelled
    learned, seen = (summaries(model, some) for some in (windows, material.released))
    for at, known in learned.items():
        for ridge in RIDGES:
            logits = ridge_head(known, labels, ridge=ridge)(seen[at])
            setting = f"{at}, ridge {ridge:g}, {len(labels)} labelled"
            yield Attempt(setting=setting, logits=logits, rival=name)


def ridge_head(known: Rows, labels: Int[Tensor, " batch"], *, ridge: float) -> Head:
    """Features to logits, one a class, by ridge regression on standardised features."""
    mean, spread = known.mean(0), known.std(0).clamp(min=1e-6)
    wanted = functional.one_hot(labels, max(2, int(labels.max()) + 1)).double()
    fit = fitted(((known - mean) / spread).double(), wanted, ridge=ridge)
    return lambda rows: fit(((rows - mean) / spread).double())
