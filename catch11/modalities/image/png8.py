"""png8: a plain 8-bit PNG at canvas size, read by any stock pipeline; no metadata."""

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.data.pictures import decode_picture
from catch11.errors import UnreadablePicture
from catch11.releases.windows import WindowForm

GRID = GRIDS["png8"]
# NTEs are close to incompressible: filters and deflate's search for matches cost several times what
# Huffman coding alone costs, and end with a larger file.
_CODED = (
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
    cv2.IMWRITE_PNG_ZLIBBUFFER_SIZE, 1 << 20,
)  # fmt: skip


class Png8(WindowForm):
    """A canvas picture in [0, 1] on the grid of 255ths, read as any user's library reads it."""

    name, suffix, whole = "png8", ".png", True
    exact_for_stock_pipelines = True

    def encode(self, meant: Float[Tensor, "channel height width"], canvas: Canvas) -> bytes:
        levels = GRID.index(meant).to(torch.uint8).flip(0)  # OpenCV writes blue first
        pixels = rearrange(levels, "channel height width -> height width channel").numpy()
        return cv2.imencode(".png", pixels, _CODED)[1].tobytes()

    def load(self, data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
        picture = self.picture(data, canvas)
        pixels = np.array(picture.convert("RGB" if canvas.channels == 3 else "L"))
        index = torch.from_numpy(pixels.reshape(picture.height, picture.width, -1)).float()
        return rearrange(GRID.value(index), "height width channel -> channel height width")

    def picture(self, data: bytes, canvas: Canvas) -> Image.Image:
        """The picture as it is."""
        try:
            return decode_picture(data)
        except UnreadablePicture as error:
            raise ValueError(error.reason) from None


PNG8 = Png8()
