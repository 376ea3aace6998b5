"""Models by their short names or as any command takes them, and the pictures they read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from catch11 import Canvas
from catch11.data.pictures import fit_picture
from catch11.data.windows import to_pixels
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.studies.place import FAMILIES, Pictures, Place

BATCH = 16
NAMES = {name: family for family in ("thumbnails", "six") for name in FAMILIES["local"][family]}
KNOWN = f"{', '.join(NAMES)}, or any MODEL of catch11"


def model_of(assets: Path, name: str) -> Model:
    """A model of the assets by its name, or of anywhere."""
    if name in NAMES:
        return Place(assets=assets).model(NAMES[name], name)
    return load_picture_model(name)


def pictures_of(assets: Path, name: str, count: int) -> Pictures:
    """The first thumbnails, classes in turn, for a model of thumbnails; for others photographs."""
    family = "thumbnails" if NAMES.get(name) == "thumbnails" else "photographs"
    return Place(assets=assets).pictures(family, count)


def whole(pictures: Sequence[Image.Image], canvas: Canvas) -> Tensor:
    """Pictures as they lie on a canvas, margin and all, in [0, 1]."""
    pixels = np.stack([fit_picture(picture, canvas) for picture in pictures])
    return rearrange(torch.from_numpy(pixels), "n h w c -> n c h w").float() / 255.0


def as_files(images: Tensor) -> list[Image.Image]:
    """Whole pictures as 8-bit files show them."""
    return [Image.fromarray(to_pixels(image)) for image in images]


def answers(model: Model, pictures: Sequence[Image.Image]) -> Tensor:
    """What a model says behind its own preprocessing."""
    parts = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    return torch.cat([model.logits(model.preprocess(part)) for part in parts]).argmax(1)
