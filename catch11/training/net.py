"""A net to be trained, with the canvas of the preprocessing that it is saved with: what it is trained on
is what its stock pipeline will show it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from catch11.canvas.frame import Canvas


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A net to be trained. heads: the logits of such a module, one tensor or, of a distilled net, a second
    for the teacher. save: writes it, as it then stands, with its preprocessing into a folder. spec: what
    loads that folder, given its path. tuned: whether it was trained before."""

    module: nn.Module
    canvas: Canvas
    heads: Callable[[nn.Module, Tensor], tuple[Tensor, ...]]
    save: Callable[[nn.Module, Path], None]
    spec: Callable[[Path], str]
    tuned: bool = False
