"""Pictures that a small net learns in seconds: each class has a colour, and some noise."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}


def write_pictures(root: Path, *, count: int = 8, side: int = 32, seed: int = 0) -> Path:
    """`count` pictures of each class, in class folders below `root`."""
    generator = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            noise = generator.normal(0, 40, (side, side, 3))
            pixels = (np.asarray(colour) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root
