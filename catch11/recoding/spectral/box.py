"""Box: a released file holds values of a grid, yet the front must not notice. Tiles of dense and
patch fronts; overlapping convolutions are in `box_conv`.

Clipping x + noise to [0, 1] leaves the subspace. Instead the point of (x + Ins) ∩ box nearest to
the target t = x + a · noise is found by accelerated ascent on the dual: one multiplier for each
direction that the front sees, x̃ = clip(t + K v), v grown by the residual Kᵀ(x - x̃).
Dykstra's alternating projections are the same iteration with step 1 and no momentum, and take four
times the rounds.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.fronts.front import Front
from catch11.subspaces.tiles import TileSubspace

# Of steps 1 … 1.4 and momenta 0.4 … 0.85 these took the fewest rounds on photographs at 10 dB; with
# momentum m the ascent is stable up to a step of 2 (1 + m) / (1 + 2 m) = 1.43.
_STEP, _MOMENTUM = 1.2, 0.65
_REACH = 3.0  # times the linear amplitude; eight times that changed no file by more than 0.1 dB
_FIRST, _AGAIN = 12, 3  # rounds in which the amplitude may change


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """When the search for the point in the box ends.

    shift: relative front shift before rounding (the 8-bit rounding adds about 0.007 by itself).
    decibel: distance from the PSNR asked for. rounds: the most that a tile is given at one
    amplitude; only tiles that have hardly room, such as white sky, use them. retries: how often
    the amplitude is set again.
    """

    shift: float = 8e-3
    decibel: float = 0.15
    rounds: int = 60
    retries: int = 2


def _climb(ahead: Tensor, multiplier: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    """One accelerated step on the dual: the point ahead and the multiplier behind it."""
    grown = ahead + _STEP * residual
    return grown + _MOMENTUM * (grown - multiplier), grown


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
    """The dual ascent on one image. multiplier: of the last round; ahead: where momentum points."""

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

        A few rounds in which the amplitude follows the measured distance from x while the
        multipliers settle, so that the strength asked for costs no search of its own; then the
        amplitude is held and tiles that have settled are left alone. Where that changed the
        distance, again, from where it stands.
        """
        most = _REACH * amplitude
        ahead = self.x.new_zeros(len(self.x), self.seen.shape[1])
        multiplier = ahead
        for rounds in (_FIRST, *(_AGAIN,) * effort.retries):
            for _ in range(rounds):
                point = self._point(slice(None), amplitude, ahead)
                amplitude = self._louder(
                    point, amplitude, goal=goal, most=most, within=effort.decibel / 2
                )
                residual = (self.x - point) @ self.seen
                ahead, multiplier = _climb(ahead, multiplier, residual)
            point, ahead, multiplier = self._settle(
                ahead, multiplier, amplitude, allowed=allowed, rounds=effort.rounds
            )
            held = amplitude
            amplitude = self._louder(point, held, goal=goal, most=most, within=effort.decibel)
            if amplitude == held:
                break
        return point, held

    def _settle(
        self, ahead: Tensor, multiplier: Tensor, amplitude: float, *, allowed: float, rounds: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All tiles at a fixed amplitude, each until its own share of `allowed` is met."""
        share = allowed / len(self.x) ** 0.5
        live = torch.arange(len(self.x))
        settled, ahead, multiplier = torch.empty_like(self.x), ahead.clone(), multiplier.clone()
        for _ in range(rounds):
            point = self._point(live, amplitude, ahead[live])
            settled[live] = point
            residual = (self.x[live] - point) @ self.seen
            ahead[live], multiplier[live] = _climb(ahead[live], multiplier[live], residual)
            live = live[(residual * self.gains).norm(dim=1) > share]
            if not len(live):
                break
        return settled, ahead, multiplier

    def _louder(
        self, point: Tensor, amplitude: float, *, goal: float, most: float, within: float
    ) -> float:
        """The amplitude to go on with: the same where the distance is `within` dB of the goal.

        Clipping makes the distance grow slower than the amplitude, hence the power.
        """
        ratio = goal / self._distance(point, amplitude)
        if abs(20.0 * math.log10(ratio)) < within:
            return amplitude
        return min(amplitude * ratio**1.5, most)

    def _point(self, tiles: slice | Tensor, amplitude: float, multiplier: Tensor) -> Tensor:
        """clip(x + amplitude · direction + K · multiplier) of some tiles."""
        target = torch.addmm(self.x[tiles], multiplier, self.seen.T)
        target.add_(self.direction[tiles], alpha=amplitude)
        return target.clamp_(self.grid.low, self.grid.high)

    def _distance(self, point: Tensor, amplitude: float) -> float:
        """Root mean square of x̃ - x over the window, the uncovered rim included."""
        x, direction = self.rim
        rim = self.grid.clip(x + amplitude * direction) - x
        total = float((point - self.x).square().sum()) + float(rim.square().sum())
        return max((total / (self.x.numel() + x.numel())) ** 0.5, 1e-9)
