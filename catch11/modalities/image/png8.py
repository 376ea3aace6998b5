"""png8: a plain 8-bit PNG at canvas size, read by any stock pipeline; no metadata."""

import struct

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from zlib_ng import zlib_ng

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.data.pictures import PNG, chunk, decode_picture
from catch11.errors import UnreadablePicture
from catch11.releases.windows import WindowForm

GRID = GRIDS["png8"]
_GREY, _COLOUR, _UNFILTERED = 0, 2, 0  # of PNG, 11.2.2 and 9.2


class Png8(WindowForm):
    """A canvas picture in [0, 1] on the grid of 255ths, read as any user's library reads it."""

    name, suffix, whole = "png8", ".png", True
    exact_for_stock_pipelines = True

    def encode(self, meant: Float[Tensor, "channel height width"], canvas: Canvas) -> bytes:
        channels, height, width = meant.shape
        rows = np.full((height, 1 + width * channels), _UNFILTERED, dtype=np.uint8)
        rows[:, 1:].reshape(height, width, channels)[:] = _levels(meant)
        # NTEs are close to incompressible: filters and deflate's search for matches cost several times
        # what Huffman coding alone costs, and end with a larger file. Pillow always filters. The bytes
        # are those of zlib, in half its time.
        coder = zlib_ng.compressobj(
            1, zlib_ng.DEFLATED, zlib_ng.MAX_WBITS, 9, zlib_ng.Z_HUFFMAN_ONLY
        )
        kind = _COLOUR if channels == 3 else _GREY
        return b"".join((
            PNG, chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, kind, 0, 0, 0)),
            chunk(b"IDAT", coder.compress(rows.data) + coder.flush()), chunk(b"IEND", b""),
        ))  # fmt: skip

    def intact(self, data: bytes, meant: Tensor, canvas: Canvas) -> bool:
        """Compared as levels: floats of them cost as much as the decoding."""
        return np.array_equal(self._pixels(data, canvas), _levels(meant))

    def load(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        index = torch.from_numpy(self._pixels(data, canvas)).float()
        return rearrange(GRID.value(index), "height width channel -> channel height width")

    def picture(self, data: bytes, canvas: Canvas) -> Image.Image:
        """The picture as it is."""
        try:
            return decode_picture(data)
        except UnreadablePicture as error:
            raise ValueError(error.reason) from None

    def _pixels(self, data: bytes, canvas: Canvas) -> np.ndarray:
        """Levels (height, width, channel)."""
        picture = self.picture(data, canvas)
        pixels = np.array(picture.convert("RGB" if canvas.channels == 3 else "L"))
        return pixels.reshape(picture.height, picture.width, -1)


def _levels(meant: Float[Tensor, "channel height width"]) -> np.ndarray:
    """The same of an image, laid out as they lie in a file: what follows takes a fifth of the time."""
    return np.stack(list(GRID.index(meant).to(torch.uint8).numpy()), axis=-1)


PNG8 = Png8()
