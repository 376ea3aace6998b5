"""Attacks that train a denoiser: Noise2Clean, Noise2Noise, and one who simulates the release."""

from collections.abc import Iterator
from typing import ClassVar

import torch

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.nets import Kind, Training, train_restorer
from catch11.canvas.grid import decibels
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule


class Learned(Attack):
    """An attack that trains both networks, each with the same training, and is judged by the better."""

    kinds: ClassVar[tuple[Kind, ...]] = ("srresnet", "unet")

    def __init__(self, training: Training = Training()) -> None:  # noqa: B008 - frozen
        self.training = training

    def restored(
        self,
        material: Material,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        note: str,
        generator: torch.Generator,
    ) -> Iterator[Attempt]:
        """The released windows through each network trained on these pairs."""
        if not len(inputs):
            raise InvalidArgument(note, expected="pictures to learn from", found="none")
        for kind in self.kinds:
            restore, clock = train_restorer(
                inputs, targets, kind=kind, training=self.training, generator=generator
            )
            setting = f"{kind}, {clock}, {len(inputs)} {note}"
            yield Attempt(setting=setting, restored=restore(material.released), cut=clock.cut)


@register
class NoiseToClean(Learned):
    """Trained on pairs that leaked, or that an insider made."""

    name = "noise2clean"
    cost = "trained"
    knowledge = frozenset({"released", "pairs"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pairs is not None
        clean, released = material.pairs
        yield from self.restored(material, released, clean, "pairs", generator)


@register
class NoiseToNoise(Learned):
    """Trained on two releases of each picture, no clean one seen (Lehtinen et al. 2018)."""

    name = "noise2noise"
    cost = "trained"
    knowledge = frozenset({"released", "others"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.others is not None
        inputs = torch.cat([material.released, material.others[0]])
        targets = torch.cat([material.others[0], material.released])
        yield from self.restored(material, inputs, targets, "releases", generator)


@register
class WhiteBoxRestoration(Learned):
    """Knows the front: recodes public pictures with a secret of its own, at the one strength that it
    guesses from the released files, and trains on those; the noise differs, its law does not."""

    name = "white-box-restoration"
    cost = "trained"
    knowledge = frozenset({"released", "front", "public"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        front, subspace, public = material.front, material.subspace, material.public
        assert front is not None
        assert subspace is not None
        assert public is not None
        secret = bytes(torch.randint(256, (32,), generator=generator).tolist())
        key = Key(
            front=front,
            subspace=subspace,
            canvas=material.canvas,
            rule=Rule(kind="energy", value=0.0),
            secret=secret,
        )
        recoded = SpectralRecoder(key, psnr=likely_psnr(material))(public)
        yield from self.restored(material, recoded.images, public, "simulated pairs", generator)


def likely_psnr(material: Material) -> float:
    """The strength of a release, guessed without its originals: released and public pictures differ
    in their mean power about their mean by what was added, and noise inside a box is about that."""
    assert material.public is not None
    grey = material.public.mean((0, 2, 3), keepdim=True)
    added = (material.released - grey).square().mean() - (material.public - grey).square().mean()
    return float(decibels(added.clamp(1e-4, 0.3)).clamp(5.0, 40.0))
