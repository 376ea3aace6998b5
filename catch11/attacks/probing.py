"""Attacks by someone who may have pictures of their own recoded: the differences give the subspace."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.blind import SIZES
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.tiles import conditional, cut, moments, paste

_STEP = 2.0  # of neighbours; nine for DeiT-tiny at 7 dB, three for a small front at 20
Windows = Float[Tensor, "_ channel height width"]


def seen_by_queries(
    clean: Windows, recoded: Windows, size: tuple[int, int], *, noise: float = 3.0 / 255
) -> Float[Tensor, "pixel direction"]:
    """Directions of a tile that recoding left alone: those in which recoded − clean varies by less
    than `noise` (pixel units, a few roundings to 8 bits), or by less than thrice that up to where it doubles from one
    to the next, since a search that ends early leaves a little more. Few tiles leave too many directions."""
    moved = (cut(recoded, size) - cut(clean, size)).flatten(0, 1)
    values, vectors = torch.linalg.eigh(moved.T @ moved / len(moved))
    spread = values.clamp_min(noise**2 / 9.0).sqrt()
    steps = spread[1:] / spread[:-1] * (spread[:-1] <= 3.0 * noise)
    if float(steps.max()) >= _STEP:
        return vectors[:, : int(steps.argmax()) + 1]
    return vectors[:, spread <= noise]


@register
class Probe(Attack):
    """Recode a few pictures, read the seen directions off the differences, inpaint the others.

    By tiles, whatever the front. That is exact for dense and patch fronts. An overlapping convolution
    has no tile: noise that runs across an edge makes a direction look moved that is seen, and what
    is seen of each frequency is not told apart, so this gets less than `front-wiener` does.
    `python benchmarks probing` measures how much of a patch front's basis so many queries give."""

    name = "probe"
    cost = "untrained"
    knowledge = frozenset({"released", "public", "key-queries"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.public is not None
        assert material.query is not None
        public, released = material.public, material.released
        height, width = released.shape[-2:]
        for count in (1, 3, 8, 24):
            clean = public[:count]
            recoded = material.query(clean)
            for size in SIZES:
                if height % size or width % size or len(clean) < min(count, 2):
                    continue
                tiles = len(clean) * (height // size) * (width // size)
                if tiles < released.shape[1] * size * size / 2:
                    continue
                seen = seen_by_queries(clean, recoded, (size, size))
                if not 0 < seen.shape[1] < seen.shape[0]:
                    continue
                mean, covariance = moments(cut(public, (size, size)).flatten(0, 1))
                gain = conditional(seen, covariance)
                made = (cut(released, (size, size)) - mean) @ gain.T + mean
                setting = f"{count} queries, tile {size}, {seen.shape[1]} directions"
                yield Attempt(setting=setting, restored=paste(made, released, (size, size)))
