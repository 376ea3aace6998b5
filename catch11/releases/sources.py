"""How a source file becomes an image on the canvas, by what the authorized model reads."""

from collections.abc import Callable

import numpy as np

from catch11.canvas.frame import Canvas
from catch11.data.pictures import decode_picture, fit_picture
from catch11.data.sounds import decode_clip, fit_clip

Read = Callable[[bytes, str, Canvas], np.ndarray]
"""Bytes, path and canvas to (height, width, channel): 8-bit levels, or float32 in [0, 1].

Raises UnreadableSource."""


def read_picture(data: bytes, path: str, canvas: Canvas) -> np.ndarray:
    """A picture as the model's own pipeline resizes it: 8-bit levels."""
    return fit_picture(decode_picture(data, path=path), canvas)


def read_sound(data: bytes, path: str, canvas: Canvas) -> np.ndarray:
    """The window of a sound that the model hears: float32, (sample + 1) / 2."""
    return fit_clip(decode_clip(data, path=path), canvas)


def read_of(canvas: Canvas) -> Read:
    """What reads sources for a canvas."""
    return read_sound if canvas.sound else read_picture
