"""How a vision-language model takes a picture in: as tiles with a thumbnail, or as flattened patches.

A sight turns normalised windows into what the model's own processor makes of the same picture, and
back. Both ways are rearrangements, but for the thumbnail, which is a resize of all tiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas

_FINE = 1 << 22  # Pillow's PRECISION_BITS for 8-bit pictures


@runtime_checkable
class Sight(Protocol):
    """A family's way to look at windows of one size."""

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the window in pixels."""

    def inputs(
        self, values: Float[Tensor, "batch channel height width"], canvas: Canvas
    ) -> dict[str, Tensor]:
        """What the processor makes of these windows, by the names the model takes."""

    def values(
        self, inputs: Mapping[str, Any], count: int
    ) -> Float[Tensor, "batch channel height width"]:
        """The normalised windows of `count` pictures in a processor's output.

        Raises ValueError where the output is not of this size.
        """

    def tokens(self, features: Any, count: int) -> Float[Tensor, "batch token feature"]:
        """What the model made of each window, from the output of its get_image_features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """InternVL: rows x columns square tiles of `side` pixels, and where there is more than one, a
    thumbnail: the whole window resized to one tile, rounded to 8 bits as a picture is."""

    side: int
    rows: int = 1
    columns: int = 1

    @property
    def window(self) -> tuple[int, int]:
        return self.rows * self.side, self.columns * self.side

    @property
    def count(self) -> int:
        """Tiles a picture, the thumbnail among them."""
        tiles = self.rows * self.columns
        return tiles if tiles == 1 else tiles + 1

    def inputs(
        self, values: Float[Tensor, "batch channel height width"], canvas: Canvas
    ) -> dict[str, Tensor]:
        tiles = rearrange(
            values, "batch channel (row height) (column width) -> batch (row column) channel height width",
            row=self.rows, column=self.columns,
        )  # fmt: skip
        if self.count > 1:
            small = canvas.normalise(self.thumbnail(canvas.denormalise(values)))
            tiles = torch.cat([tiles, small[:, None]], 1)
        return {"pixel_values": tiles.flatten(0, 1)}

    def values(
        self, inputs: Mapping[str, Any], count: int
    ) -> Float[Tensor, "batch channel height width"]:
        tiles = torch.as_tensor(inputs["pixel_values"])
        if tuple(tiles.shape) != (count * self.count, 3, self.side, self.side):
            raise ValueError(f"its processor makes {tuple(tiles.shape)} of {count} pictures")
        tiles = tiles.reshape(count, self.count, 3, self.side, self.side)
        return rearrange(
            tiles[:, : self.rows * self.columns],
            "batch (row column) channel height width -> batch channel (row height) (column width)",
            row=self.rows, column=self.columns,
        )  # fmt: skip

    def tokens(self, features: Any, count: int) -> Float[Tensor, "batch token feature"]:
        return rearrange(
            features.pooler_output, "(batch tile) token feature -> batch (tile token) feature",
            batch=count, tile=self.count,
        )  # fmt: skip

    def thumbnail(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel side side"]:
        """Pillow's bicubic resize of pictures in [0, 1] to one tile: across, then down, rounded to 8
        bits after each; rounding passes gradients as if it were not there."""
        # Doubles hold Pillow's fixed-point arithmetic exactly, so that ties round as they do there.
        levels = _rounded(pixels.double() * 255)
        across = resize_matrix(self.columns * self.side, self.side).to(levels)
        down = resize_matrix(self.rows * self.side, self.side).to(levels)
        return (_rounded(down @ _rounded(levels @ across.T)) / 255).to(pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Qwen: rows x columns patches of `patch` pixels, flattened with their frames, in groups of
    merge x merge that become one token."""

    patch: int
    merge: int
    frames: int
    rows: int
    columns: int

    @property
    def window(self) -> tuple[int, int]:
        return self.rows * self.patch, self.columns * self.patch

    def inputs(
        self, values: Float[Tensor, "batch channel height width"], canvas: Canvas
    ) -> dict[str, Tensor]:
        film = repeat(values, "batch ... -> batch frame ...", frame=self.frames)
        grid = torch.tensor([[1, self.rows, self.columns]], device=values.device)
        return {
            "pixel_values": self.flatten(film),
            "image_grid_thw": grid.repeat(len(values), 1),
        }

    def flatten(
        self, film: Float[Tensor, "batch time channel height width"]
    ) -> Float[Tensor, "patch feature"]:
        """Films to patches in the processor's order: time, merge groups, patches of a group; and of
        a patch: channel, frame, row, column."""
        return rearrange(
            film,
            "batch (time frame) channel (h mh ph) (w mw pw) -> "
            "(batch time h w mh mw) (channel frame ph pw)",
            frame=self.frames, mh=self.merge, mw=self.merge, ph=self.patch, pw=self.patch,
        )  # fmt: skip

    def values(
        self, inputs: Mapping[str, Any], count: int
    ) -> Float[Tensor, "batch channel height width"]:
        grid = torch.as_tensor(inputs["image_grid_thw"]).tolist()
        if grid != [[1, self.rows, self.columns]] * count:
            raise ValueError(f"its processor makes a grid of {grid[0]} patches")
        film = rearrange(
            torch.as_tensor(inputs["pixel_values"]),
            "(batch h w mh mw) (channel frame ph pw) -> batch frame channel (h mh ph) (w mw pw)",
            batch=count, h=self.rows // self.merge, w=self.columns // self.merge,
            mh=self.merge, mw=self.merge, frame=self.frames, ph=self.patch, pw=self.patch,
        )  # fmt: skip
        if not torch.equal(film[:, :1].expand_as(film), film):
            raise ValueError("its processor makes frames that differ of one picture")
        return film[:, 0]

    def tokens(self, features: Any, count: int) -> Float[Tensor, "batch token feature"]:
        made = features.pooler_output
        joined = made if isinstance(made, Tensor) else torch.cat(list(made))
        return rearrange(joined, "(batch token) feature -> batch token feature", batch=count)


@lru_cache(maxsize=8)
def resize_matrix(size: int, to: int) -> Float[Tensor, "to size"]:
    """Pillow's bicubic resize of one row of pixels as a matrix, from its answers to unit rows; each
    weight on the grid of 2⁻²² that it computes with."""
    unit = Image.fromarray(np.eye(size, dtype=np.float32))
    resized = unit.resize((to, size), Image.Resampling.BICUBIC)
    weights = torch.from_numpy(np.array(resized)).T.double()
    return ((weights * _FINE).round() / _FINE).contiguous()


def _rounded(levels: Tensor) -> Tensor:
    """To whole levels, halves up, within 0 to 255; gradients pass."""
    whole = (levels + 0.5).floor().clamp(0, 255)
    return levels + (whole - levels).detach()
