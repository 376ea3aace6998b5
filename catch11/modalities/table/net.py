"""The net of tables that a file of tensors is recognised as: a multilayer perceptron."""

import re
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from catch11.models.files.nets import Shapes, architecture

WIDEST = 1 << 14  # values of a layer


class Perceptron(nn.Module):
    """A multilayer perceptron whose layers are called layers.0, layers.1, ...; one activation."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(given, made) for given, made in pairwise(sizes))
        self.between: nn.Module = nn.ReLU()

    def forward(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row classes"]:
        """Standardised rows to logits."""
        for layer in self.layers[:-1]:
            rows = self.between(layer(rows))
        return self.layers[-1](rows)


@architecture("perceptron")
def _perceptron(shapes: Shapes) -> nn.Module | None:
    found = {
        int(match.group(1)): shape
        for name, shape in shapes.items()
        if (match := re.fullmatch(r"layers\.(\d{1,2})\.weight", name)) and len(shape) == 2
    }
    if not found or sorted(found) != list(range(len(found))):
        return None
    sizes = [found[0][1], *(found[index][0] for index in range(len(found)))]
    return Perceptron(sizes) if 1 <= min(sizes) <= max(sizes) <= WIDEST else None
