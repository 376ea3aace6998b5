"""png8: a plain 8-bit PNG at canvas size, read by any stock pipeline; no metadata."""

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.data.pictures import decode_picture
from catch11.errors import UnreadablePicture
from catch11.modalities.image.png import encode_png
from catch11.releases.form import Form

GRID = GRIDS["png8"]


def encode(image: Float[Tensor, "channel height width"], canvas: Canvas) -> bytes:
    """PNG of a canvas picture in [0, 1] on the grid of 255ths."""
    pixels = rearrange(GRID.index(image), "channel height width -> height width channel")
    return encode_png(pixels.to(torch.uint8).numpy())


def decode(data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
    """The picture back, float32, exactly as written; read as any user's library reads it."""
    try:
        picture = decode_picture(data)
    except UnreadablePicture as error:
        raise ValueError(error.reason) from None
    pixels = np.array(picture.convert("RGB" if canvas.channels == 3 else "L"))
    index = torch.from_numpy(pixels.reshape(picture.height, picture.width, -1)).float()
    return rearrange(GRID.value(index), "height width channel -> channel height width")


FORMS = (Form(name="png8", suffix=".png", whole=True, picture=True, encode=encode, decode=decode),)
