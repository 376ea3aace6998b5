"""Pictures and sounds as windows in pixel units, what a model sees of them; and windows as pictures."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.folder import walk
from catch11.data.pictures import decode_picture, fit_picture, open_picture
from catch11.data.sounds import Clip, decode_clip, fit_clip, open_clip
from catch11.errors import InvalidArgument, UnreadableSource

MOST = 64
Source = Image.Image | Clip
Heard = Callable[[Clip], Tensor]
"""A sound to the window (1, channel, height, width) of a feature model, in pixel units."""


def open_source(path: str | os.PathLike[str], canvas: Canvas) -> Source:
    """The picture, or for a canvas of sounds the clip, in a file. Raises UnreadableSource."""
    return open_clip(path) if canvas.sound else open_picture(path)


def decode_source(data: bytes, canvas: Canvas, *, path: object) -> Source:
    """As `open_source`, of bytes. path: for sentences."""
    return decode_clip(data, path=path) if canvas.sound else decode_picture(data, path=path)


def window_of(
    source: Source, canvas: Canvas, *, heard: Heard | None = None
) -> Float[Tensor, "1 channel window_height window_width"]:
    """What a model of this canvas sees of a picture, or hears of a clip. heard: of a feature model,
    how it makes its features."""
    if isinstance(source, Clip):
        if heard is not None:
            return heard(source)
        return torch.from_numpy(fit_clip(source, canvas)).permute(2, 0, 1)[None]
    pixels = torch.from_numpy(fit_picture(source, canvas)).float() / 255
    return canvas.window(rearrange(pixels, "height width channel -> 1 channel height width"))


def readable(
    folder: str | os.PathLike[str], canvas: Canvas, *, files: Iterable[str] | None = None
) -> Iterator[tuple[Source, Float[Tensor, "1 channel height width"]]]:
    """Each file below a folder that can be read, and its window. files: some of them, in an order;
    all, by name, without it. Raises InvalidArgument where there is no folder."""
    for path in walk(folder).files if files is None else files:
        try:
            source = open_source(Path(folder) / path, canvas)
            yield source, window_of(source, canvas)
        except UnreadableSource:
            continue


def folder_windows(
    folder: str | os.PathLike[str], canvas: Canvas, *, most: int = MOST
) -> Float[Tensor, "picture channel height width"]:
    """Windows of the first `most` readable files below a folder, in the order of their names.

    Raises InvalidArgument where there is no folder or nothing readable in it.
    """
    found = [window for _, window in islice(readable(folder, canvas), most)]
    if not found:
        raise InvalidArgument("folder", expected="readable pictures", found=f"none in {folder}")
    return torch.cat(found)


def to_pixels(window: Float[Tensor, "channel height width"]) -> UInt8[np.ndarray, "height width _"]:
    """A window as (height, width, 3) 8-bit pixels, clipped; grey is repeated."""
    values = (window.clamp(0, 1) * 255).round().to(torch.uint8)
    array = rearrange(values, "channel height width -> height width channel").numpy()
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array


def as_clips(windows: Float[Tensor, "batch channel height width"], canvas: Canvas) -> list[Any]:
    """Windows as clips at the model's rate, or, of features, as the model's own input."""
    values = canvas.normalise(windows)
    if not canvas.waveform:
        return list(values)
    return [Clip(samples=value.flatten().numpy(), rate=canvas.rate) for value in values]


def as_sources(windows: Float[Tensor, "batch channel height width"], canvas: Canvas) -> list[Any]:
    """Windows as what pipelines of their kind take."""
    return as_clips(windows, canvas) if canvas.sound else as_pictures(windows, canvas)


def as_pictures(
    windows: Float[Tensor, "batch channel height width"], canvas: Canvas
) -> list[Image.Image]:
    """Windows as 8-bit pictures of canvas size, the margin grown from the window's edge: what an
    attacker would save so that any pipeline sees all of the window."""
    pad = (
        canvas.left,
        canvas.width - canvas.left - canvas.window_width,
        canvas.top,
        canvas.height - canvas.top - canvas.window_height,
    )
    whole = torch.nn.functional.pad(windows, pad, mode="replicate")
    return [Image.fromarray(to_pixels(image)) for image in whole]
