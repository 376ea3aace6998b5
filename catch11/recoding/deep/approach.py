"""Approach: steps as long as the distance that is left, in a ball that grows where it holds no such step.

For scores, features and layers, which are to be met closely. Each step is even in size over the pixels,
by the signs of the running slope, clipped to ball and box, and the shortest of which a straight slope
says that it brings the image where it is to be (Polyak's length, for a distance whose least is known).
The ball is about the smallest that holds such steps, found image by image. Steps along the slope itself
take as many and change as much, but teach others more: they are largest where every model looks. So are
slopes over frequencies and colours; where `flat`, each of these is made as strong as the others first.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.recoding.deep.descent import LEVEL, Run, check_reach, rms

_HALVINGS = 20  # of the interval that a step's length is found in
_BEYOND = 0.1  # of the bound, how far below it a step aims
_FAINT = (
    1e-3  # of the mean strength of a frequency: fainter ones are noise of rounding, and stay so
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """How far and how fast; see `descent.Schedule`.

    bound: of the distance. first, last: radius of the ball about the start, in 255ths, at the first step and at
    most. grow: factor by which it grows where the most that it lets a straight slope fall is less than
    `room` times what is needed, or where a step left more than `slow` of the distance. longest: root
    mean square of the longest step, in 255ths. momentum: kept share of the running slope. flat: steps are
    even over frequencies and channels too, not over pixels alone.
    """

    smooth: ClassVar[bool] = False

    steps: int
    bound: float
    first: float = 4.0
    last: float = 32.0
    grow: float = 1.05
    room: float = 3.0
    slow: float = 0.9
    longest: float = 1.5
    momentum: float = 0.5
    flat: bool = False

    def __post_init__(self) -> None:
        check_reach(self.steps, self.last)

    def move(self, run: Run, slope: Tensor, gap: Tensor, step: int) -> Tensor:
        """One step of the images on their way."""
        if "radius" not in run.held:
            first = min(self.first, self.last) * LEVEL
            run.held["radius"] = torch.full_like(gap, first)[:, None, None, None]
        need, far = _BEYOND * self.bound - gap, self.bound - gap
        slow = far > self.slow * run.held.get("far", torch.full_like(gap, torch.inf))
        run.held["far"] = far
        low, high = _bounds(run, run.held["radius"])
        room = (slope * torch.where(slope > 0.0, run.at - low, run.at - high)).sum((1, 2, 3))
        tight = ((room < self.room * need) | slow)[:, None, None, None]
        grown = (self.grow * run.held["radius"]).clamp_max(self.last * LEVEL)
        run.held["radius"] = torch.where(tight, grown, run.held["radius"])
        unit = slope / slope.flatten(1).norm(dim=1)[:, None, None, None].clamp_min(1e-20)
        motion = self.momentum * run.held.get("motion", torch.zeros_like(slope)) + unit
        run.held["motion"] = motion
        bounds = _bounds(run, run.held["radius"])
        way = flattened(motion) if self.flat else motion
        return self._stepped(run.at, way.sign(), slope, need, *bounds)

    def _stepped(
        self, at: Tensor, way: Tensor, slope: Tensor, need: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """The shortest clipped step against `way` that falls by what is needed, or the longest."""
        longest = self.longest * LEVEL
        least = torch.zeros_like(need)[:, None, None, None]
        # Where most of a step is clipped the rest must go farther than the whole would.
        most = torch.full_like(least, 4.0 * longest)
        for _ in range(_HALVINGS):
            middle = (least + most) / 2.0
            change = at - (at - middle * way).clamp(low, high)
            enough = (slope * change).sum((1, 2, 3), keepdim=True) >= need[:, None, None, None]
            enough |= rms(change) > longest
            least, most = torch.where(enough, least, middle), torch.where(enough, middle, most)
        return (at - most * way).clamp(low, high)


def flattened(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Each image with the same phases and one strength at all frequencies, of place and of channel."""
    waves = torch.fft.fftn(images, dim=(1, 2, 3))
    strength = waves.abs()
    floor = _FAINT * strength.mean((1, 2, 3), keepdim=True) + 1e-12
    return torch.fft.ifftn(waves / strength.maximum(floor), dim=(1, 2, 3)).real


def _bounds(run: Run, radius: Tensor) -> tuple[Tensor, Tensor]:
    return (run.start - radius).clamp_min(0.0), (run.start + radius).clamp_max(1.0)
