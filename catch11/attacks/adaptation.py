"""Attacks that adapt a rival to the release with labelled NTEs: fine-tuning and a learned front."""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from catch11.attacks.frame import Attack, Attempt, Material, Windows, register
from catch11.attacks.nets import Clock, seeded
from catch11.errors import InvalidArgument, Unsuited
from catch11.fronts.find import first_tensor
from catch11.models.frame import Model

Start = Literal["pretrained", "scratch"]
Hold = Literal["frozen", "adapting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Settings to try, every combination. rates: of Adam. epochs: over the labelled NTEs. seconds:
    of processor time after which a single training is cut."""

    rates: tuple[float, ...] = (1e-4, 1e-3)
    epochs: tuple[int, ...] = (1, 5)
    starts: tuple[Start, ...] = ("pretrained", "scratch")
    batch: int = 16
    seconds: float = 1200.0

    def __post_init__(self) -> None:
        if not (self.rates and self.epochs and self.starts) or min(self.batch, self.seconds) <= 0:
            found = (self.rates, self.epochs, self.starts, self.batch, self.seconds)
            raise InvalidArgument("sweep", expected="one setting or more of each", found=found)


class Reader(nn.Module):
    """A rival with a front of the attacker's: windows in pixel units to logits, differentiable.
    Windows of another size than the rival's own are resized (bilinear), then normalised. frozen: the
    rival's weights do not learn, and it stays in evaluation mode while the front trains."""

    def __init__(
        self, rival: Model, *, front: nn.Module | None = None, frozen: bool = False
    ) -> None:
        super().__init__()
        if rival.module is None:
            raise Unsuited("adaptation", f"{rival.name} cannot be trained: torch does not run it")
        self.canvas = rival.canvas
        self.front = nn.Identity() if front is None else front
        self.frozen = frozen
        self.body = copy.deepcopy(rival.module).requires_grad_(not frozen)
        self.body.train(self.body.training and not frozen)

    def train(self, mode: bool = True) -> "Reader":
        """Training mode, of the front alone where the rival is frozen."""
        super().train(mode)
        self.body.train(mode and not self.frozen)
        return self

    def forward(self, windows: Tensor) -> Tensor:
        images = self.front(windows)
        size = self.canvas.shape[1:]
        if images.shape[-2:] != size:
            images = functional.interpolate(images, size, mode="bilinear", antialias=True)
        return first_tensor(self.body(self.canvas.normalise(images)))


class TileFront(nn.Module):
    """A linear map of each tile, at first the identity: can learn to leave out what is noise."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.map = nn.Linear(channels * size * size, channels * size * size)
        with torch.no_grad():
            self.map.weight.copy_(torch.eye(channels * size * size))
            self.map.bias.zero_()

    def forward(self, windows: Tensor) -> Tensor:
        tiles = rearrange(
            windows, "b c (row y) (col x) -> b row col (c y x)", y=self.size, x=self.size
        )
        return rearrange(
            self.map(tiles), "b row col (c y x) -> b c (row y) (col x)", y=self.size, x=self.size
        )


def trainable(material: Material) -> dict[str, Model]:
    """The rivals that torch can train, on labels only where they have the classes, by name. Raises
    Unsuited where there are none."""
    rivals = {name: one for name, one in material.rivals.items() if one.module is not None}
    if not rivals:
        raise Unsuited("adaptation", "no rival can be trained: torch runs none of them")
    taught = {name: one for name, one in rivals.items() if material.teaches(one)}
    if not taught:
        raise Unsuited("adaptation", "no rival that can be trained has the classes of the labels")
    return taught


def steps_of(count: int, batch: int) -> int:
    """Steps of an epoch of `count` windows; a single leftover is no batch."""
    whole, left = divmod(count, batch)
    return whole + (left >= min(batch, 2))


def fit(
    reader: nn.Module,
    optimiser: torch.optim.Optimizer,
    windows: Windows,
    labels: Int[Tensor, " batch"],
    *,
    epochs: int,
    batch: int,
    clock: Clock,
    generator: torch.Generator,
) -> nn.Module:
    """Train what the optimiser holds with cross-entropy, as far as the clock allows; back in
    evaluation mode. Normalisation layers learn only with a batch to learn from."""
    reader.train(batch > 1)
    least = min(batch, 2)  # a batch norm cannot take a single leftover
    clock.asked = max(clock.asked, clock.ran + epochs * steps_of(len(windows), batch))
    for _ in range(epochs):
        for index in torch.randperm(len(windows), generator=generator).split(batch):
            if len(index) < least:
                continue
            loss = functional.cross_entropy(reader(windows[index]), labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if not clock.step():
                return reader.eval()
    return reader.eval()


class Stage(NamedTuple):
    """A trained net, what ran of its training in words, and whether time cut it."""

    text: str
    net: nn.Module
    cut: bool


def stages(
    reader: nn.Module,
    parameters: list[nn.Parameter],
    windows: Windows,
    labels: Int[Tensor, " batch"],
    sweep: Sweep,
    *,
    rate: float,
    generator: torch.Generator,
) -> Iterator[Stage]:
    """One training, as it stands after each of the sweep's numbers of epochs; the last where it was
    cut."""
    optimiser = torch.optim.Adam(parameters, lr=rate)
    longest, done = max(sweep.epochs), 0
    clock = Clock(sweep.seconds, asked=longest * steps_of(len(windows), sweep.batch))
    for epochs in sorted(set(sweep.epochs)):
        with seeded(generator):
            fit(
                reader,
                optimiser,
                windows,
                labels,
                epochs=epochs - done,
                batch=sweep.batch,
                clock=clock,
                generator=generator,
            )
        done = epochs
        learned = copy.deepcopy(reader).requires_grad_(False)
        epochs = longest if clock.cut else epochs
        yield Stage(text=f"{epochs} epochs, {clock}", net=learned, cut=clock.cut)
        if clock.cut:
            return


def forget(module: nn.Module) -> None:
    """Draw every layer's weights afresh."""
    for layer in module.modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()


def trained(
    rival: Model,
    windows: Float[Tensor, "batch channel height width"],
    labels: Int[Tensor, " batch"],
    sweep: Sweep,
    *,
    generator: torch.Generator,
) -> Iterator[Stage]:
    """A rival fine-tuned, or trained from scratch, at every setting."""
    for start, rate in itertools.product(sweep.starts, sweep.rates):
        with seeded(generator):
            reader = Reader(rival)
            if start == "scratch":
                forget(reader.body)
        parameters = list(reader.body.parameters())
        for stage in stages(
            reader, parameters, windows, labels, sweep, rate=rate, generator=generator
        ):
            text = f"{start}, rate {rate}, {stage.text}, {len(windows)} labelled"
            yield stage._replace(text=text)


@register
class FineTune(Attack):
    """Every trainable rival fine-tuned on labelled NTEs, and trained from scratch, over a sweep."""

    name = "fine-tune"
    cost = "trained"
    knowledge = frozenset({"released", "labels"})

    def __init__(self, sweep: Sweep = Sweep()) -> None:
        self.sweep = sweep

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for name, rival in trainable(material).items():
            for stage in trained(rival, *material.lessons(rival), self.sweep, generator=generator):
                yield Attempt(setting=stage.text, classify=stage.net, rival=name, cut=stage.cut)


def unsettled(module: nn.Module) -> tuple[str, ...]:
    """What frozen weights leave in motion when a net is in training mode, in words."""
    parts = list(module.modules())
    norms = any(isinstance(part, _NormBase) and part.track_running_stats for part in parts)
    drops = any(isinstance(part, _DropoutNd) and part.p > 0 for part in parts)
    return ("statistics adapt",) * norms + ("dropout on",) * drops


@register
class LearnedFront(Attack):
    """A linear map of tiles in front of a rival whose weights are frozen, learned from labelled NTEs.

    rivals: "frozen", all of the rival as it was; "adapting", in training mode: batch norms take the
    statistics of the NTEs and dropout is on. The second is left out where it would change nothing.
    """

    name = "learned-front"
    cost = "trained"
    knowledge = frozenset({"released", "labels"})

    def __init__(
        self,
        sweep: Sweep = Sweep(starts=("pretrained",)),
        rivals: tuple[Hold, ...] = ("frozen", "adapting"),
    ) -> None:
        self.sweep, self.rivals = sweep, rivals

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        channels, height, width = material.canvas.shape
        sizes = [size for size in (8, 16) if height % size == 0 and width % size == 0]
        for name, rival in trainable(material).items():
            assert rival.module is not None
            moving = ", ".join(unsettled(rival.module))
            for hold, size, rate in itertools.product(self.rivals, sizes, self.sweep.rates):
                if hold == "adapting" and not moving:
                    continue
                front = TileFront(channels, size)
                reader = Reader(rival, front=front, frozen=hold == "frozen")
                reader.body.requires_grad_(False)
                held = "rival frozen" if hold == "frozen" else f"weights frozen, {moving}"
                for stage in stages(
                    reader,
                    list(front.parameters()),
                    *material.lessons(rival),
                    self.sweep,
                    rate=rate,
                    generator=generator,
                ):
                    setting = f"{held}, tile {size}, rate {rate}, {stage.text}"
                    yield Attempt(setting=setting, classify=stage.net, rival=name, cut=stage.cut)
