"""Controls: Gaussian noise of a measured strength, and noise of none, both on a file's own grid."""

import hashlib
import math

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.grid import Grid, psnr

_HALVINGS = 30  # a deviation to 1e-9 of the widest: far below one step of an 8-bit file
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
    rows = zip(window, decibels, generators, strict=True)
    noisy = [_one(image[None], value, grid, generator) for image, value, generator in rows]
    return torch.cat(noisy) if noisy else window.clone()


def _one(window: Tensor, decibels: float, grid: Grid, generator: torch.Generator) -> Tensor:
    if math.isinf(decibels) and decibels > 0:
        return grid.round(window)
    draw = torch.randn(window.shape, generator=generator).to(window)
    weak, strong = 0.0, _WIDEST
    for _ in range(_HALVINGS):
        middle = (weak + strong) / 2
        made = grid.round(grid.clip(window + middle * draw))
        if float(psnr(made, window)) > decibels:
            weak = middle
        else:
            strong = middle
    return grid.round(grid.clip(window + strong * draw))


def item_generator(name: str, *, seed: int) -> torch.Generator:
    """The generator of one item, from its name: the same whatever else is in the run."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
