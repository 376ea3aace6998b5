"""What the measurements on CIFAR-10 share: pictures, files kept between runs, rivals that learn, lines."""

import copy
import io
import json
import math
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from catch11 import build_key, load_model
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.codecs import survival
from catch11.recoding.deep.recoder import DeepRecoder

BATCH = 100
CLASSES = 10
BOTH = "jpeg:75,jpeg:50"
WAYS: dict[str, dict[str, object]] = {
    "as it is": {},
    "least": {"radius": "least", "steps": 160, "margin": 0.1, "survive": BOTH},
    "least, three": {"radius": "least", "steps": 160, "margin": 0.1, "survive": f"jpeg:90,{BOTH}"},
    "auto": {"radius": "auto", "margin": 0.1, "survive": "jpeg:50"},
    "auto, both": {"radius": "auto", "margin": 0.1, "survive": BOTH},
    "least, nothing to survive": {"radius": "least", "steps": 160},
}


def labelled(path: Path, count: int) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] and classes, drawn from a tar of class folders in a fixed order."""
    with tarfile.open(path) as tar:
        files = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        names = sorted({Path(m.name).parent.name for m in files})
        order = np.random.default_rng(0).permutation(len(files))[:count]
        images, labels = [], []
        for member in (files[i] for i in order):
            data = tar.extractfile(member)
            assert data is not None
            picture = Image.open(io.BytesIO(data.read())).convert("RGB")
            images.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
            labels.append(names.index(Path(member.name).parent.name))
    return torch.stack(images).float() / 255.0, torch.tensor(labels)


def tests(assets: Path, count: int) -> tuple[Tensor, Tensor]:
    return labelled(assets / "cifar10" / "cifar10_test_2000_jpeg.tar", count)


def lessons(assets: Path, count: int) -> tuple[Tensor, Tensor]:
    return labelled(assets / "cifar10" / "cifar10_train_10000_jpeg.tar", count)


def models(assets: Path) -> tuple[Model, Key, Model]:
    """ResNet-20, which is authorized, its key, and ResNet-32, which is a rival."""
    folder = assets / "models"
    model = load_model(f"torch:{folder / 'cifar10_resnet20.safetensors'}")
    rival = load_model(f"torch:{folder / 'cifar10_resnet32.safetensors'}")
    return model, build_key(model, energy=0.01, secret=bytes(32)), rival


def answers(model: Model, images: Tensor) -> Tensor:
    return model.logits(model.canvas.normalise(images), batch=BATCH).argmax(1)


def forward_seconds(model: Model, images: Tensor) -> float:
    """Processor seconds that one answer takes."""
    begun = time.process_time()
    answers(model, images)
    return (time.process_time() - begun) / len(images)


def share(a: Tensor, b: Tensor) -> float:
    return round(float((a == b).float().mean()), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Recoded pictures, which of them may be released, and processor seconds a picture."""

    images: Tensor
    kept: Tensor
    seconds: float

    def first(self, count: int) -> "Files":
        return Files(images=self.images[:count], kept=self.kept[:count], seconds=self.seconds)


def files(recoder: DeepRecoder, images: Tensor, cache: Path | None = None) -> Files:
    """Recode pictures in parts; a cache keeps the finished ones, so that a stop loses one part."""
    parts: list[Tensor] = []
    kept: list[bool] = []
    spent = 0.0
    if cache is not None and cache.exists():
        held = np.load(cache)
        parts = [torch.from_numpy(held["images"]).float() / 255.0]
        kept, spent = held["kept"].tolist(), float(held["spent"])
    while (done := len(kept)) < len(images):
        begun = time.process_time()
        made = recoder(images[done : done + 2 * BATCH])
        spent += time.process_time() - begun
        parts.append(made.images)
        kept += [reason is None for reason in made.reasons]
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            levels = (torch.cat(parts) * 255).round().byte().numpy()
            with (half := cache.with_suffix(".part")).open("wb") as out:
                np.savez(out, images=levels, kept=np.array(kept), spent=spent)
            half.replace(cache)
    seconds = spent / len(kept)
    return Files(images=torch.cat(parts), kept=torch.tensor(kept), seconds=seconds).first(
        len(images)
    )


def made_as(way: str, model: Model, key: Key) -> DeepRecoder:
    """The recoder of one of `WAYS`."""
    settings = dict(WAYS[way])
    survive = survival(str(settings.pop("survive", "")))
    return DeepRecoder(model, key, chunk=BATCH, survive=survive, **settings)  # type: ignore[arg-type]


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
        nn.init.zeros_(self.front.bias)
        self.net = net.eval().requires_grad_(free)
        self.free = free

    def train(self, mode: bool = True) -> "Fronted":
        return super().train(mode) if self.free else self  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self.front(x))


def scratch(net: nn.Module) -> nn.Module:
    """The same layers with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in net.modules():
            if isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                part.reset_parameters()
    return net


@dataclass(slots=True, kw_only=True)
class Learnt:
    """A trained net; `curve` holds (epoch, training loss, score) of every epoch looked at."""

    net: nn.Module
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


def learn(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    course: Course,
    score: Callable[[nn.Module], float],
    state: Path | None = None,
) -> Learnt:
    """Train a net on normalised pictures, which it changes, scoring it after every other epoch.

    state: a file that keeps the run after each epoch, so that a stop loses one epoch.
    """
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
    learnt, begin = Learnt(net=net), 1
    if state is not None and state.exists():
        held = torch.load(state, weights_only=True)
        for part, name in ((net, "net"), (rule, "rule"), (rates, "rates")):
            part.load_state_dict(held[name])
        learnt.curve, begin = [tuple(row) for row in held["curve"]], held["epoch"] + 1
    for epoch in range(begin, course.epochs + 1):
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
        if state is not None:
            parts = {
                "net": net.state_dict(),
                "rule": rule.state_dict(),
                "rates": rates.state_dict(),
            }
            torch.save(
                {**parts, "curve": learnt.curve, "epoch": epoch}, half := state.with_suffix(".half")
            )
            half.replace(state)
    net.eval()
    if state is not None:
        state.unlink(missing_ok=True)
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


def reader(images: Tensor, truth: Tensor, *, half: bool = True) -> Callable[[nn.Module], float]:
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
    assert model.module is not None
    return copy.deepcopy(model.module).requires_grad_(True)


class Lines:
    """JSON lines of finished cells: printed, and kept in a file so that a second run goes on."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.held = path, []
        if path is not None and path.exists():
            self.held = [json.loads(line) for line in path.read_text().splitlines()]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.held)

    def has(self, **cell: object) -> bool:
        return any(all(line.get(k) == v for k, v in cell.items()) for line in self.held)

    def add(self, line: dict[str, Any]) -> None:
        self.held.append(line)
        print(json.dumps(line), flush=True)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as out:
                out.write(json.dumps(line) + "\n")
