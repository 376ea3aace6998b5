"""Small image-to-image networks and one training loop, for attackers who learn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from catch11.errors import InvalidArgument

Windows = Float[Tensor, "_ channel height width"]
Kind = Literal["unet", "srresnet"]
_GRID = 32  # crops start at its multiples, so that patches up to this size keep their phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A restoration network's training. width: channels of its first layer. crop: side in pixels,
    rounded down to a multiple of 32 where the window is larger. seconds: of processor time, after which it is cut."""

    steps: int = 300
    batch: int = 8
    rate: float = 2e-3
    width: int = 24
    crop: int = 96
    seconds: float = 1800.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "rate", "width", "crop", "seconds"):
            if getattr(self, name) <= 0:
                raise InvalidArgument(name, expected="above 0", found=getattr(self, name))


@dataclass(slots=True)
class Clock:
    """Counts the steps that a training runs, and cuts it after so many seconds of processor time.

    `asked` steps, raised by whoever trains; `ran` of them ran; `cut` where time ended it before.
    """

    seconds: float
    asked: int = 0
    ran: int = 0
    cut: bool = False
    _begun: float = field(default_factory=time.process_time)

    def step(self) -> bool:
        """One step more has run; whether there is time for the next."""
        self.ran += 1
        late = time.process_time() - self._begun > self.seconds
        self.cut = self.cut or (late and self.ran < self.asked)
        return not self.cut

    def __str__(self) -> str:
        if not self.cut:
            return f"{self.ran} steps"
        return f"ran {self.ran} of {self.asked} steps, cut at {self.seconds:g} s"


class Phase(nn.Module):
    """Adds where a pixel lies in its 16 x 16 tile, two channels: noise of patch fronts depends on it."""

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        down = (torch.arange(height, device=images.device) % 16 / 8 - 1).view(1, 1, -1, 1)
        across = (torch.arange(width, device=images.device) % 16 / 8 - 1).view(1, 1, 1, -1)
        place = [p.expand(len(images), 1, height, width).to(images) for p in (down, across)]
        return torch.cat([images, *place], dim=1)


class UNet(nn.Module):
    """A U-Net of three scales (Ronneberger et al. 2015), with a residual to the input."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.phase = Phase()
        self.first = _block(channels + 2, width)
        self.second = _block(width, 2 * width)
        self.third = _block(2 * width, 4 * width)
        self.up_second = _block(6 * width, 2 * width)
        self.up_first = _block(3 * width, width)
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % 4, 0, -height % 4), mode="replicate")
        one = self.first(self.phase(padded))
        two = self.second(functional.avg_pool2d(one, 2))
        three = self.third(functional.avg_pool2d(two, 2))
        two = self.up_second(torch.cat([functional.interpolate(three, scale_factor=2), two], 1))
        one = self.up_first(torch.cat([functional.interpolate(two, scale_factor=2), one], 1))
        return (padded + self.last(one))[..., :height, :width]


class SRResNet(nn.Module):
    """Residual blocks at full resolution (Ledig et al. 2017, without the upsampling)."""

    def __init__(self, channels: int, width: int, *, depth: int = 4) -> None:
        super().__init__()
        self.first = nn.Sequential(
            Phase(), nn.Conv2d(channels + 2, width, 9, padding=4), nn.PReLU()
        )
        self.blocks = nn.ModuleList(_block(width, width) for _ in range(depth))
        self.last = nn.Conv2d(width, channels, 9, padding=4)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        for block in self.blocks:
            features = features + block(features)
        return images + self.last(features)


def _block(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.GroupNorm(min(4, width), width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(),
    )


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Layers and dropout draw from torch's global generator: inside, it runs from this one."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train_restorer(
    inputs: Windows,
    targets: Windows,
    *,
    kind: Kind,
    training: Training,
    generator: torch.Generator,
) -> tuple[Callable[[Windows], Windows], Clock]:
    """A network that brings inputs to targets (mean square), as a function of windows of any size,
    and what its training ran.

    Noisy targets of mean x teach it x as well as clean ones do (Noise2Noise, Lehtinen et al. 2018).
    """
    height, width = inputs.shape[-2:]
    side = [min(size, max(training.crop // _GRID * _GRID, 4)) for size in (height, width)]
    with seeded(generator):
        made = {"unet": UNet, "srresnet": SRResNet}[kind](inputs.shape[1], training.width)
        net: nn.Module = made
        optimiser = torch.optim.Adam(net.parameters(), lr=training.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=training.rate, total_steps=training.steps
        )
        clock = Clock(training.seconds, asked=training.steps)
        for _ in range(training.steps):
            index = torch.randint(len(inputs), (training.batch,), generator=generator)
            top, left = (
                int(torch.randint((size - part) // _GRID + 1, (1,), generator=generator)) * _GRID
                for size, part in zip((height, width), side, strict=True)
            )
            window = (..., slice(top, top + side[0]), slice(left, left + side[1]))
            loss = (net(inputs[index][window]) - targets[index][window]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if not clock.step():
                break
    net.eval().requires_grad_(False)

    def restore(windows: Windows) -> Windows:
        return torch.cat([net(part).clamp(0, 1) for part in windows.split(8)])

    return restore, clock
