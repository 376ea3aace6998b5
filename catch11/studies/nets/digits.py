"""The demo: three small digit readers trained on the spot, one of them authorized.

Data: the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries (UCI optdigits test
set). They are shown at native size, grey in RGB, with their contrast lowered to the middle of the
range (`LOW` to `HIGH`): black and white pixels would leave the box no room for noise. Digits are
an easy task, and nets that read them average much noise away; the controls say how much.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from einops import repeat
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument
from catch11.lab import needed
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model, finish
from catch11.studies.nets.descent import train_classes

SIDE = 8
LOW, HIGH = 0.35, 0.65
TRAIN = 1297
CLASSES = tuple(str(digit) for digit in range(10))
EPOCHS, BATCH, RATE = 15, 64, 2e-3
SPLIT_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Digits:
    """Pictures in [0, 1] and their classes, split once and for all."""

    train: Float[Tensor, "train channel height width"]
    train_labels: Int[Tensor, " train"]
    test: Float[Tensor, "test channel height width"]
    test_labels: Int[Tensor, " test"]


def load_digits() -> Digits:
    """The digits on the 8-bit grid that a file keeps, 1,297 to train on and 500 to test on."""
    embedded = needed("sklearn.datasets").load_digits

    bunch = embedded()
    grey = torch.from_numpy(np.asarray(bunch.images)).float() / 16
    pixels = ((LOW + (HIGH - LOW) * grey) * 255).round() / 255
    images = repeat(pixels, "n height width -> n channel height width", channel=3).contiguous()
    labels = torch.from_numpy(np.asarray(bunch.target)).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
    train, test = order[:TRAIN], order[TRAIN:]
    return Digits(
        train=images[train],
        train_labels=labels[train],
        test=images[test],
        test_labels=labels[test],
    )


def patch_net() -> nn.Module:
    """As a vision transformer starts: patches of 4 x 4 x 3 = 48 numbers, 8 features each."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=4), nn.GELU(), nn.Flatten(),
        nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def dense_net() -> nn.Module:
    """A multilayer perceptron on all pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 64), nn.ReLU(), nn.Linear(64, 10))


def convolution_net() -> nn.Module:
    """Overlapping 3 x 3 convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A net of the demo: how it is built and the seed of its training."""

    build: Callable[[], nn.Module]
    seed: int


AUTHORIZED = "patch"
NETS: Mapping[str, Net] = {
    "patch": Net(build=patch_net, seed=1),
    "patch-twin": Net(build=patch_net, seed=2),
    "dense": Net(build=dense_net, seed=3),
    "convolution": Net(build=convolution_net, seed=4),
}


def digit_canvas() -> Canvas:
    """Pictures as they are; values to a deviation of about one."""
    return plain_canvas(SIDE, SIDE, mean=(0.4,) * 3, std=(0.12,) * 3)


def digit_model(name: str, digits: Digits | None = None) -> Model:
    """Train one net of `NETS`, the same each time on one machine. Raises InvalidArgument."""
    if name not in NETS:
        raise InvalidArgument("name", expected=f"one of {', '.join(NETS)}", found=name)
    net, canvas = NETS[name], digit_canvas()
    digits = load_digits() if digits is None else digits
    # Layers draw their start from torch's global generator; the fork gives it back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(net.seed)
        module = net.build()
    generator = torch.Generator().manual_seed(net.seed)
    train_classes(
        module, canvas.normalise(digits.train), digits.train_labels, generator=generator,
        epochs=EPOCHS, batch=BATCH, rate=RATE,
    )  # fmt: skip
    return finish(
        spec=f"py:catch11.studies.nets.digits:{name.replace('-', '_')}",
        name=name,
        module=module,
        canvas=canvas,
        prepare=canvas_prepare(canvas),
        labels=lambda count: CLASSES,
    )


# The nets by spec, so that every command can be tried on them: py:catch11.studies.nets.digits:patch.
# Trained once a process; a Model is frozen and its parameters ask for no gradients.
_trained = cache(digit_model)
patch, patch_twin, dense, convolution = (partial(_trained, name) for name in NETS)


def write_pictures(digits: Digits, folder: Path, *, count: int) -> None:
    """The first `count` test pictures as 8-bit PNG files in class folders, as an owner has them."""
    pixels = (digits.test[:count] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for index, (picture, label) in enumerate(
        zip(pixels, digits.test_labels.tolist(), strict=False)
    ):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{index:03}.png")
