"""Opening: the front of a sealed copy, which turns the model's input for a sealed picture into its input
for the picture that was sealed.

    level = round(value * scale + shift)                 the 8-bit value, by the model's normalisation
    nonce = the lowest bits of the levels at 96 places
    opened = (level ^ key stream) & mask                 0 for the lowest bits that carried the nonce
    value = opened / 255 * gain + offset

Levels are counted channel, row, column of the picture; the key stream begins with block 0.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int32
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.crypto.chacha import BLOCK, key_stream, words_of
from catch11.errors import InvalidArgument

NONCE_BITS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """What a sealed copy opens pictures by; its repr shows neither key nor places.

    key: 32 bytes. places: of the values whose lowest bits are the nonce, in the order of its bits,
    lowest first. canvas: of the model.
    """

    canvas: Canvas
    key: bytes = field(repr=False)
    places: tuple[int, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if self.values < 2 * NONCE_BITS:
            raise InvalidArgument(
                "model", expected=f"a window of {2 * NONCE_BITS} values or more, to hold a nonce",
                found=f"{self.values}",
            )  # fmt: skip

    @property
    def values(self) -> int:
        """Values of the window."""
        return math.prod(self.canvas.shape)

    @property
    def blocks(self) -> int:
        """Blocks of key stream that open a window."""
        return math.ceil(self.values / BLOCK)

    @property
    def back(self) -> tuple[int, ...]:
        """Which channel of the model's input each channel of the picture is."""
        order = self.canvas.order
        return tuple(sorted(range(len(order)), key=order.__getitem__))

    @property
    def scale(self) -> list[float]:
        """What takes a channel of the model's input to levels, with `shift`."""
        return [255.0 / gain for gain in self.canvas.gain]

    @property
    def shift(self) -> list[float]:
        """See `scale`."""
        pairs = zip(self.canvas.gain, self.canvas.offset, strict=True)
        return [-255.0 * offset / gain for gain, offset in pairs]

    @property
    def mask(self) -> Int32[Tensor, " value"]:
        """What is kept of each opened value."""
        mask = torch.full((self.values,), 255, dtype=torch.int32)
        mask[list(self.places)] = 254
        return mask


class Opening(nn.Module):
    """The front in torch. It holds the key, as the whole copy does."""

    key: Tensor
    places: Tensor
    mask: Tensor
    bits: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, opener: Opener) -> None:
        super().__init__()
        self.canvas, self.blocks = opener.canvas, opener.blocks
        self.back = None if opener.back == tuple(sorted(opener.back)) else list(opener.back)
        words = torch.tensor(words_of(opener.key), dtype=torch.int32)
        bits = torch.arange(NONCE_BITS // 3, dtype=torch.int64)
        self.register_buffer("key", words)
        self.register_buffer("places", torch.tensor(opener.places))
        self.register_buffer("mask", opener.mask)
        self.register_buffer("bits", (1 << bits).to(torch.int32))  # the highest is the sign
        self.register_buffer("scale", torch.tensor(opener.scale)[:, None, None])
        self.register_buffer("shift", torch.tensor(opener.shift)[:, None, None])

    def levels(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Normalised values in levels of the picture, not rounded yet."""
        levels = values * self.scale + self.shift
        return levels if self.back is None else levels[:, self.back]

    def forward(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The model's input for sealed pictures to its input for the pictures."""
        levels = self.levels(values).round().to(torch.int32).flatten(1)
        parts = (levels[:, self.places] & 1).unflatten(1, (3, NONCE_BITS // 3))
        nonce = (parts * self.bits).sum(-1, dtype=torch.int32)
        stream = key_stream(self.key, nonce, blocks=self.blocks)[:, : levels.shape[1]]
        opened = (levels ^ stream) & self.mask
        return self.canvas.normalise(opened.to(values.dtype).view(values.shape) / 255)
