"""Closing: second-order steps that bring maps of a model as near as is asked, for layers and words.

L-BFGS (Nocedal 1980; Liu and Nocedal 1989), image by image, on squared distances. Between the levels
of a file the objective is smooth, and near the end only there: the pairs that the curvature is read from
are taken where the search is, not where rounding would put it. It needs a fraction of the passes that
steps by signs need, and makes larger changes at fewer places, which teach others more: see `approach`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.recoding.deep.descent import LARGEST, LEVEL, Run, check_reach, rms

_FIRST = 2.0  # root mean square of the first step, in 255ths
_ASTRAY = 1.0  # the same of a step along the slope, where what is remembered points uphill
_STRAIGHT = 1e-12  # s·y over y·y of a pair, below which it tells no curvature


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How far and how fast; see `descent.Schedule`.

    last: radius of the ball about the start, in 255ths; it does not grow. longest: root mean square of
    the longest step, in 255ths. pairs: of steps and changes of slope that are remembered.
    """

    smooth: ClassVar[bool] = True

    steps: int
    last: float = LARGEST
    longest: float = 8.0
    pairs: int = 8

    def __post_init__(self) -> None:
        check_reach(self.steps, self.last)

    def move(self, run: Run, slope: Tensor, gap: Tensor, step: int) -> Tensor:
        """One step of the images on their way."""
        self._remember(run, slope)
        way = self._way(run, slope)
        uphill = _dot(way, slope) <= 0.0
        way = torch.where(uphill, _ASTRAY * LEVEL * slope / rms(slope).clamp_min(1e-20), way)
        way = way * (self.longest * LEVEL / rms(way).clamp_min(1e-20)).clamp_max(1.0)
        radius = self.last * LEVEL
        low, high = (run.start - radius).clamp_min(0.0), (run.start + radius).clamp_max(1.0)
        return (run.at - way).clamp(low, high)

    def _remember(self, run: Run, slope: Tensor) -> None:
        """The newest pair behind the others; the oldest is forgotten."""
        if "slope" in run.held:
            for name, new in (
                ("steps", run.at - run.held["at"]), ("turns", slope - run.held["slope"]),
            ):  # fmt: skip
                old = run.held.get(name)
                whole = new[:, None] if old is None else torch.cat([old, new[:, None]], 1)
                run.held[name] = whole[:, -self.pairs :]
        run.held["at"], run.held["slope"] = run.at, slope

    def _way(self, run: Run, slope: Tensor) -> Float[Tensor, "batch channel height width"]:
        """The slope times the remembered inverse curvature: the loop down the pairs and up again."""
        if "steps" not in run.held:
            return _FIRST * LEVEL * slope / rms(slope).clamp_min(1e-20)
        steps, turns = run.held["steps"], run.held["turns"]
        way, shares = slope, []
        for s, y in reversed(list(zip(steps.unbind(1), turns.unbind(1), strict=True))):
            weight = _weight(s, y)
            share = weight * _dot(s, way)
            shares.append(share)
            way = way - share * y
        s, y = steps[:, -1], turns[:, -1]
        way = way * (_dot(s, y).clamp_min(0.0) / _dot(y, y).clamp_min(1e-30))
        for s, y, share in zip(steps.unbind(1), turns.unbind(1), reversed(shares), strict=True):
            way = way + (share - _weight(s, y) * _dot(y, way)) * s
        return way


def _dot(a: Tensor, b: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    return (a * b).sum((1, 2, 3), keepdim=True)


def _weight(s: Tensor, y: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    """One over a pair's curvature; 0 where it curves downwards, so that it counts for nothing."""
    curve = _dot(s, y)
    useful = curve > _STRAIGHT * _dot(y, y)
    return torch.where(useful, 1.0 / curve.where(useful, torch.ones_like(curve)), 0.0)
