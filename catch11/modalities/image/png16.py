"""png16: a 16-bit PNG at canvas size whose tEXt chunk states which value each sample means.

value = low + (high - low) * sample / 65535, peak 1; the chunk `catch11-affine` holds "low high".
"""

import math

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, Grid
from catch11.modalities.image.png import decode_png, encode_png
from catch11.releases.form import Form

AFFINE = "catch11-affine"
GRID = GRIDS["png16"]


def encode(image: Float[Tensor, "channel height width"], canvas: Canvas) -> bytes:
    """PNG of a canvas picture on the 16-bit grid, which reaches beyond [0, 1]."""
    pixels = rearrange(GRID.index(image), "channel height width -> height width channel")
    samples = pixels.numpy().astype(np.uint16)
    return encode_png(samples, text={AFFINE: f"{GRID.low!r} {GRID.high!r}"})


def decode(data: bytes, canvas: Canvas) -> Float[Tensor, "channel height width"]:
    """The picture back, float32; raises ValueError for a file this format would not hold."""
    pixels, text = decode_png(data)
    if pixels.dtype != np.uint16 or AFFINE not in text:
        raise ValueError("it is not a 16-bit PNG with its affine stated")
    grid = _grid(text[AFFINE])
    index = torch.from_numpy(pixels.astype(np.float32))
    return rearrange(grid.value(index), "height width channel -> channel height width")


def _grid(text: str) -> Grid:
    try:
        low, high = (float(number) for number in text.split())
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"its affine {text[:40]!r} is not two numbers, the lower first")
    return Grid(low=low, high=high, levels=GRID.levels)


FORMS = (Form(name="png16", suffix=".png", whole=True, encode=encode, decode=decode),)
