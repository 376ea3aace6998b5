"""Tiny vision-language models on disk, made once a session, and what tests do with them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.studies.nets.tiny_vlm import Family, write_tiny

FAMILIES: tuple[Family, ...] = ("internvl", "qwen2_5_vl")
_HOME = TemporaryDirectory(prefix="catch11-tests-")


@cache
def folder(family: Family, seed: int = 0) -> Path:
    """A saved model and its processor."""
    return write_tiny(Path(_HOME.name) / f"{family}-{seed}", family, seed=seed)


@cache
def tiny(family: Family, seed: int = 0, query: str = "size=56x56&tokens=6") -> Model:
    """The loaded model."""
    return load_picture_model(f"hf:{folder(family, seed)}" + (f"?{query}" if query else ""))


def pictures(count: int, *, height: int = 56, width: int = 56) -> list[Image.Image]:
    """Smooth pictures with a little grain, as photographs are, unlike each other."""
    made = []
    for seed in range(count):
        generator = np.random.default_rng(seed)
        coarse = Image.fromarray(generator.integers(40, 216, (4, 5, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        grain = generator.integers(-6, 7, smooth.shape)
        made.append(Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)))
    return made


def windows(found: list[Image.Image]) -> Float[Tensor, "batch 3 height width"]:
    """8-bit pictures of one size in pixel units."""
    stack = torch.stack([torch.from_numpy(np.array(one)) for one in found])
    return stack.permute(0, 3, 1, 2).float() / 255


def to_picture(window: Float[Tensor, "3 height width"]) -> Image.Image:
    """Pixel units to 8 bits."""
    return Image.fromarray((window * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
