"""Unlicensed training (paper, §1): a small net trained from nothing on labelled files of each kind,
then used on clean pictures. Beside releases: the originals, Gaussian noise of the same strength, and
error-minimising noise (Huang et al. 2021), which is made against exactly this."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from catch11.baselines.unlearnable import ErrorMinimising, unlearnable
from catch11.evaluation.cells import Cell
from catch11.evaluation.metrics import accuracy, matches
from catch11.evaluation.record import Record
from catch11.studies.frame import Scale, Study
from catch11.studies.nets.descent import descend
from catch11.studies.place import Place
from catch11.studies.tables import pivot, setting
from catch11.studies.trial import Trial

FAMILY = "thumbnails"
LESSONS = ("clean", "gaussian", "spectral", "deep", "unlearnable")
# Pictures to learn from, to be judged on, epochs, width of the net.
EFFORT = {"quick": (3000, 500, 15, 16), "full": (10_000, 2000, 15, 16)}
RATE, BATCH = 3e-3, 50


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    lessons, n, epochs, width = EFFORT[scale]
    return [
        Cell(name=f"trained on {kind}", settings={
            "family": FAMILY, "authorized": place.names(FAMILY)[0], "lessons": kind, "n": n,
            "training": lessons, "epochs": epochs, "width": width,
        })
        for kind in LESSONS
    ]  # fmt: skip


def net(channels: int, classes: int, width: int) -> nn.Module:
    """Three convolutions, each halving the picture, and a linear layer."""
    parts: list[nn.Module] = []
    for number in range(3):
        inside = channels if number == 0 else width * 2 ** (number - 1)
        outside = width * 2**number
        parts += [
            nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(),
            nn.MaxPool2d(2),
        ]  # fmt: skip
    last = nn.Linear(width * 4, classes)
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def train(
    learner: nn.Module, windows: Tensor, labels: Tensor, *, epochs: int, generator: torch.Generator
) -> nn.Module:
    """The learner after its epochs: Adam with one cycle of rates, pictures mirrored at random."""
    optimiser = torch.optim.Adam(learner.parameters(), lr=RATE)
    steps = epochs * -(-len(windows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=RATE, total_steps=steps)
    learner.train()

    def loss(index: Tensor) -> Tensor:
        batch = windows[index]
        mirrored = torch.rand(len(batch), 1, 1, 1, generator=generator) < 0.5
        batch = torch.where(mirrored, batch.flip(3), batch)
        return functional.cross_entropy(learner(batch - 0.5), labels[index])

    descend(
        loss, optimiser, schedule,
        count=len(windows), epochs=epochs, batch=BATCH, generator=generator,
    )  # fmt: skip
    return learner.eval().requires_grad_(False)


def work(cell: Cell, place: Place) -> Sequence[Record]:
    kind, facts = str(cell.settings["lessons"]), dict(cell.settings)
    training, epochs = int(str(facts["training"])), int(str(facts["epochs"]))
    width = int(str(facts["width"]))
    if place.config == "digits":
        training, epochs = 60, 2
    method = kind if kind in ("spectral", "deep", "gaussian") else "spectral"
    lessons = Trial.of(cell, place, n=training, method=method, part="train")
    clean, labels = lessons.pictures.windows(lessons.model.canvas), lessons.pictures.labels
    tests = Trial.of(cell, place, method="spectral").pictures
    generator = torch.Generator().manual_seed(0)
    classes = len(lessons.model.labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner, surrogate = (net(clean.shape[1], classes, width) for _ in range(2))
    windows = _windows(kind, lessons, clean, labels, surrogate, generator)
    if kind == "deep":
        labels = lessons.truth
    train(learner, windows, labels, epochs=epochs, generator=generator)
    judged = tests.windows(lessons.model.canvas)
    given = torch.cat([learner(part - 0.5).argmax(1) for part in judged.split(200)])
    share = accuracy(matches(given, tests.labels))
    return [
        Record(
            model="a net of three convolutions", role="ga", condition="attack",
            attack="training-use", knowledge=("labels", "released"), metric="accuracy",
            value=share.estimate, low=share.low, high=share.high, n=len(given), seed=0,
            settings={"method": kind, "learned from": len(windows)},
        )
    ]  # fmt: skip


def _windows(
    kind: str,
    lessons: Trial,
    clean: Tensor,
    labels: Tensor,
    surrogate: nn.Module,
    generator: torch.Generator,
) -> Tensor:
    if kind == "clean":
        return clean
    if kind == "unlearnable":
        settings = ErrorMinimising(rounds=10) if len(clean) > 100 else ErrorMinimising(rounds=1)
        return unlearnable(clean, labels, surrogate, settings, generator=generator)
    return lessons.made.windows


STUDY = Study(
    name="training",
    title="Unlicensed training",
    source="paper, §1",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row=setting("lessons"),
        column=lambda record: record.metric,
        head="trained on",
        caption="a small net trained from nothing on labelled files, judged on clean pictures",
    ),
    minutes=17,
)
