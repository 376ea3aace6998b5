"""Inversion by the licensee: a smooth picture that the authorized model reads as it reads a file."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.maps import TOGETHER, Windows, maps_of
from catch11.attacks.nets import Clock
from catch11.errors import InvalidArgument
from catch11.models.frame import Model
from catch11.recoding.deep.target import FEATURES, LOGITS, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Inverting:
    """steps, rate: of Adam, in pixel units. smooth: weights of total variation that are tried beside
    the maps' squared distance. seconds: of processor time after which a single inversion is cut."""

    steps: int = 150
    rate: float = 0.02
    smooth: tuple[float, ...] = (0.3, 3.0)
    seconds: float = 1200.0

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.rate, self.seconds, *self.smooth) <= 0:
            found = (self.steps, self.rate, self.smooth, self.seconds)
            raise InvalidArgument("inverting", expected="numbers above 0", found=found)


@register
class LicenseeInversion(Attack):
    """A smooth picture that the authorized model reads as it reads the file (Mahendran & Vedaldi 2015):
    descent from grey on the distance of a map and the total variation."""

    name = "licensee-inversion"
    cost = "trained"
    knowledge = frozenset({"released", "weights"})

    def __init__(self, inverting: Inverting = Inverting()) -> None:
        self.inverting = inverting

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        model, ours = material.weights, self.inverting
        first = maps_of(model)[2]
        for at in (FEATURES, first):
            for smooth in ours.smooth:
                clock = Clock(
                    ours.seconds, asked=ours.steps * -(-len(material.released) // TOGETHER)
                )
                parts = material.released.split(TOGETHER)
                made = torch.cat([self._inverted(model, at, part, smooth, clock) for part in parts])
                setting = f"{at} and the answer, smooth {smooth:g}, {clock}"
                yield Attempt(setting=setting, restored=made, cut=clock.cut)

    def _inverted(
        self, model: Model, at: str, files: Windows, smooth: float, clock: Clock
    ) -> Windows:
        target = Target(model, model.canvas, {LOGITS: 1.0, at: 1.0})
        with torch.no_grad():
            wanted = target.read(files)
        points = torch.full_like(files, 0.5).requires_grad_(True)
        optimiser = torch.optim.Adam([points], lr=self.inverting.rate)
        for _ in range(self.inverting.steps):
            made = target.read(points)
            off = target.distance(made, wanted).square()
            answer = functional.kl_div(
                made.logits.log_softmax(1), wanted.logits.log_softmax(1), log_target=True, reduction="none"
            ).sum(1)  # fmt: skip
            loss = (off + 0.1 * answer + smooth * variation(points)).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                points.clamp_(0, 1)
            if not clock.step():
                break
        return points.detach()


def variation(windows: Windows) -> Float[Tensor, " batch"]:
    """Mean absolute step between neighbours, down and across."""
    return sum(windows.diff(dim=axis).abs().flatten(1).mean(1) for axis in (-2, -1))  # type: ignore[return-value]
