"""Form: how one released file becomes bytes and comes back; the table of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, Format
from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """whole: the file holds the canvas picture, else the window alone. picture: every pipeline opens
    it as a picture, as the authorized model's own does.

    encode takes (channel, height, width) in pixel units, on the format's grid; decode gives it back
    as float32, or raises ValueError with the reason as one clause.
    """

    name: Format
    suffix: str
    whole: bool
    encode: Callable[[Tensor, Canvas], bytes]
    decode: Callable[[bytes, Canvas], Tensor]
    picture: bool = False

    def read(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        """As `decode`, and of the size the canvas says; raises ValueError."""
        image = self.decode(data, canvas)
        size = canvas.size if self.whole else canvas.shape
        if tuple(image.shape) != size:
            raise ValueError(f"its size is {tuple(image.shape)}, expected {size}")
        return image

    def same(self, one: Tensor, other: Tensor) -> bool:
        """Whether two images are the same file: equal samples, not merely close values."""
        grid = GRIDS[self.name]
        if not grid.bounded:
            return torch.equal(one, other)
        return torch.equal(grid.index(one), grid.index(other))


# Where the form of each name is defined, as `FORM`: kinds of data bring their own.
HOMES: dict[str, str] = {
    "png8": "catch11.modalities.image.png8",
    "png16": "catch11.modalities.image.png16",
    "tensor": "catch11.modalities.image.tensor",
    "wav16": "catch11.modalities.audio.wav",
    "wav32": "catch11.modalities.audio.wav",
}


def form_of(name: str) -> Form:
    """The form of that name; raises InvalidArgument with the known ones."""
    if name not in HOMES:
        raise InvalidArgument("format", expected=f"one of {', '.join(HOMES)}", found=name)
    forms: tuple[Form, ...] = import_module(HOMES[name]).FORMS
    return next(form for form in forms if form.name == name)


def digest(data: bytes) -> str:
    """SHA-256 in hex, of what the manifest lists."""
    return hashlib.sha256(data).hexdigest()
