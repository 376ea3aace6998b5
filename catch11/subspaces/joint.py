"""Joint fronts: one linear map that sees whatever any of several models sees (paper D.2)."""

from collections.abc import Sequence
from math import lcm
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.fronts.front import Front
from catch11.fronts.stack import stackable, stacked
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import tile_subspace

Join = Literal["stacked", "averaged"]


def joint_front(fronts: Sequence[Front], rule: Rule, *, join: Join = "stacked") -> Front:
    """The front whose insensitive subspace lies in that of each of `fronts`, all on one window.

    stacked: the maps on top of each other, each scaled to unit energy. averaged: the mean of their
    projectors onto what each sees under `rule`; the gains are left out. Dense and patch fronts join
    on their smallest common tile, convolutions of equal stride and dilation on their common kernel.
    """
    shapes = {front.shape for front in fronts}
    tiled = {front.tiled for front in fronts}
    if len(shapes) != 1 or len(tiled) != 1:
        found = ", ".join(f"{front.geometry} on {front.shape}" for front in fronts)
        raise InvalidArgument(
            "models", expected="fronts of one kind on one window", found=found,
            remedy="recode for each model by itself, or with --method deep for both",
        )  # fmt: skip
    if tiled.pop():
        return _joint_tiles(fronts, rule, join)
    return _joint_convolution(fronts, join)


def _joint_tiles(fronts: Sequence[Front], rule: Rule, join: Join) -> Front:
    channels, height, width = fronts[0].shape
    tile = (lcm(*(f.kernel[0] for f in fronts)), lcm(*(f.kernel[1] for f in fronts)))
    if height % tile[0] or width % tile[1]:
        raise InvalidArgument(
            "models", expected=f"patches whose joint tile divides {height} x {width}", found=tile
        )
    rows = []
    for front in fronts:
        if join == "averaged":
            seen = tile_subspace(front, rule).kept.T / len(fronts) ** 0.5
            rows.append(_on_tile(seen, front, tile))
        else:
            matrix = front.weight.flatten(1)
            rows.append(_on_tile(matrix / matrix.norm(), front, tile))
    weight = torch.cat(rows).reshape(-1, channels, *tile)
    facts = _common(fronts, outputs=len(weight))
    if tile == (height, width):
        return Front(geometry="dense", weight=weight.flatten(1), **facts)
    return Front(geometry="patch", weight=weight, stride=tile, **facts)


def _on_tile(
    matrix: Float[Tensor, "out pixel"], front: Front, tile: tuple[int, int]
) -> Float[Tensor, "more larger"]:
    """A front's matrix on a larger tile: one copy for each of its own patches in there."""
    channels, (height, width) = front.shape[0], front.kernel
    blocks = []
    for top in range(0, tile[0], height):
        for left in range(0, tile[1], width):
            block = torch.zeros(matrix.shape[0], channels, *tile, dtype=torch.float64)
            inner = matrix.reshape(-1, channels, height, width)
            block[:, :, top : top + height, left : left + width] = inner
            blocks.append(block.flatten(1))
    return torch.cat(blocks)


def _joint_convolution(fronts: Sequence[Front], join: Join) -> Front:
    if not stackable(fronts) or join != "stacked":
        raise InvalidArgument(
            "models", expected="stacked convolutions of one stride, without dilation or groups",
            found=", ".join(f"stride {f.stride}, dilation {f.dilation}, groups {f.groups}" for f in fronts),
            remedy="recode for each model by itself, or with --method deep for both",
        )  # fmt: skip
    return stacked(fronts, scaled=True)


def _common(fronts: Sequence[Front], *, outputs: int) -> dict[str, Any]:
    """What every joint front shares; its bias is not a model's, so it is zero."""
    neutral = torch.tensor([front.neutral for front in fronts]).mean(0)
    return {
        "bias": torch.zeros(outputs, dtype=torch.float64),
        "neutral": tuple(neutral.tolist()),
        "shape": fronts[0].shape,
        "layer": " + ".join(front.layer for front in fronts),
    }
