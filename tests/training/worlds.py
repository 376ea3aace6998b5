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


DIAGNOSES = {"nv": "blue", "mel": "green", "bcc": "red"}  # and the colour that shows each


def write_lesions(root: Path, *, nevi: int = 12, side: int = 32) -> Path:
    """HAM10000's layout: so many nevi, a quarter as many of the others, each third lesion photographed
    twice, in two folders."""
    generator = np.random.default_rng(0)
    parts = [root / f"HAM10000_images_part_{number}" for number in (1, 2)]
    for part in parts:
        part.mkdir(parents=True)
    rows, number = ["lesion_id,image_id,dx,dx_type,age,sex,localization"], 0
    for name, colour in DIAGNOSES.items():
        for place in range(nevi if name == "nv" else nevi // 4):
            lesion = f"HAM_{name}_{place}"
            for _ in range(1 + (place % 3 == 0)):
                image = f"ISIC_{number:07}"
                noise = generator.normal(0, 40, (side, side, 3))
                pixels = (np.asarray(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(parts[number % 2] / f"{image}.jpg", quality=95)
                rows.append(f"{lesion},{image},{name},histo,50.0,female,back")
                number += 1
    (root / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n")
    return root
