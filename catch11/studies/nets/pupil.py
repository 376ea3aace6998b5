"""A small net of one's own: trained here on squares of the demo's photographs to say what
EfficientNet-Lite0 says of them. py:catch11.studies.nets.pupil:pupil names it."""

from functools import cache
from itertools import pairwise

import torch
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model, finish
from catch11.studies.nets.descent import train_classes
from catch11.studies.nets.lite import imagenet_names, lite
from catch11.studies.photographs import squares

SIDE = 64
EACH = 16  # squares of each photograph
EPOCHS, BATCH, RATE, SEED = 30, 32, 2e-3, 5


def small_net(classes: int) -> nn.Sequential:
    """Four convolutions of 3 x 3 and a line of logits."""
    widths = (3, 24, 48, 96, 128)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(512, classes))


@cache
def pupil(each: int = EACH) -> Model:
    """Trained on `each` squares of every photograph, the same each time on one machine. Raises
    MissingExtra."""
    names, canvas = imagenet_names(), plain_canvas(SIDE, SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
    generator, teacher = torch.Generator().manual_seed(SEED), lite(0)
    pictures = squares(each, generator=generator)
    answers = teacher.answers(teacher.preprocess(pictures))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = small_net(len(names))
    prepare = canvas_prepare(canvas)
    module.train()
    train_classes(
        module, prepare(pictures), answers, generator=generator,
        epochs=EPOCHS, batch=BATCH, rate=RATE,
    )  # fmt: skip
    return finish(
        spec=f"py:{__name__}:pupil", name="small-net", module=module, canvas=canvas, prepare=prepare,
        labels=lambda count: names,
    )  # fmt: skip
