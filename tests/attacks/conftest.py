"""A front, pictures and releases of them as tensors: no files, for the maths of attacks."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from catch11.attacks.frame import Material
from catch11.attacks.jury import ClassJury, window_jury
from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.fronts.find import find_front
from catch11.fronts.fingerprint import module_fingerprint
from catch11.keys.key import Key, key_of
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule

torch.set_num_threads(1)
CANVAS = plain_canvas(32, 32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
PATCH = 8


def pictures(count: int, *, seed: int) -> Tensor:
    """Smooth fields, as natural pictures are smooth: (count, 3, 32, 32) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    made = torch.full((count, 3, 32, 32), 0.5)
    for size, weight in ((2, 0.2), (4, 0.06), (8, 0.04), (16, 0.03)):
        grey = torch.randn(count, 1, size, size, generator=generator)
        colour = grey + 0.3 * torch.randn(count, 3, size, size, generator=generator)
        made += weight * functional.interpolate(colour, (32, 32), mode="bicubic")
    return (made.clamp(0, 1) * 255).round() / 255


def classes(windows: Tensor) -> Tensor:
    """The brightest quadrant: a label that is in the picture and not in any tile alone."""
    return functional.adaptive_avg_pool2d(windows.mean(1, keepdim=True), 2).flatten(1).argmax(1)


def classifier(seed: int, *, name: str) -> Model:
    """Brightness of quadrants through filters that noise upsets: a patch front and a head."""
    generator = torch.Generator().manual_seed(seed)
    front = nn.Conv2d(3, 48, PATCH, stride=PATCH)
    front.weight.data = 0.15 * torch.randn(front.weight.shape, generator=generator)
    front.weight.data += 0.2 * torch.randn(48, 1, 1, 1, generator=generator)
    head = nn.Linear(48 * 16, 4)
    module = nn.Sequential(front, nn.Tanh(), nn.Flatten(), head)
    clean = pictures(2500, seed=1000)
    with torch.no_grad():
        features = module[:3](CANVAS.normalise(clean))
        wanted = functional.one_hot(classes(clean), 4).float() - 0.25
        gram = features.T @ features + 1.0 * torch.eye(features.shape[1])
        head.weight.data = torch.linalg.solve(gram, features.T @ wanted).T.contiguous()
        head.bias.data.zero_()
    return Model(
        name=name,
        spec=f"test:{name}",
        module=module.eval().requires_grad_(False),
        canvas=CANVAS,
        labels=("0", "1", "2", "3"),
        fingerprint=module_fingerprint(module),
        prepare=canvas_prepare(CANVAS),
    )


class Scene(NamedTuple):
    canvas: Canvas
    clean: Tensor
    key: Key
    recoder: SpectralRecoder
    rival: Model
    material: Material
    jury: ClassJury


@pytest.fixture(scope="session")
def scene() -> Scene:
    """60 windows at 10 dB under a patch front of 48 outputs on 192 pixels, and every knowledge."""
    ours, rival = classifier(1, name="ours"), classifier(2, name="theirs")
    assert ours.module is not None
    key = key_of(
        find_front(ours.module, CANVAS),
        canvas=CANVAS,
        rule=Rule(kind="energy", value=1e-6),
        secret=bytes(range(32)),
    )
    recoder = SpectralRecoder(key, psnr=10.0)
    clean, extra, public = (pictures(n, seed=s) for n, s in ((60, 1), (60, 2), (150, 3)))
    released, learned = recoder(clean).images, recoder(extra).images
    second = SpectralRecoder(key, psnr=10.0, tag="second")(clean).images
    material = Material(
        canvas=CANVAS,
        released=released,
        rivals={"theirs": rival},
        others=(second,),
        public=public,
        front=key.front,
        subspace=key.subspace,
        labelled=(learned, classes(extra)),
        pairs=(extra, learned),
        query=lambda windows: recoder(windows).images,
        table=torch.zeros(5, 3),
        weights=ours,
    )
    jury = window_jury(
        CANVAS,
        rivals={"theirs": rival},
        truth={"theirs": classes(clean)},
        released=released,
        clean=clean,
    )
    return Scene(CANVAS, clean, key, recoder, rival, material, jury)
