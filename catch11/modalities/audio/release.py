"""Releases of sounds."""

from typing import ClassVar

import numpy as np

from catch11.canvas.frame import Canvas
from catch11.data.sounds import SUFFIXES, decode_clip, fit_clip
from catch11.releases.pipeline import Request
from catch11.releases.windows import Read, Windows


class Sounds(Windows):
    """A folder of sounds, read as the model given beside it reads them."""

    noun: ClassVar[str] = "sound"
    suffixes = SUFFIXES

    @classmethod
    def usual(cls, asked: Request) -> Read:
        read: Read = getattr(asked.model, "read", read_sound)
        return read


def read_sound(data: bytes, path: str, canvas: Canvas) -> np.ndarray:
    """The window of a sound that a model of waves reads: float32, (sample + 1) / 2."""
    return fit_clip(decode_clip(data, path=path, canvas=canvas), canvas)
