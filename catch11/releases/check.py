"""Whether the authorized model answers a released file as it answers the source."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from catch11.canvas.frame import Canvas
from catch11.copies.scramble import Scramble
from catch11.data.pictures import decode_picture
from catch11.errors import KeyMismatch
from catch11.models.frame import Model
from catch11.releases.form import Form


def same_canvas(model: Model, canvas: Canvas) -> None:
    """Raise KeyMismatch where the model to check with does not read the key's canvas."""
    if model.canvas.size != canvas.size or model.canvas.shape != canvas.shape:
        raise KeyMismatch("canvas", expected=str(canvas.size), found=str(model.canvas.size))


def source_answers(
    model: Model, pixels: Sequence[np.ndarray], *, scramble: Scramble | None = None
) -> list[int]:
    """Classes of sources, given as (height, width, channel) uint8 pixels of canvas size.

    The model's own preprocessing reads them; of a canvas picture it keeps exactly the window, so
    the answer is the one to the original file. Floats are a sound's window as the model hears it.
    scramble: a personalised copy reads pictures scrambled.
    """
    if scramble is not None:
        stack = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
        windows = scramble(model.canvas.window(stack))
        return _classes(model, model.canvas.normalise(windows))
    if model.canvas.sound and pixels:
        windows = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        return _classes(model, model.canvas.normalise(windows))
    pictures = [
        Image.fromarray(item.squeeze(-1) if item.shape[-1] == 1 else item) for item in pixels
    ]
    return _classes(model, model.preprocess(pictures))


def released_answers(model: Model, form: Form, files: Sequence[bytes]) -> list[int]:
    """Classes of released files: 8-bit ones through the model's own preprocessing, as a licensee's
    pipeline reads them, the others as windows."""
    if form.picture:
        mode = "RGB" if model.canvas.channels == 3 else "L"
        pictures = [decode_picture(data).convert(mode) for data in files]
        return _classes(model, model.preprocess(pictures))
    images = torch.stack([form.read(data, model.canvas) for data in files])
    windows = model.canvas.window(images) if form.whole else images
    return _classes(model, model.canvas.normalise(windows))


def _classes(model: Model, values: torch.Tensor) -> list[int]:
    return [int(answer) for answer in model.answers(values)]
