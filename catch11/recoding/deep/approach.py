"""Approach: steps as long as the distance that is left, in a ball that grows where it holds no such step.

For scores, features and layers, which are to be met closely. Each step is the shortest change along
the slope, clipped to ball and box, of which a straight slope says that it brings the image where it is
to be (Polyak's length, for a distance whose least is known). Where the ball bounds it, such a step is
even in size over the pixels, which others learn little from; and the ball is about the smallest that
holds one, found image by image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.recoding.deep.descent import LARGEST, LEVEL, Run, check_steps

_HALVINGS = 20  # of the interval that a step's length is found in
_BEYOND = 0.1  # of the bound, how far below it a step aims


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """How far and how fast; see `descent.Schedule`.

    bound: of the distance. first, last: radius of the ball about the start, in 255ths, at the first step and at
    most. grow: factor by which it grows where the most that it lets a straight slope fall is less than
    `room` times what is needed, or where a step left more than `slow` of the distance. longest: root mean square of the longest step, in 255ths.
    """

    steps: int
    bound: float
    first: float = 3.0
    last: float = 32.0
    grow: float = 1.15
    room: float = 3.0
    slow: float = 0.93
    longest: float = 4.0

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if not 0.0 < self.last <= LARGEST:
            raise InvalidArgument(
                "radius", expected="above 0, at most 255, in 255ths", found=self.last
            )

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
        return self._stepped(run, slope, need, *_bounds(run, run.held["radius"]))

    def _stepped(self, run: Run, slope: Tensor, need: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """The shortest clipped step along the slope that falls by what is needed, or the longest."""
        longest = self.longest * LEVEL
        least = torch.zeros_like(need)[:, None, None, None]
        # Where most of a step is clipped the rest must go farther than the whole would.
        most = 4.0 * longest / _size(slope).clamp_min(1e-20)
        for _ in range(_HALVINGS):
            middle = (least + most) / 2.0
            moved = (run.at - middle * slope).clamp(low, high)
            change = run.at - moved
            enough = (slope * change).sum((1, 2, 3), keepdim=True) >= need[:, None, None, None]
            enough |= _size(change) > longest
            least, most = torch.where(enough, least, middle), torch.where(enough, middle, most)
        return (run.at - most * slope).clamp(low, high)


def _bounds(run: Run, radius: Tensor) -> tuple[Tensor, Tensor]:
    return (run.start - radius).clamp_min(0.0), (run.start + radius).clamp_max(1.0)


def _size(images: Tensor) -> Tensor:
    """The root mean square of each image."""
    return images.square().mean((1, 2, 3), keepdim=True).sqrt()
