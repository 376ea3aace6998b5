"""Scramble: a secret map of windows onto themselves, value by value within each tile.

The values of a tile are permuted and half of them inverted (1 - v), so that a picture of the box, or
of the 8-bit grid, becomes another one, and nothing is lost. What a model loses by it is given back
to the copy whose first layer was composed with the inverse: see `personalize`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.crypto.stream import keyed_stream
from catch11.errors import InvalidArgument

RIM = 0.5  # what stands where no tile reaches and so no model looks: mid-grey, free of content


@dataclass(frozen=True, kw_only=True, eq=False)
class Scramble:
    """Place k of a scrambled tile holds the clean tile's value at source[k], 1 - v where inverted[k].

    shape: (channel, height, width) of the window; tile: (height, width); places count channel, row,
    column. Its repr shows neither.
    """

    shape: tuple[int, int, int]
    tile: tuple[int, int]
    source: Int[Tensor, " place"]
    inverted: Bool[Tensor, " place"]

    def __post_init__(self) -> None:
        channels, height, width = self.shape
        count = channels * self.tile[0] * self.tile[1]
        fits = 1 <= self.tile[0] <= height and 1 <= self.tile[1] <= width
        whole = torch.equal(self.source.sort().values, torch.arange(len(self.source)))
        if not (fits and whole and len(self.source) == len(self.inverted) == count):
            raise InvalidArgument(
                "scramble", expected=f"a permutation of the {count} values of a tile within {self.shape}",
                found=f"{len(self.source)} places in tiles of {self.tile}",
            )  # fmt: skip

    def __repr__(self) -> str:
        return f"Scramble(tiles {self.tile} of {self.shape}, …)"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of whole tiles in the window."""
        return self.shape[1] // self.tile[0], self.shape[2] // self.tile[1]

    def __call__(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Scrambled windows, dtype and device kept; the rim that no tile covers becomes grey."""
        values = self._checked(windows).flatten(1)[:, self._places.to(windows.device)]
        return self._rimmed(values.reshape(windows.shape), inverted=self._inverted)

    def undo(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The inverse: clean windows, but for the grey rim."""
        turned = self._rimmed(self._checked(windows), inverted=self._inverted).flatten(1)
        back = torch.empty_like(turned)
        back[:, self._places.to(windows.device)] = turned
        return back.reshape(windows.shape)

    def _checked(self, windows: Tensor) -> Tensor:
        if windows.ndim != 4 or tuple(windows.shape[1:]) != self.shape:
            raise InvalidArgument(
                "windows", expected=f"shape (n, *{self.shape})", found=tuple(windows.shape)
            )
        return windows

    def _rimmed(self, windows: Tensor, *, inverted: Tensor) -> Tensor:
        made = torch.where(inverted.to(windows.device), 1.0 - windows, windows)
        rows, columns = self.grid
        made[..., rows * self.tile[0] :, :] = RIM
        made[..., :, columns * self.tile[1] :] = RIM
        return made

    @cached_property
    def _places(self) -> Int[Tensor, " pixel"]:
        """For each value of the scrambled window, which value of the clean one it takes."""
        own = torch.arange(self.shape[0] * self.shape[1] * self.shape[2]).reshape(self.shape)
        moved = own.clone()
        rows, columns = self.grid
        covered = (slice(None), slice(rows * self.tile[0]), slice(columns * self.tile[1]))
        moved[covered] = self._spread(_tiles(own[covered], self.tile)[:, self.source])
        return moved.flatten()

    @cached_property
    def _inverted(self) -> Bool[Tensor, "channel height width"]:
        """Which values of the scrambled window are inverted."""
        made = torch.zeros(self.shape, dtype=torch.bool)
        rows, columns = self.grid
        every = self.inverted.expand(rows * columns, -1)
        made[:, : rows * self.tile[0], : columns * self.tile[1]] = self._spread(every)
        return made

    def _spread(self, tiles: Tensor) -> Tensor:
        """(tile, place) back to the covered part of a window."""
        return rearrange(
            tiles, "(row column) (c y x) -> c (row y) (column x)",
            row=self.grid[0], y=self.tile[0], x=self.tile[1],
        )  # fmt: skip


def _tiles(window: Tensor, tile: tuple[int, int]) -> Tensor:
    return rearrange(window, "c (row y) (column x) -> (row column) (c y x)", y=tile[0], x=tile[1])


def keyed_scramble(
    secret: bytes,
    *,
    shape: tuple[int, int, int],
    tile: tuple[int, int],
    across: bool = False,
    inversion: bool = True,
) -> Scramble:
    """The scramble that a secret of 32 bytes means for tiles of one size.

    across: values may leave their colour channel. inversion: half of the values are inverted, else
    none. Raises InvalidArgument.
    """
    channels = shape[0]
    area = tile[0] * tile[1]
    facts = f"{channels} {tile} {across} {inversion}".encode()
    stream = keyed_stream(secret, "personalised copy", facts)
    size, parts = (channels * area, 1) if across else (area, channels)
    source = torch.cat([part * size + stream.permutation(size) for part in range(parts)])
    inverted = torch.zeros(channels * area, dtype=torch.bool)
    if inversion:
        inverted[stream.permutation(channels * area)[: channels * area // 2]] = True
    return Scramble(shape=shape, tile=tile, source=source, inverted=inverted)
