"""The grid of values a released file can hold: its range and its number of steps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

Format = str
"""The name of a format: one of `GRIDS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Values low, …, high in `levels` equal steps, in pixel units; levels 0 means any float."""

    low: float
    high: float
    levels: int

    @property
    def bounded(self) -> bool:
        """Whether values have to stay in a box."""
        return self.levels > 0

    def clip(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Values moved into the box."""
        return values.clamp(self.low, self.high) if self.bounded else values

    def index(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The nearest step of each value, a whole number from 0 to `levels`, as a float."""
        scale = self.levels / (self.high - self.low)
        scaled = (values - self.low).mul_(scale) if self.low else values * scale
        return scaled.round_().clamp_(0, self.levels)

    def value(self, index: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The value of each step; float32 in gives exactly what a reader of the file computes."""
        if self.low == 0.0 and self.high == 1.0:
            return index / self.levels
        return index * ((self.high - self.low) / self.levels) + self.low

    def round(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Values moved to the nearest point of the grid."""
        return self.value(self.index(values)) if self.bounded else values


GRIDS: dict[Format, Grid] = {
    "png8": Grid(low=0.0, high=1.0, levels=255),
    "tensor": Grid(low=0.0, high=1.0, levels=0),
    # The sample i of a 16-bit wav is i / 32768 in [-1, 1), which is v = (i + 32768) / 65536.
    "wav16": Grid(low=0.0, high=65535 / 65536, levels=65535),
    # Samples from -3 to 3 in steps that float32 holds exactly, there and back.
    "wav32": Grid(low=-1.0, high=2.0, levels=3 << 22),
}


def grid_of(format: str) -> Grid:
    """The grid of a format by its name; raises InvalidArgument with the known ones."""
    for name, grid in GRIDS.items():
        if name == format:
            return grid
    raise InvalidArgument("format", expected=f"one of {', '.join(GRIDS)}", found=format)


def decibels(power: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """dB of a mean square beside a peak of 1; inf where there is none."""
    return -10.0 * torch.log10(power)


def amplitude(decibels: float) -> float:
    """Root mean square of noise of so many dB beside a peak of 1."""
    return float(10.0 ** (-decibels / 20.0))


def psnr(
    released: Float[Tensor, "batch channel height width"],
    window: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, " batch"]:
    """Peak signal-to-noise ratio an image, in dB, peak 1; inf where nothing changed."""
    moved = (released - window).flatten(1)
    total = torch.linalg.vector_norm(moved, dim=1, dtype=torch.float64).square()
    return decibels(total / moved.shape[1])
