"""Quiet noise: starts whose covariance cancels what a search prints on them.

Every change a deep search makes lies where the first layer looks, so the changes of many files have
a covariance that is that layer's own; thousands of files show it through the white noise of their
starts, and with it the order of a personalised copy. Noise of the complementary covariance leaves
tiles white. What is cancelled is known to a few hundredths from a hundred pictures.
"""

import hashlib
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

LEAST = 0.05  # of the noise's variance that is left in any direction of a tile


@dataclass(frozen=True, kw_only=True, eq=False)
class Quiet:
    """factor: symmetric; white tiles (rows) times it have the complementary covariance, in units of
    the white noise's variance. tile: (height, width)."""

    tile: tuple[int, int]
    factor: Float[Tensor, "place place"]

    @property
    def name(self) -> str:
        """Sixteen hex digits that change with the factor."""
        rounded = (self.factor * 4096).round().to(torch.int16)
        return hashlib.sha256(rounded.numpy().tobytes()).hexdigest()[:16]

    def colour(
        self, white: Float[Tensor, "channel height width"]
    ) -> Float[Tensor, "channel height width"]:
        """White noise given the covariance, tile by tile; the rim that no tile covers stays white."""
        rows, columns = white.shape[1] // self.tile[0], white.shape[2] // self.tile[1]
        made = white.clone()
        inner = made[:, : rows * self.tile[0], : columns * self.tile[1]]
        tiles = rearrange(
            inner, "c (row y) (column x) -> (row column) (c y x)", y=self.tile[0], x=self.tile[1]
        )
        inner.copy_(
            rearrange(
                tiles @ self.factor, "(row column) (c y x) -> c (row y) (column x)",
                row=rows, y=self.tile[0], x=self.tile[1],
            )
        )  # fmt: skip
        return made


def quiet_of(
    changes: Float[Tensor, "batch channel height width"], tile: tuple[int, int], *, variance: float
) -> Quiet:
    """The quiet noise for changes that a search made. variance: of the white noise they are hidden in.

    Raises InvalidArgument where most of their energy is beyond what that noise could leave out.
    """
    rows, columns = changes.shape[2] // tile[0], changes.shape[3] // tile[1]
    size = changes.shape[1] * tile[0] * tile[1]
    total = torch.zeros(size, size, dtype=torch.float64)
    for change in changes:
        tiles = rearrange(
            change[:, : rows * tile[0], : columns * tile[1]],
            "c (row y) (column x) -> (row column) (c y x)", y=tile[0], x=tile[1],
        )  # fmt: skip
        total += (tiles.T @ tiles).double() / (len(changes) * rows * columns)
    values, vectors = torch.linalg.eigh(total / variance)
    spare = (values - (1.0 - LEAST)).clamp_min(0.0)
    if float(spare.square().sum()) > 0.5 * float(values.square().sum()):
        raise InvalidArgument(
            "quiet", expected="changes that noise can hide, as those within radius auto",
            found=f"changes of {values[-1]:.1f} times its variance", remedy="lower the radius",
        )  # fmt: skip
    roots = (1.0 - values).clamp_min(LEAST).sqrt()
    return Quiet(tile=tile, factor=((vectors * roots) @ vectors.T).float())
