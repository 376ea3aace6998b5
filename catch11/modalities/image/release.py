"""Releases of pictures."""

from typing import ClassVar

import numpy as np

from catch11.canvas.frame import Canvas
from catch11.data.pictures import SUFFIXES, decode_picture, fit_picture
from catch11.releases.pipeline import Request
from catch11.releases.windows import Read, Windows


class Pictures(Windows):
    """A folder of pictures."""

    noun: ClassVar[str] = "picture"
    suffixes = SUFFIXES

    @classmethod
    def usual(cls, asked: Request) -> Read:
        return read_picture


def read_picture(data: bytes, path: str, canvas: Canvas) -> np.ndarray:
    """A picture as the model's own pipeline resizes it: 8-bit levels."""
    return fit_picture(decode_picture(data, path=path), canvas)
