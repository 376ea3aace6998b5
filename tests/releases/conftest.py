"""A small key and a small folder of pictures, for all tests of releases."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from catch11.canvas.frame import Canvas, Fit
from catch11.keys.key import Key, build_key
from catch11.recoding.spectral.recoder import SpectralRecoder

CANVAS = Canvas(
    height=20, width=20, top=2, left=2, window_height=16, window_width=16,
    gain=(2.0, 3.0, 4.0), offset=(-1.0, -1.5, -2.0),
    fit=Fit(resize="exact", height=20, width=20, resample="bilinear"),
)  # fmt: skip


@pytest.fixture(scope="session")
def key() -> Key:
    """A patch front of 10 outputs on 48 pixels, with a known secret."""
    generator = torch.Generator().manual_seed(0)
    front = nn.Conv2d(3, 10, 4, 4)
    front.weight.data = torch.randn(front.weight.shape, generator=generator)
    return build_key(front, canvas=CANVAS, secret=bytes(range(32)))


@pytest.fixture(scope="session")
def recoder(key: Key) -> SpectralRecoder:
    return SpectralRecoder(key, psnr=12.0)


@pytest.fixture
def small(recoder: SpectralRecoder) -> SpectralRecoder:
    """Chunks of two pictures."""
    made = SpectralRecoder(recoder.key, psnr=12.0)
    made.domain.batch = 2
    return made


@pytest.fixture
def fill() -> Callable[..., Path]:
    """Write smooth pictures of the given names below a folder."""

    def fill(root: Path, *names: str, seed: int = 0) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        for name in names:
            coarse = Image.fromarray(rng.integers(40, 215, (3, 3, 3), dtype=np.uint8))
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                coarse.resize((33, 27), Image.Resampling.BICUBIC).save(file, "PNG")
        return root

    return fill


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder with its bytes."""

    def tree(root: Path) -> dict[str, bytes]:
        files = (path for path in sorted(root.rglob("*")) if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    return tree
