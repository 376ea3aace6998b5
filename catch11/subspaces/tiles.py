"""Insensitive subspaces: map, membership test and sampler together (DESIGN "Insensitive subspace")."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.fronts.front import Front
from catch11.subspaces.rule import Rule, spectrum

_MOST = 1 << 13  # pixels of a tile whose whole basis is formed: half a gibibyte in float64


@runtime_checkable
class Subspace(Protocol):
    """Directions of a window that the front does not see, or hardly."""

    @property
    def dimension(self) -> int:
        """Number of directions inside."""
        ...

    @property
    def ambient(self) -> int:
        """Number of directions of a window: channel * height * width."""
        ...

    def project(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The nearest point inside; idempotent and self-adjoint. dtype and device kept."""
        ...

    def sample(self, streams: Sequence[KeyedStream]) -> Float[Tensor, "batch channel height width"]:
        """A standard normal inside, one a stream."""
        ...

    def contains(
        self, images: Float[Tensor, "batch channel height width"], *, tolerance: float = 1e-5
    ) -> Bool[Tensor, " batch"]:
        """Whether ‖image - project(image)‖ ≤ tolerance · ‖image‖."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileSubspace:
    """The insensitive subspace of a dense or patch front: the same one in every tile.

    kept: orthonormal columns (pixel of a tile, direction) that the front *does* see; everything
    orthogonal to them is inside, and so is the rim that no tile covers. gains: their singular
    values, pixel units. spectrum: all singular values of a tile, ascending.
    """

    shape: tuple[int, int, int]
    tile: tuple[int, int]
    kept: Float[Tensor, "pixel direction"]
    gains: Float[Tensor, " direction"]
    spectrum: Float[Tensor, " pixel"]
    _cache: dict[tuple[torch.dtype, torch.device, bool], Tensor] = field(
        default_factory=dict, repr=False
    )

    @property
    def grid(self) -> tuple[int, int]:
        """Tiles down and across."""
        return self.shape[1] // self.tile[0], self.shape[2] // self.tile[1]

    @property
    def ambient(self) -> int:
        """Number of directions of a window."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def dimension(self) -> int:
        """Number of insensitive directions of a window."""
        return self.ambient - self.grid[0] * self.grid[1] * self.kept.shape[1]

    @property
    def through(self) -> float:
        """What the front sees of noise inside whose root mean square is 1, over the root of `ambient`."""
        inside = self.spectrum[: len(self.spectrum) - len(self.gains)]
        tiles = self.grid[0] * self.grid[1]
        return float((inside.square().sum() * tiles / max(self.dimension, 1)).sqrt())

    def level(self, channels: Sequence[float]) -> Float[Tensor, " pixel"]:
        """A tile of one value a channel, as one vector."""
        return torch.tensor(channels).repeat_interleave(self.tile[0] * self.tile[1])

    def seen(self, like: Tensor, *, turned: bool = False) -> Float[Tensor, "..."]:
        """`kept` in the dtype and on the device of `like`, made once. turned: (direction, pixel)."""
        key = (like.dtype, like.device, turned)
        if key not in self._cache:
            kept = self.kept.to(like)
            self._cache[key] = kept.T.contiguous() if turned else kept
        return self._cache[key]

    def tiles(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch tile pixel"]:
        """The covered part of each image as one vector a tile."""
        (rows, columns), (height, width) = self.grid, self.tile
        covered = images[..., : rows * height, : columns * width]
        return rearrange(
            covered, "batch c (row y) (column x) -> batch (row column) (c y x)", y=height, x=width
        )

    def rim(self, images: Float[Tensor, "1 channel height width"]) -> Float[Tensor, " rim"]:
        """What no tile covers, as one vector."""
        height, width = (count * size for count, size in zip(self.grid, self.tile, strict=True))
        below, beside = images[..., height:, :], images[..., :height, width:]
        return torch.cat([below.flatten(), beside.flatten()])

    def untile(
        self,
        tiles: Float[Tensor, "batch tile pixel"],
        rim: Float[Tensor, "batch channel height width"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Vectors back to images; what no tile covers is taken from `rim`."""
        (rows, columns), (height, width) = self.grid, self.tile
        covered = rearrange(
            tiles, "batch (row column) (c y x) -> batch c (row y) (column x)", row=rows, y=height, x=width
        )  # fmt: skip
        if covered.shape == rim.shape:
            return covered
        images = rim.clone()
        images[..., : rows * height, : columns * width] = covered
        return images

    def project(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The nearest point inside; float32 in gives float32 accuracy, float64 gives float64."""
        tiles = self.tiles(images)
        return self.untile(self.inside(tiles.flatten(0, 1)).view_as(tiles), images)

    def inside(self, rows: Float[Tensor, "row pixel"]) -> Float[Tensor, "row pixel"]:
        """The same of vectors, one a tile."""
        seen = self.seen(rows)
        return torch.addmm(rows, rows @ seen, seen.T, alpha=-1)

    def sample(self, streams: Sequence[KeyedStream]) -> Float[Tensor, "batch channel height width"]:
        """A standard normal inside, one a stream."""
        return self.project(torch.stack([stream.normal(self.shape) for stream in streams]))

    def contains(
        self, images: Float[Tensor, "batch channel height width"], *, tolerance: float = 1e-5
    ) -> Bool[Tensor, " batch"]:
        """Whether ‖image - project(image)‖ ≤ tolerance · ‖image‖."""
        outside = (images - self.project(images)).flatten(1).norm(dim=1)
        return outside <= tolerance * images.flatten(1).norm(dim=1)


def tile_subspace(front: Front, rule: Rule) -> TileSubspace:
    """The insensitive subspace of a dense or patch front. Raises EmptySubspace with the spectrum."""
    values, vectors = spectrum(front.weight.flatten(1))
    inside = 0 if front.blind else rule.count(values)
    kept = values.numel() - inside
    if kept > vectors.shape[1]:
        # A rank below the null space's own: of its directions only `inside` may be used.
        rest = _beside(vectors)[:, inside:]
        vectors = torch.cat([rest, vectors], dim=1)
    return TileSubspace(
        shape=front.shape,
        tile=front.kernel,
        kept=vectors[:, vectors.shape[1] - kept :].contiguous(),
        gains=values[inside:].clone(),
        spectrum=values,
    )


def _beside(vectors: Float[Tensor, "pixel rank"]) -> Float[Tensor, "pixel rest"]:
    """An orthonormal basis of the orthogonal complement."""
    pixels, rank = vectors.shape
    if pixels > _MOST:
        raise InvalidArgument(
            "rank", expected=f"at least the null space's own, {pixels - rank}, of so large a tile",
            found="less",
        )  # fmt: skip
    return torch.linalg.qr(vectors, mode="complete").Q[:, rank:]
