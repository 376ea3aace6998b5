"""Rivals that learn from thumbnails: a plain net, a front before a net, and the course they take."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.thumbnails import BATCH, CLASSES, lessons, share
from catch11.models.frame import Model

Score = Callable[[nn.Module], float]
"""How well a net does."""
Net = TypeVar("Net", bound=nn.Module)


class Vgg(nn.Module):
    """Six plain 3x3 convolutions with batch norm, two after each halving, and a linear head."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (24, 48, 96):
            for _ in range(2):
                layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class Fronted(nn.Module):
    """A net, frozen unless it is free, behind a learned 5x5 convolution that begins as the identity."""

    def __init__(self, net: nn.Module, *, free: bool = False) -> None:
        super().__init__()
        self.front = nn.Conv2d(3, 3, 5, padding=2)
        nn.init.dirac_(self.front.weight)
        assert self.front.bias is not None
        nn.init.zeros_(self.front.bias)
        self.net = net.eval().requires_grad_(free)
        self.free = free

    def train(self, mode: bool = True) -> "Fronted":
        return super().train(mode) if self.free else self

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.front(x))


def scratch(net: Net) -> Net:
    """The same layers with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                part.reset_parameters()
    return net


@dataclass(slots=True, kw_only=True)
class Learnt:
    """(epoch, training loss, score) of every epoch looked at."""

    curve: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def best(self) -> float:
        return max((score for _, _, score in self.curve), default=float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a net learns: SGD with momentum or AdamW, cosine, bfloat16 where `half`. patience: looks
    without a better score, once the training loss is low, after which it stops."""

    rate: float
    epochs: int
    optimiser: str = "sgd"
    augment: bool = False
    patience: int = 3
    low: float = 0.3
    half: bool = True


def learn(net: nn.Module, images: Tensor, labels: Tensor, course: Course, score: Score) -> Learnt:
    """Train a net on normalised pictures, which it changes, scoring it after every other epoch."""
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.train()
    weights = [p for p in net.parameters() if p.requires_grad]
    if course.optimiser == "sgd":
        rule: torch.optim.Optimizer = torch.optim.SGD(
            weights, course.rate, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
    else:
        rule = torch.optim.AdamW(weights, course.rate, weight_decay=0.05)
    total = course.epochs * -(-len(images) // BATCH)
    rates = torch.optim.lr_scheduler.LambdaLR(
        rule,
        lambda step: min(1.0, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * step / total)),
    )
    learnt = Learnt()
    for epoch in range(1, course.epochs + 1):
        generator = torch.Generator().manual_seed(epoch)
        losses = []
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            some = images[batch]
            if course.augment:
                some = _moved(some, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=course.half):
                logits = net(some.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), labels[batch])
            rule.zero_grad()
            loss.backward()
            rule.step()
            rates.step()
            losses.append(float(loss.detach()))
        if epoch % 2 == 0 or epoch == course.epochs:
            net.eval()
            learnt.curve.append((epoch, round(sum(losses) / len(losses), 4), score(net)))
            net.train()
            if _settled(learnt.curve, course):
                break
    net.eval()
    return learnt


def _settled(curve: Sequence[tuple[int, float, float]], course: Course) -> bool:
    """The files are learnt by heart and the last looks were no better than those before."""
    if len(curve) <= course.patience or curve[-1][1] > course.low:
        return False
    before, since = curve[: -course.patience], curve[-course.patience :]
    return max(score for _, _, score in before) >= max(score for _, _, score in since)


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrored or not, and shifted by up to two pixels: one draw for a batch, as cheap as it gets."""
    flip, down, across = torch.randint(0, 5, (3,), generator=generator).tolist()
    images = images.flip(3) if flip % 2 else images
    return F.pad(images, (2, 2, 2, 2))[:, :, down : down + 32, across : across + 32]


def reader(images: Tensor, truth: Tensor, *, half: bool = True) -> Score:
    """The share of normalised pictures that a net answers rightly."""

    def score(net: nn.Module) -> float:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            made = [
                net(part.contiguous(memory_format=torch.channels_last)).argmax(1)
                for part in images.split(2 * BATCH)
            ]
        return share(torch.cat(made), truth)

    return score


def fresh(model: Model) -> nn.Module:
    """The net of a model, to be trained on."""
    assert model.module is not None
    return copy.deepcopy(model.module).requires_grad_(True)


def plain(assets: Path, work: Path, normalise: Callable[[Tensor], Tensor]) -> nn.Module:
    """The net of another family, trained on the clean training pictures once."""
    work.mkdir(parents=True, exist_ok=True)
    net, held = Vgg(), work / "plain.pt"
    if held.exists():
        net.load_state_dict(torch.load(held, weights_only=True))
        return net
    torch.manual_seed(0)
    net = scratch(Vgg())
    images, labels = lessons(assets, 10_000)
    course = Course(rate=0.1, epochs=15, augment=True, low=0.0)
    learn(net, normalise(images), labels, course, lambda _: 0.0)
    torch.save(net.state_dict(), held)
    return net
