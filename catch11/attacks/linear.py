"""Linear attacks on whatever falls into rows of numbers: frames of sounds, rows of tables."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.tiles import conditional, fitted, moments, wiener
from catch11.fronts.front import Front
from catch11.subspaces.rule import spectrum

_KINDS = frozenset({"audio", "table"})
_FLOOR = 1e-6  # of noise and of ridges, in units of the pieces squared
_WIDEST = 4096  # numbers of a piece whose covariance is inverted
_SEEN = 1e-6  # of the largest singular value


@register
class Wiener(Attack):
    """The best linear estimate piece by piece, the noise's covariance taken to be what the released
    items have more than public ones."""

    name = "Wiener"
    cost = "untrained"
    knowledge = frozenset({"released", "public"})
    modalities = _KINDS
    stated = ("public",)

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pieces is not None
        pieces = material.pieces(None)
        cut, known = pieces.cut(material.released), pieces.cut(material.public)
        mean, ours = moments(cut.flatten(0, 1))
        usual, theirs = moments(known.flatten(0, 1))
        gain = wiener(ours, theirs, floor=_FLOOR)
        made = (cut - mean) @ gain.T + usual
        yield Attempt(setting="two covariances", restored=pieces.paste(made, material.released))


@register
class FrontKnown(Attack):
    """What the known front sees of a piece is kept, the rest is the best linear guess from public
    items."""

    name = "front known"
    cost = "untrained"
    knowledge = frozenset({"released", "public", "front"})
    modalities = _KINDS
    stated = ("public", "front")

    def unfit(self, material: Material) -> str:
        front = material.front
        if front is None or (front.tiled and front.kernel[1] <= _WIDEST):
            return ""
        return "the first layer is an overlapping convolution, or reads very many numbers at once"

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pieces is not None
        assert material.front is not None
        pieces = material.pieces(material.front.kernel[1])
        mean, covariance = moments(pieces.cut(material.public).flatten(0, 1))
        gain = conditional(seen_by(material.front), covariance, ridge=_FLOOR)
        made = (pieces.cut(material.released) - mean) @ gain.T + mean
        yield Attempt(setting="seen part kept", restored=pieces.paste(made, material.released))


@register
class Regression(Attack):
    """An affine map of pieces, fitted from pairs of other items."""

    name = "regression"
    cost = "untrained"
    knowledge = frozenset({"released", "pairs"})
    modalities = _KINDS
    stated = ("pairs",)

    def unfit(self, material: Material) -> str:
        few = material.pairs is not None and len(material.pairs[0]) < 2
        return "needs two pairs or more" if few else ""

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pieces is not None
        assert material.pairs is not None
        pieces = material.pieces(None)
        wanted, given = (pieces.cut(side).flatten(0, 1) for side in material.pairs)
        restore = fitted(given, wanted, ridge=_FLOOR * float(given.var(0).mean()))
        made = restore(pieces.cut(material.released))
        setting = f"{len(material.pairs[0])} pairs"
        yield Attempt(setting=setting, restored=pieces.paste(made, material.released))


def seen_by(front: Front) -> Float[Tensor, "number direction"]:
    """Orthonormal directions of a piece that a front sees."""
    values, vectors = spectrum(front.weight.flatten(1))
    kept = values[values.numel() - vectors.shape[1] :] > _SEEN * values[-1]
    return vectors[:, kept]
