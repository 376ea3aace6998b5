"""Controls: Gaussian noise of a measured strength, and noise of none, both on a file's own grid."""

import hashlib
import math

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Grid, amplitude
from catch11.errors import InvalidArgument

_DECIBEL = 0.005  # how near the strength has to come
_ROUNDS = 60  # only noise that clips almost everywhere needs more than a handful
_WIDEST = 4.0  # pixel units: clipped to [0, 1], this leaves nothing of the picture


def noise_at(
    window: Float[Tensor, "batch channel height width"],
    decibels: tuple[float, ...],
    *,
    grid: Grid,
    generators: tuple[torch.Generator, ...],
) -> Float[Tensor, "batch channel height width"]:
    """Windows plus Gaussian noise whose PSNR, clipped and rounded to the grid, is the one given.

    decibels: one PSNR an image, peak 1; infinity leaves the window as it is. One generator an
    image, so that neither order nor batch changes the noise. A PSNR below what clipped noise can
    reach (about 6 dB for a mid-grey picture) gives the strongest noise there is.
    """
    if not len(window) == len(decibels) == len(generators):
        found = f"{len(decibels)} and {len(generators)}"
        raise InvalidArgument(
            "decibels", expected=f"{len(window)} numbers, generators", found=found
        )
    if any(math.isnan(value) for value in decibels):
        raise InvalidArgument("decibels", expected="numbers", found="one that is none")
    rows = zip(window, decibels, generators, strict=True)
    noisy = [_one(image[None], value, grid, generator) for image, value, generator in rows]
    return torch.cat(noisy) if noisy else window.clone()


def _one(window: Tensor, decibels: float, grid: Grid, generator: torch.Generator) -> Tensor:
    if math.isinf(decibels) and decibels > 0:
        return grid.round(window)
    draw = torch.randn(window.shape, generator=generator).to(window)
    goal = amplitude(decibels)
    deviation = min(goal, _WIDEST)
    for _ in range(_ROUNDS):
        made = grid.round(grid.clip(window + deviation * draw))
        ratio = goal / max(float((made - window).square().mean().sqrt()), 1e-12)
        if abs(20.0 * math.log10(ratio)) < _DECIBEL or (deviation >= _WIDEST and ratio > 1.0):
            break
        # Clipping makes the distance grow slower than the deviation, so this never overshoots far.
        deviation = min(deviation * min(max(ratio, 0.5), 2.0), _WIDEST)
    return made


def item_generator(name: str, *, seed: int) -> torch.Generator:
    """The generator of one item, from its name: the same whatever else is in the run."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
