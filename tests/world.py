"""A small world for tests: pictures of four classes, two models that read them, a release for one."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from catch11.canvas.frame import Canvas, Fit
from catch11.data.pictures import fit_picture
from catch11.fronts.fingerprint import module_fingerprint
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release

CANVAS = Canvas(
    height=28, width=28, top=2, left=2, window_height=24, window_width=24,
    gain=(2.0, 2.0, 2.0), offset=(-1.0, -1.0, -1.0),
    fit=Fit(resize="exact", height=28, width=28),
)  # fmt: skip
CLASSES = 4
LABELS = ("north west", "north east", "south west", "south east")
NETS = """
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from tests.world import CANVAS, LABELS


def _read(name):
    net = nn.Sequential(nn.Conv2d(3, 6, 8, stride=8), nn.Flatten(), nn.Linear(54, 4))
    net.load_state_dict(load_file(Path(__file__).with_name(f"{name}.safetensors")))
    return net.eval(), CANVAS, LABELS


def ours():
    return _read("ours")


def theirs():
    return _read("theirs")
"""


def make_picture(label: int, generator: torch.Generator) -> Image.Image:
    """One quadrant is bright: what a first layer with smooth filters sees and noise can drown."""
    pixels = 0.35 + 0.1 * torch.rand(3, 28, 28, generator=generator)
    row, column = divmod(label, 2)
    pixels[:, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14] += 0.18
    return Image.fromarray((pixels.permute(1, 2, 0) * 255).byte().numpy())


def _prepare(pictures: list[Image.Image]) -> torch.Tensor:
    stack = torch.from_numpy(np.stack([fit_picture(p, CANVAS) for p in pictures])).float() / 255
    return CANVAS.normalise(CANVAS.window(stack.permute(0, 3, 1, 2)))


def make_model(
    name: str, seed: int, rough: float, pictures: list[Image.Image], labels: list[int]
) -> Model:
    """A patch front with random filters of its own, and a head fitted to the clean pictures."""
    generator = torch.Generator().manual_seed(seed)
    front = nn.Conv2d(3, 6, 8, stride=8)
    weight = torch.randn(6, 3, 8, 8, generator=generator)
    front.weight.data = rough * weight + (1.0 - rough) * torch.randn(
        6, 3, 1, 1, generator=generator
    )
    assert front.bias is not None
    front.bias.data.zero_()
    with torch.no_grad():
        features = front(_prepare(pictures)).flatten(1)
        features = torch.cat([features, torch.ones(len(features), 1)], 1)
        wanted = nn.functional.one_hot(torch.tensor(labels), CLASSES).float()
        solution = torch.linalg.lstsq(features, wanted).solution
    head = nn.Linear(features.shape[1] - 1, CLASSES)
    head.weight.data, head.bias.data = solution[:-1].T.contiguous(), solution[-1].contiguous()
    module = nn.Sequential(front, nn.Flatten(), head).eval().requires_grad_(False)
    return Model(
        name=name,
        spec=f"test:{name}",
        module=module,
        canvas=CANVAS,
        labels=LABELS,
        fingerprint=module_fingerprint(module),
        prepare=_prepare,  # type: ignore[arg-type]
    )


class World(NamedTuple):
    """ours, theirs: what the commands load the model and the rival by."""

    source: Path
    released: Path
    labels: Path
    key: Key
    model: Model
    rival: Model
    ours: str
    theirs: str


def build_world(root: Path, *, count: int = 40) -> World:
    """Pictures, labels, models and a release at 9 dB below a folder."""
    source = root / "photos"
    source.mkdir()
    generator = torch.Generator().manual_seed(5)
    labels = [i % CLASSES for i in range(count)]
    pictures = [make_picture(label, generator) for label in labels]
    with (root / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            picture.save(source / f"{i:02}.png")
            table.writerow([f"{i:02}.png", label])
    model, rival = (
        make_model("ours", 1, 0.1, pictures, labels),
        make_model("theirs", 2, 0.95, pictures, labels),
    )
    key = build_key(model, energy=1e-6, secret=bytes(range(32)))
    release(source, root / "out", SpectralRecoder(key, psnr=9.0))
    (root / "nets.py").write_text(NETS)
    for one in (model, rival):
        assert one.module is not None
        save_file(one.module.state_dict(), root / f"{one.name}.safetensors")
    specs = (f"py:{root / 'nets.py'}:{name}" for name in ("ours", "theirs"))
    return World(source, root / "out", root / "labels.csv", key, model, rival, *specs)
