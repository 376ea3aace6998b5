"""Windows: pictures and sounds as recoders take them, whole or cut to what the model sees."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Format, grid_of, psnr
from catch11.copies.seal import SealSecret
from catch11.copies.secretfile import Secret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.frame import Domain

# What holds which windows, the usual format first; others that have a grid hold any.
_FORMATS: dict[str, tuple[Format, ...]] = {
    "pictures": ("png8", "tensor"),
    "sounds": ("wav16", "wav32", "tensor"),
    "features of sounds": ("tensor",),
}


class WindowDomain(Domain[Tensor]):
    """Floats (n, channel, height, width) in [0, 1]: windows of the model, or whole canvas pictures.

    Whole pictures come back whole, with keyed noise in the margin that no model sees. copy: of a
    personalised copy, each window is scrambled before anything else, since that is how the copy reads
    it; of a sealed one, what was made of it is sealed at the end.
    """

    purpose: ClassVar[str] = "recode"

    def __init__(self, key: Key, *, format: Format, copy: Secret | None = None) -> None:
        if isinstance(copy, SealSecret) and key.canvas.sound:
            raise InvalidArgument(
                "secret", expected="none for sounds, which are not sealed", found="one"
            )
        if isinstance(copy, SealSecret) and format != "png8":
            expected = "png8 for a sealed copy, which opens 8-bit values"
            raise InvalidArgument("format", expected=expected, found=format)
        self.format, self.grid = format, grid_of(format)
        kind = _kind(key.canvas)
        others = [one for name, one in _FORMATS.items() if name != kind]
        if format not in _FORMATS[kind] and any(format in one for one in others):
            what = "sounds" if key.canvas.sound else "pictures"
            expected = f"{' or '.join(_FORMATS[kind])} for this model of {what}"
            raise InvalidArgument("format", expected=expected, found=format)
        self.key = key
        if copy is not None:
            copy.check_key(key)
        if isinstance(copy, SealSecret):
            self.seal = copy
        elif copy is not None:
            self.scramble = copy.scramble

    def clean(self, items: Tensor) -> Tensor:
        canvas = self.key.canvas
        if items.ndim != 4 or items.shape[1:] not in (canvas.shape, canvas.size):
            raise InvalidArgument(
                "images", expected=f"shape (n, *{canvas.shape}) or (n, *{canvas.size})",
                found=tuple(items.shape),
            )  # fmt: skip
        if not items.is_floating_point():
            raise InvalidArgument(
                "images", expected="floats in [0, 1]", found=str(items.dtype),
                remedy="divide 8-bit values by 255",
            )  # fmt: skip
        images = items.float()
        low, high = images.aminmax() if images.numel() else (torch.zeros(1), torch.ones(1))
        if not (low >= 0.0 and high <= 1.0):
            found = f"values from {float(low):.3g} to {float(high):.3g}"
            raise InvalidArgument("images", expected="values in [0, 1]", found=found)
        if images.shape[1:] == canvas.shape:
            return images
        return canvas.window(images).contiguous()

    def seen(self, keyed: Tensor) -> Tensor:
        # A sealed copy opens pictures without the bits that carry a nonce.
        return keyed if self.seal is None else self.seal.cleared(keyed)

    def content(self, item: Tensor) -> tuple[bytes, ...]:
        return (window_bytes(item),)

    def rounded(self, made: Tensor) -> Tensor:
        made = self.grid.round(made.float())
        return made if self.seal is None else self.seal.cleared(made)

    def psnr(self, made: Tensor, clean: Tensor) -> float:
        return float(psnr(made[None], clean[None]))

    def shift(self, made: Tensor, seen: Tensor) -> float:
        return float(self.key.front.relative_shift(made[None], seen[None]))

    def framed(
        self, made: Tensor, items: Tensor, margins: Callable[[], Sequence[KeyedStream]]
    ) -> Tensor:
        canvas = self.key.canvas
        whole = items.shape[1:] == canvas.size != canvas.shape
        if self.seal is not None:
            sealed = self.seal.as_read(made)
            return canvas.place(sealed, self.seal.around(made)) if whole else sealed
        if not whole:
            return made
        pictures = made.new_empty(len(made), *canvas.size)
        for picture, stream in zip(pictures, margins(), strict=True):
            drawn = stream.uniform(canvas.size)
            for rim in canvas.rims:
                picture[rim] = self.grid.round(drawn[rim])
        canvas.window(pictures).copy_(made)
        return pictures


def usual_format(canvas: Canvas) -> Format:
    """The format of what this canvas shows, where none is asked for."""
    return _FORMATS[_kind(canvas)][0]


def _kind(canvas: Canvas) -> str:
    return "pictures" if not canvas.sound else "sounds" if canvas.waveform else "features of sounds"


def window_bytes(window: Float[Tensor, "channel height width"]) -> bytes:
    """The window as the bytes that key its noise: float32, little-endian."""
    return window.detach().cpu().float().contiguous().numpy().astype("<f4", copy=False).tobytes()
