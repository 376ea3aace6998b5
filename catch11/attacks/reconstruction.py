"""Attacks that learn to invert the recoding from pairs of clean and released pictures."""

from collections.abc import Iterator

import torch

from catch11.attacks.blind import tile_sizes
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.restoration import NoiseToClean
from catch11.attacks.tiles import cut, fitted, paste


@register
class PairsNetwork(NoiseToClean):
    """A U-Net on pairs, by itself (the paper's reconstruction attack); `noise2clean` tries it too."""

    name = "reconstruction"
    cost = "trained"
    kinds = ("unet",)


@register
class PairsLinear(Attack):
    """Ridge regression of clean tiles on released ones: finds the seen directions by itself."""

    name = "linear-reconstruction"
    cost = "untrained"
    knowledge = frozenset({"released", "pairs"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pairs is not None
        clean, released = material.pairs
        for size in tile_sizes(released, least=2):
            inputs, wanted = (cut(windows, size).flatten(0, 1) for windows in (released, clean))
            for ridge in (1e-5, 1e-3):
                tiles = fitted(inputs, wanted, ridge=ridge)(cut(material.released, size))
                images = paste(tiles, material.released, size)
                yield Attempt(setting=f"tile {size[0]}, ridge {ridge}", restored=images)
