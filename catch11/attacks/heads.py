"""New heads on the authorized model, by the licensee: questions that nobody licensed."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.maps import Windows, maps_of, read, summary
from catch11.attacks.tiles import fitted
from catch11.models.frame import Model
from catch11.models.grouped import NO_OR_YES

Rows = Float[Tensor, "batch feature"]
Head = Callable[[Rows], Float[Tensor, "batch class"]]


@register
class LicenseeHead(Attack):
    """A new head on what the authorized model reads in files, learned from labelled ones: for a question
    that nobody licensed."""

    name = "licensee-head"
    cost = "untrained"
    knowledge = frozenset({"released", "labels", "weights"})

    def unfit(self, material: Material) -> str:
        asked = material.labelled is None or material.classes == NO_OR_YES
        return "" if asked else "no question is asked beside the licensed classes"

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.labelled is not None
        model, (windows, labels) = material.weights, material.labelled
        for at in maps_of(model):
            known = summary(read(model, at, windows))
            for ridge in (1e-2, 1.0):
                head = ridge_head(known, labels, ridge=ridge)
                setting = f"{at}, ridge {ridge:g}, {len(labels)} labelled"
                yield Attempt(setting=setting, classify=_on(model, at, head), rival=model.name)


def _on(model: Model, at: str, head: Head) -> Callable[[Windows], Tensor]:
    return lambda windows: head(summary(read(model, at, windows)))


def ridge_head(known: Rows, labels: Int[Tensor, " batch"], *, ridge: float) -> Head:
    """Features to logits, one a class, by ridge regression on standardised features."""
    mean, spread = known.mean(0), known.std(0).clamp(min=1e-6)
    wanted = functional.one_hot(labels, max(2, int(labels.max()) + 1)).double()
    fit = fitted(((known - mean) / spread).double(), wanted, ridge=ridge)
    return lambda rows: fit(((rows - mean) / spread).double())
