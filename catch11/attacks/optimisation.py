"""An attacker who tunes a few numbers of a preprocessor on a few labelled NTEs through a rival."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from catch11.attacks.adaptation import Reader, trainable
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.nets import Clock, seeded
from catch11.errors import InvalidArgument
from catch11.models.frame import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """samples: labelled NTEs to tune on. steps, rate: of Adam. kernel: side of the filter, odd.
    seconds: of processor time after which a single tuning is cut."""

    samples: int = 32
    steps: int = 40
    rate: float = 0.03
    kernel: int = 9
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.steps < 1 or self.rate <= 0 or self.kernel % 2 == 0:
            found = (self.samples, self.steps, self.rate, self.kernel)
            raise InvalidArgument("tuning", expected="counts, a rate, an odd kernel", found=found)


class Preprocessor(nn.Module):
    """A filter of positive weights, then contrast, brightness and gamma a channel."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        place = torch.arange(kernel) - kernel // 2
        distance = place[:, None].square() + place[None].square()
        self.filter = nn.Parameter((-distance / 2.0).float())  # a Gaussian of deviation 1 at first
        self.contrast = nn.Parameter(torch.zeros(channels))
        self.brightness = nn.Parameter(torch.zeros(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, windows: Tensor) -> Tensor:
        channels, kernel = windows.shape[1], len(self.filter)
        weight = self.filter.flatten().softmax(0).view(1, 1, kernel, kernel)
        padded = functional.pad(windows, (kernel // 2,) * 4, mode="reflect")
        smooth = functional.conv2d(padded, weight.expand(channels, -1, -1, -1), groups=channels)
        centred = (smooth - 0.5) * self.contrast.exp().view(1, -1, 1, 1) + 0.5
        lit = (centred + self.brightness.view(1, -1, 1, 1)).clamp(1e-3, 1.0)
        return lit.pow(self.gamma.exp().view(1, -1, 1, 1))


@register
class TunedPreprocessor(Attack):
    """The preprocessor tuned by gradient through each trainable rival, then tried with all."""

    name = "tuned-preprocessor"
    cost = "trained"
    knowledge = frozenset({"released", "labels"})

    def __init__(self, tuning: Tuning = Tuning()) -> None:
        self.tuning = tuning

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.labelled is not None
        # Files come class by class: the first few would be of one.
        chosen = torch.randperm(len(material.labelled[0]), generator=generator)
        chosen = chosen[: self.tuning.samples]
        for name, rival in trainable(material).items():
            windows, labels = (part[chosen] for part in material.lessons(rival))
            # Few samples are soon learned by heart, so earlier states are tries of their own.
            for steps in (0, self.tuning.steps // 4, self.tuning.steps):
                with seeded(torch.Generator().manual_seed(generator.initial_seed())):
                    front, clock = self._tuned(rival, windows, labels, steps)
                images = torch.cat([front(part) for part in material.released.split(16)])
                setting = f"tuned through {name}, {clock}"
                yield Attempt(setting=setting, restored=images, cut=clock.cut)

    def _tuned(
        self, rival: Model, windows: Tensor, labels: Tensor, steps: int
    ) -> tuple[nn.Module, Clock]:
        front = Preprocessor(windows.shape[1], self.tuning.kernel)
        reader = Reader(rival, front=front).eval()
        reader.body.requires_grad_(False)
        optimiser = torch.optim.Adam(front.parameters(), lr=self.tuning.rate)
        clock = Clock(self.tuning.seconds, asked=steps)
        for _ in range(steps):
            index = torch.randint(len(windows), (16,))
            loss = functional.cross_entropy(reader(windows[index]), labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if not clock.step():
                break
        return front.requires_grad_(False), clock
