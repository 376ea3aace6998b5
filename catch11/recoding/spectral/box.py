"""Box: a released file holds values of a grid, yet the front must not notice. Tiles of dense and
patch fronts; overlapping convolutions are in `box_conv`.

Clipping x + noise to [0, 1] leaves the subspace. Instead the point of (x + Ins) ∩ box nearest to
the target t = x + a · noise is found by accelerated ascent on the dual: one multiplier for each
direction that the front sees, x̃ = clip(t + K v), v grown by the residual Kᵀ(x - x̃).
Dykstra's alternating projections are the same iteration with step 1 and no momentum, and take four
times the rounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.fronts.front import Front
from catch11.subspaces.tiles import TileSubspace

# Of those tried (docs/lab/spectral.md) these, rounded, took the fewest rounds at 8.5, 10 and 14 dB together. With
# momentum m and a look a ahead the ascent is stable up to a step of 2 (1 + m) / (1 + 2 a) = 2.29.
_STEP, _MOMENTUM, _AHEAD = 2.0, 0.6, 0.2
_WARM = 2  # the momentum of round k, from 0, is at most k / (k + 2)
_REACH = 3.0  # times the linear amplitude; eight times that changed no file by more than 0.1 dB
_FIRST, _AGAIN = 12, 3  # rounds in which the amplitude may change
_SHARES = 3.0  # the most that one tile may be left with, in shares of what all may


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """When the search for the point in the box ends.

    shift: relative front shift before rounding (the 8-bit rounding adds about 0.007 by itself), of all tiles; one
    of them may have three times its share. part: as much as this part of what the front sees of noise inside
    the subspace, where that is more: a third adds about 5 % to the shift of the file. decibel: distance from
    the PSNR asked for. rounds: the most that a tile is given at one amplitude; only tiles that have hardly room, such
    as white sky, use them. retries: how often the amplitude is set again.
    """

    shift: float = 8e-3
    part: float = 1 / 3
    decibel: float = 0.15
    rounds: int = 60
    retries: int = 2


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
    goal = 10.0 ** (-psnr / 20.0)
    if not grid.bounded:
        direction = subspace.project(noise)
        return direction.mul_(goal / float(direction.square().mean().sqrt())).add_(window)
    seen = subspace.seen(window)
    x, direction = subspace.tiles(torch.cat([window, noise]))
    rows = _Rows(x, subspace.inside(direction), seen)
    rim = subspace.rim(window), subspace.rim(noise)
    size = rows.direction.square().sum() + rim[1].square().sum()
    gains, neutral = subspace.gains.to(window), subspace.level(front.neutral).to(window)
    response = float(((rows.saw - neutral @ seen) * gains).norm())
    through = goal * window.numel() ** 0.5 * subspace.through
    search = _Search(
        seen=seen,
        turned=subspace.seen(window, turned=True),
        powers=gains.square(),
        rim=rim,
        grid=grid,
        rows=rows,
    )
    tiles, amplitude = search.run(
        goal * (window.numel() / float(size)) ** 0.5,
        goal=goal,
        allowed=max(effort.shift * response, effort.part * through),
        effort=effort,
    )
    beside = grid.clip(window + amplitude * noise) if len(rim[0]) else window
    return grid.round(subspace.untile(tiles[None], beside))


@dataclass(slots=True, kw_only=True, eq=False)
class _Search:
    """The dual ascent on one image. powers: squares of the gains. made: rounds until now."""

    seen: Float[Tensor, "pixel direction"]
    turned: Float[Tensor, "direction pixel"]
    powers: Float[Tensor, " direction"]
    rim: tuple[Float[Tensor, " rim"], Float[Tensor, " rim"]]
    grid: Grid
    rows: "_Rows"
    made: int = 0

    def run(
        self, amplitude: float, *, goal: float, allowed: float, effort: Effort
    ) -> tuple[Tensor, float]:
        """Tiles in the box, not yet rounded, and the amplitude that brought them there.

        A few rounds in which the amplitude follows the measured distance from x while the
        multipliers settle, so that the strength asked for costs no search of its own; that is all where
        both are met by then. Else the amplitude is held and tiles that have settled are left alone.
        Where that changed the distance, again, from where it stands.
        """
        most, places = _REACH * amplitude, torch.arange(self.rows.count)
        for rounds in (_FIRST, *(_AGAIN,) * effort.retries):
            for _ in range(rounds):
                residual, held = self._round(self.rows.count, amplitude), amplitude
                amplitude = self._louder(held, goal=goal, most=most, within=effort.decibel / 2)
                if amplitude == held and self._enough(residual, allowed):
                    return self.rows.wide[2][places.argsort()], held
            order = self._settle(amplitude, allowed=allowed, rounds=effort.rounds)
            places, held = places[order], amplitude
            amplitude = self._louder(held, goal=goal, most=most, within=effort.decibel)
            if amplitude == held:
                break
        return self.rows.wide[2][places.argsort()], held

    def _enough(self, residual: Float[Tensor, "row direction"], allowed: float) -> bool:
        """Whether what the front sees of all tiles is `allowed` at most, and of none many shares of that; residual: of
        the first rows, whose part in `left` is taken from it."""
        left, share = self.rows.left, allowed**2 / self.rows.count
        torch.mv(residual.square_(), self.powers, out=left[: len(residual)])
        most = float(left.max())
        return most <= share or (most <= _SHARES**2 * share and float(left.sum()) <= allowed**2)

    def _round(self, count: int, amplitude: float) -> Float[Tensor, "row direction"]:
        """point = clip(x + K · ahead + amplitude · direction) of the first rows, and one accelerated step on
        the dual. Returns the residual, Kᵀ(x - point)."""
        x, direction, point, multiplier, moved, saw = self.rows.first(count)
        residual, ahead = (one[:count] for one in self.rows.scratch)
        torch.add(x, direction, alpha=amplitude, out=point)
        if self.made:  # else all multipliers are 0 as yet
            point.addmm_(torch.add(multiplier, moved, alpha=_AHEAD, out=ahead), self.turned)
        point.clamp_(self.grid.low, self.grid.high)
        torch.addmm(saw, point, self.seen, alpha=-1.0, out=residual)
        momentum = min(_MOMENTUM, self.made / (self.made + _WARM))
        multiplier.add_(moved.mul_(momentum).add_(residual, alpha=_STEP))
        self.made += 1
        return residual

    def _settle(self, amplitude: float, *, allowed: float, rounds: int) -> Tensor:
        """All tiles at a fixed amplitude, until it is enough; who has no more than its share is left alone. Those that
        go on stand before those that have settled. Returns the order in which they stand at the end."""
        count = self.rows.count
        share, order = allowed**2 / count, list(range(count))
        for _ in range(rounds):
            if self._enough(self._round(count, amplitude), allowed):
                break
            on = (self.rows.left[:count] > share).tolist()
            count = sum(on)
            settled = [place for place in range(count) if not on[place]]
            going = [place for place in range(count, len(on)) if on[place]]
            for one, other in zip(settled, going, strict=True):
                order[one], order[other] = order[other], order[one]
            if going:
                self.rows.swap(settled + going, going + settled)
        return torch.tensor(order)

    def _louder(self, amplitude: float, *, goal: float, most: float, within: float) -> float:
        """The amplitude to go on with: the same where the distance is `within` dB of the goal.

        Clipping makes the distance grow slower than the amplitude, hence the power.
        """
        ratio = goal / self._distance(amplitude)
        if abs(20.0 * math.log10(ratio)) < within:
            return amplitude
        return min(amplitude * ratio**1.5, most)

    def _distance(self, amplitude: float) -> float:
        """Root mean square of x̃ - x over the window, the uncovered rim included."""
        x, direction = self.rim
        total = self.rows.moved() ** 2
        if len(x):
            total += float((self.grid.clip(x + amplitude * direction) - x).square().sum())
        return max((total / (self.rows.gap.numel() + x.numel())) ** 0.5, 1e-9)


class _Rows:
    """What a round works in, a row a tile, made once: on pages of new memory its small steps took longer
    than its two products.

    wide: x, direction, point. narrow: multiplier, how far it moved in the last round, Kᵀx. scratch, of one round: the
    residual, where the multiplier is looked at. left: squares of what the front saw of a row when it was last looked at.
    """

    def __init__(
        self,
        x: Float[Tensor, "tile pixel"],
        direction: Tensor,
        seen: Float[Tensor, "pixel direction"],
    ) -> None:
        self.count = len(x)
        self.wide = torch.stack([x, direction, x])
        self.gap = torch.empty_like(x)
        self.narrow = x.new_zeros(3, self.count, seen.shape[1])
        torch.mm(x, seen, out=self.narrow[2])
        self.scratch = torch.empty_like(self.narrow[:2])
        self.left = x.new_zeros(self.count)

    @property
    def direction(self) -> Float[Tensor, "tile pixel"]:
        """The noise inside the subspace, while the tiles stand in their order."""
        return self.wide[1]

    @property
    def saw(self) -> Float[Tensor, "tile direction"]:
        """What the front sees of x, gains aside, while the tiles stand in their order."""
        return self.narrow[2]

    def moved(self) -> float:
        """‖point - x‖ of all rows."""
        return float(torch.linalg.vector_norm(torch.sub(self.wide[2], self.wide[0], out=self.gap)))

    def first(self, count: int) -> Sequence[Tensor]:
        """The parts of the state of the first rows, in place."""
        return *self.wide[:, :count].unbind(), *self.narrow[:, :count].unbind()

    def swap(self, places: list[int], others: list[int]) -> None:
        """Put what stands at the other places here."""
        to, come = torch.tensor([places, others], device=self.wide.device)
        for one in (self.wide, self.narrow, self.left[None]):
            one.index_copy_(1, to, one.index_select(1, come))
