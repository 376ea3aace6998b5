"""Box: a released file holds values of a grid, yet the front must not notice. Tiles of dense and
patch fronts; overlapping convolutions are in `box_conv`.

Clipping x + noise to [0, 1] leaves the subspace. Instead the point of (x + Ins) ∩ box nearest to
the target t = x + a · noise is found by accelerated ascent on the dual: one multiplier for each
direction that the front sees, x̃ = clip(t + K v), v grown by the residual Kᵀ(x - x̃). Its step is 1
because ‖K‖ = 1; Dykstra's alternating projections are the same iteration without the momentum and
take three times the rounds.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.front import Front
from catch11.grid import Grid
from catch11.subspace import TileSubspace

_MOMENTUM = 0.7  # of 0.4 … 0.85 on real photographs at 10 dB this left the smallest residual
_REACH = 3.0  # times the linear amplitude; beyond it the files change no more
_SETTLE = 8  # last rounds, in which the amplitude is left alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """When the search for the point in the box ends.

    shift: relative front shift before rounding (the 8-bit rounding adds about 0.007 by itself).
    decibel: distance from the PSNR asked for. rounds: the most there are; an image whose PSNR is
    out of reach uses them all.
    """

    shift: float = 4e-3
    decibel: float = 0.05
    rounds: int = 64


@torch.no_grad()
def recode_tiles(
    front: Front,
    subspace: TileSubspace,
    window: Float[Tensor, "1 channel height width"],
    noise: Float[Tensor, "1 channel height width"],
    *,
    psnr: float,
    grid: Grid,
    effort: Effort = Effort(),
) -> Float[Tensor, "1 channel height width"]:
    """One window moved along the noise inside the subspace to `psnr` dB, on the grid.

    noise: any direction; its part inside the subspace is used. One image a call, so that the
    result does not depend on what else is recoded. The PSNR of the result is the one asked for, or
    the nearest that the box leaves room for.
    """
    seen = subspace.seen(window)
    goal = 10.0 ** (-psnr / 20.0)
    direction = subspace.project(noise)
    amplitude = goal / float(direction.square().mean().sqrt())
    if not grid.bounded:
        return window + amplitude * direction
    centred = subspace.tiles(front.centred(window))[0] @ seen
    gains = subspace.gains.to(window)
    allowed = effort.shift * float((centred * gains).norm())
    search = _Search(
        x=subspace.tiles(window)[0],
        direction=subspace.tiles(direction)[0],
        seen=seen,
        gains=gains,
        rim=(subspace.rim(window), subspace.rim(direction)),
        grid=grid,
    )
    tiles, amplitude = search.run(amplitude, goal=goal, allowed=allowed, effort=effort)
    return grid.round(subspace.untile(tiles[None], grid.clip(window + amplitude * direction)))


@dataclass(slots=True, kw_only=True, eq=False)
class _Search:
    """The dual ascent on one image."""

    x: Float[Tensor, "tile pixel"]
    direction: Float[Tensor, "tile pixel"]
    seen: Float[Tensor, "pixel direction"]
    gains: Float[Tensor, " direction"]
    rim: tuple[Float[Tensor, " rim"], Float[Tensor, " rim"]]
    grid: Grid

    def run(
        self, amplitude: float, *, goal: float, allowed: float, effort: Effort
    ) -> tuple[Tensor, float]:
        """Tiles in the box, not yet rounded, and the amplitude that brought them there.

        The amplitude follows the measured distance from x while the multipliers settle, so the
        strength asked for costs no search of its own.
        """
        most = _REACH * amplitude
        wanted = self.x @ self.seen
        multiplier = torch.zeros_like(wanted)
        ahead = multiplier
        nearest = 10.0 ** (effort.decibel / 20.0)
        for round_ in range(effort.rounds):
            point = self._point(amplitude, ahead)
            ratio = goal / self._distance(point, amplitude)
            residual = wanted - point @ self.seen
            moved = float((residual * self.gains).norm())
            close = 1.0 / nearest < ratio < nearest or (amplitude >= most and ratio > 1.0)
            if moved <= allowed and close:
                break
            if not close and round_ < effort.rounds - _SETTLE:
                amplitude = min(amplitude * ratio, most)
            grown = ahead + residual
            ahead, multiplier = grown + _MOMENTUM * (grown - multiplier), grown
        return point, amplitude

    def _point(self, amplitude: float, multiplier: Tensor) -> Tensor:
        target = torch.addmm(self.x, multiplier, self.seen.T)
        target.add_(self.direction, alpha=amplitude)
        return target.clamp_(self.grid.low, self.grid.high)

    def _distance(self, point: Tensor, amplitude: float) -> float:
        """Root mean square of x̃ - x over the window, the uncovered rim included."""
        x, direction = self.rim
        rim = self.grid.clip(x + amplitude * direction) - x
        total = float((point - self.x).square().sum()) + float(rim.square().sum())
        return max((total / (self.x.numel() + x.numel())) ** 0.5, 1e-9)
