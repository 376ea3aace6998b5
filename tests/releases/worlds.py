"""A small source, recoder and model of each kind of data, the same whenever they are made."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from catch11.canvas.frame import Canvas, Fit
from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import encode_clip
from catch11.keys.key import build_key
from catch11.modalities.audio.model import sound_model
from catch11.modalities.audio.nets import Heard, Keywords
from catch11.modalities.table.model import Column, table_model
from catch11.modalities.table.net import Perceptron
from catch11.modalities.table.recoder import SpectralRowRecoder
from catch11.modalities.text.file import load_text
from catch11.modalities.text.recoder import SpectralTokens
from catch11.recoding.spectral.recoder import SpectralRecoder
from tests.text_world import pairs_csv, save_text_model

SECRET = bytes(range(32))
CANVAS = Canvas(
    height=20, width=20, top=2, left=2, window_height=16, window_width=16,
    gain=(2.0, 3.0, 4.0), offset=(-1.0, -1.5, -2.0),
    fit=Fit(resize="exact", height=20, width=20, resample="bilinear"),
)  # fmt: skip


def shot(number: int) -> bytes:
    """A smooth picture of its own."""
    coarse = np.random.default_rng(number).integers(40, 215, (3, 3, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(coarse).resize((33, 27), Image.Resampling.BICUBIC).save(data, "PNG")
    return data.getvalue()


class World(NamedTuple):
    """What `release` is called with: the source, the recoder, and what belongs beside it."""

    source: Path
    recoder: Any
    beside: dict[str, Any]
    again: Callable[[], Any]
    """The recoder at another strength."""


def pictures(root: Path) -> World:
    """Smooth pictures in folders, and a file that is none."""
    torch.manual_seed(0)
    key = build_key(nn.Conv2d(3, 10, 4, 4), canvas=CANVAS, secret=SECRET)
    draw = np.random.default_rng(0)
    for name in ("a/1.jpg", "a/2.jpg", "b/3.jpg", "c.gif", "c.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(draw.integers(40, 215, (3, 3, 3), dtype=np.uint8))
        with path.open("wb") as file:
            coarse.resize((33, 27), Image.Resampling.BICUBIC).save(file, "PNG")
    (root / "a" / "bad.png").write_bytes(b"no picture")
    made = SpectralRecoder(key, psnr=12.0)
    made.domain.batch = 2
    return World(root, made, {}, lambda: SpectralRecoder(key, psnr=9.0))


def sounds(root: Path) -> World:
    """Noise and tones of one net's rate and another, and a file that is none."""
    torch.manual_seed(0)
    net = Keywords(classes=3, first=6, kernel=20, wide=8, framed=True)
    model = sound_model("x", Heard(net), sound_canvas((1, 1, 400), rate=4000), name="net")
    key = build_key(model, secret=SECRET)
    draw = np.random.default_rng(0)
    for name, rate in (("a/1.wav", 4000), ("a/2.wav", 8000), ("b.wav", 4000), ("c.wav", 4000)):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_clip(0.1 * draw.standard_normal(600), rate))
    (root / "bad.wav").write_bytes(b"no sound")
    made = SpectralRecoder(key, psnr=30.0, format="wav16", noise="gaussian")
    made.domain.batch = 2
    weaker = SpectralRecoder(key, psnr=40.0, format="wav16", noise="gaussian")
    return World(root, made, {"check": model}, lambda: weaker)


def tables(root: Path) -> World:
    """Tables with a gap, and one that lacks the columns."""
    torch.manual_seed(7)
    columns = [Column(name=f"c{i}", mean=10.0 + i, std=1.0 + i / 4) for i in range(8)]
    model = table_model("x", Perceptron([8, 3, 3]), columns, name="net")
    key = build_key(model, secret=SECRET)
    draw = np.random.default_rng(0)
    for name in ("a/1.csv", "a/2.csv", "b.csv", "c.csv"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", *model.names])
            rows = [[f"row {i}", *row] for i, row in enumerate(draw.normal(12, 2, (3, 8)).tolist())]
            rows[1][2] = "" if name == "b.csv" else rows[1][2]
            writer.writerows(rows)
    (root / "bad.csv").write_text("x,y\n1,2\n")
    made = SpectralRowRecoder(model, key, psnr=-10.0)
    weaker = SpectralRowRecoder(model, key, psnr=0.0)
    return World(root, made, {"model": model, "check": model}, lambda: weaker)


def texts(root: Path) -> World:
    """Two columns of documents, one of them empty."""
    root.mkdir(parents=True)
    model = load_text(str(save_text_model(root / "model")))
    key = build_key(model, rank=8, secret=SECRET)
    source = pairs_csv(root / "pairs.csv")
    source.write_text(source.read_text() + "the man plays,,1\n")
    made, weaker = SpectralTokens(key, psnr=40.0), SpectralTokens(key, psnr=60.0)
    made.domain.batch = 6
    beside = {"model": model, "check": model, "columns": ("first", "second")}
    return World(source, made, beside, lambda: weaker)


WORLDS: dict[str, Callable[[Path], World]] = {
    "pictures": pictures,
    "sounds": sounds,
    "tables": tables,
    "texts": texts,
}
