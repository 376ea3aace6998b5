"""A model of many classes as one that says no or yes: the log-odds that it gives to some of them."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument
from catch11.fronts.find import first_tensor
from catch11.fronts.front import Front
from catch11.models.frame import Graph, Model

NO_OR_YES = ("no", "yes")


class Grouped(nn.Module):
    """A module whose two logits are the log-sum-exp over the classes that mean no, and yes."""

    def __init__(self, net: nn.Module, yes: Collection[int]) -> None:
        super().__init__()
        self.net, self.yes = net, sorted(yes)
        self.training = net.training

    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch 2"]:
        """Two logits a window; their softmax is the model's own chance of either side."""
        return _sides(first_tensor(self.net(values)), self.yes)


@dataclass(frozen=True, slots=True, eq=False)
class GroupedGraph:
    """The same of a model that another runtime runs."""

    graph: Graph
    yes: Collection[int]

    def run(self, pixel_values: Float[Tensor, "batch channel height width"]) -> Tensor:
        """Two logits a window."""
        return _sides(self.graph.run(pixel_values), sorted(self.yes))

    def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """The graph's own first layer."""
        return self.graph.front(canvas, layer=layer)


def grouped(model: Model, yes: Collection[int]) -> Model:
    """The model with two classes, no and yes. Raises InvalidArgument where one of them is empty."""
    if not 0 < len(set(yes)) < len(model.labels):
        expected = f"some of {len(model.labels)} classes, not none and not all"
        raise InvalidArgument("yes", expected=expected, found=len(set(yes)))
    return replace(
        model,
        module=None if model.module is None else Grouped(model.module, yes),
        graph=None if model.graph is None else GroupedGraph(model.graph, yes),
        labels=NO_OR_YES,
    )


def _sides(logits: Tensor, yes: Collection[int]) -> Tensor:
    means = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
    means[list(yes)] = True
    return torch.stack([logits[:, side].logsumexp(1) for side in (~means, means)], 1)
