"""Box: recoding for overlapping convolutions, whose insensitive directions an 8-bit box cannot hold.

A convolution hardly has a null space, and the little it has is spread over the whole window, so no
point of the box lies in x + Ins at a useful strength. The released window is instead the one that
the front sees least of all windows at the distance asked for: ‖A δ‖ is brought down on the sphere
‖δ‖ = r within the box, from noise inside the subspace, by projected gradient steps with Nesterov's
momentum. Directions inside the subspace cost nothing, those beside it cost what their gain says.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.fronts.front import Front
from catch11.subspaces.conv import ConvSubspace

_PASSES = 30  # passes of `_Shell.reach`; two to six are used
_NEAR = 1e-3  # relative, of the radius' square: 0.004 dB


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """When the descent ends.

    shift: relative front shift, of directions beside the subspace, that is small enough. rounds:
    the most there are; more lower the shift further, ever more slowly.
    """

    shift: float = 4e-3
    rounds: int = 60


@torch.no_grad()
def recode_conv(
    front: Front,
    subspace: ConvSubspace,
    window: Float[Tensor, "1 channel height width"],
    noise: Float[Tensor, "1 channel height width"],
    *,
    psnr: float,
    grid: Grid,
    effort: Effort = Effort(),
) -> Float[Tensor, "1 channel height width"]:
    """One window at `psnr` dB from itself, on the grid, as unseen by the front as the box allows.

    noise: where the descent starts; its part inside the subspace is used. One image a call, so that
    the result does not depend on what else is recoded. The PSNR of the result is the one asked for,
    or the nearest that the box leaves room for; what gives way is the front shift.
    """
    shell = _Shell(x=window, grid=grid, radius=_radius(psnr, grid))
    delta = shell.reach(subspace.start(noise))
    pace = 1.0 / subspace.top**2
    allowed = effort.shift * float(front.apply(front.centred(window)).norm())
    ahead, inertia = delta, 1.0
    for _ in range(effort.rounds):
        gradient = subspace.seen(ahead)
        if float((ahead * gradient).sum()) <= allowed**2:
            break
        grown = 0.5 * (1.0 + (1.0 + 4.0 * inertia**2) ** 0.5)
        moved = shell.reach(ahead - pace * gradient)
        ahead = moved + (inertia - 1.0) / grown * (moved - delta)
        delta, inertia = moved, grown
    return grid.round(window + delta)


def _radius(psnr: float, grid: Grid) -> float:
    """Root mean square of δ before rounding, which adds its own."""
    wanted = 10.0 ** (-psnr / 10.0)
    rounding = ((grid.high - grid.low) / grid.levels) ** 2 / 12.0 if grid.bounded else 0.0
    return max(wanted - rounding, 0.25 * wanted) ** 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shell:
    """All δ of one root mean square that keep x + δ in the box."""

    x: Float[Tensor, "1 channel height width"]
    grid: Grid
    radius: float

    def reach(self, ray: Tensor) -> Float[Tensor, "1 channel height width"]:
        """clip(x + a · ray) - x with the a ≥ 0 that gives it the radius, or as near as clipping lets it.

        With the pixels clipped at one a known, the next a has a closed form. From an a that is too
        small, as if none were clipped, it only grows, so the passes end where no further pixel is
        clipped; from one that is too large the next is too small. The first guess is that a ray
        near the sphere stays as it is.
        """
        goal = self.radius**2 * ray.numel()
        least = goal / max(float(ray.square().sum()), 1e-30)
        if not self.grid.bounded:
            return ray * least**0.5
        room = torch.where(ray > 0, self.grid.high - self.x, self.grid.low - self.x)
        squares = torch.stack([ray.flatten(), room.flatten()]).square()
        whole = float(squares[0].sum())
        square = max(1.0, least)
        for _ in range(_PASSES):
            full = (squares[0] * square >= squares[1]).to(squares)
            rays, rooms = (squares @ full).tolist()
            following = (goal - rooms) / max(whole - rays, 1e-6 * whole, 1e-30)
            if following <= 0.0:
                following = least
            if abs(following - square) <= _NEAR * square:
                break
            square = following
        return torch.where(ray.square() * square >= room.square(), room, ray * square**0.5)
