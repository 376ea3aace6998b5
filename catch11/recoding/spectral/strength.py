"""The strongest noise that costs no answers: by the model's spectrum, unless the owner's pictures said it."""

import math
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.keys.key import Key
from catch11.subspaces.tiles import TileSubspace

STRENGTHS = (6.0, 7.0, 8.5, 10.0, 12.0, 14.0, 17.0, 20.0)  # dB, the strongest first
# Relative front shift to expect; photographs move it by 1.6 times that. At .08 of photographs DeiT-tiny
# answered 500 as well as clean, at .16 not quite.
SHIFT = 0.05
CONV = 14.0  # dB; convolutions that overlap lost nothing measurable to this, and answers to more
# A picture as a stationary field: its deviation, what neighbours share, what channels share.
_DEVIATION, _NEIGHBOURS, _CHANNELS = 0.22, 0.95, 0.9


def usual_psnr(key: Key) -> float:
    """dB that a picture is released with where nothing is asked for: what the key holds, or the
    lowest of `STRENGTHS` at which the front should move by at most `SHIFT`."""
    if key.psnr is not None:
        return key.psnr
    if not isinstance(key.subspace, TileSubspace):
        return CONV
    return next((db for db in STRENGTHS if front_shift(key.subspace, db) <= SHIFT), STRENGTHS[-1])


def front_shift(subspace: TileSubspace, psnr: float) -> float:
    """‖A·noise‖ / ‖A(picture - neutral)‖ to expect of white noise inside, with natural pictures."""
    pixels, seen = subspace.kept.shape
    if seen == pixels:
        return 0.0  # only a rim that no tile covers is inside
    inside = subspace.spectrum[: pixels - seen]
    moved = 10.0 ** (-psnr / 20.0) * math.sqrt(float(inside.square().mean()) * pixels)
    return moved / _response(subspace)


def _response(subspace: TileSubspace) -> float:
    """Root of the expected ‖A·(picture - mean)‖² of a tile."""
    channels = subspace.shape[0]
    kept = (subspace.kept * subspace.gains).reshape(channels, *subspace.tile, -1)
    shared = torch.full((channels, channels), _CHANNELS, dtype=kept.dtype).fill_diagonal_(1.0)
    spread = reduce(
        lambda made, part: torch.tensordot(part, made, dims=([1], [0])).movedim(0, 2),
        (shared, *map(_neighbours, subspace.tile)),
        kept,
    )
    return _DEVIATION * math.sqrt(float((kept * spread).sum()))


def _neighbours(count: int) -> Float[Tensor, "pixel pixel"]:
    """Correlations along a line."""
    places = torch.arange(count, dtype=torch.float64)
    return _NEIGHBOURS ** (places[:, None] - places).abs()
