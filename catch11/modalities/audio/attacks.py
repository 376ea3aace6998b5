"""Attacks on released sounds: filters, other rates, a codec, which need nothing but the files."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

import torch

from catch11.attacks import gather as windows
from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.attacks.scene import Asked, Scene
from catch11.errors import InvalidArgument
from catch11.kinds import AUDIO
from catch11.modalities.audio.filters import Waves, codec, frames, low_pass, other_rate


def gather(asked: Asked) -> Scene:
    """What attackers of a release of waves hold. Raises InvalidArgument for one of features."""
    if not asked.release.canvas.waveform:
        raise InvalidArgument(
            "DST", expected="a release of waves, which filters can be tried on", found="features"
        )
    return replace(windows.gather(asked, pieces=frames), unit="sounds", plain=True)


class _Filter(Attack):
    """A filter of waves."""

    knowledge = frozenset({"released"})
    cost = "untrained"
    modalities = frozenset({AUDIO})
    stated = ()
    change: ClassVar[Callable[[Waves], Waves]]

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        yield Attempt(setting=self.name, restored=type(self).change(material.released))


@register
class HalfBand(_Filter):
    """The upper half of frequencies taken away."""

    name = "low-pass 1/2"
    change = partial(low_pass, share=0.5)


@register
class QuarterBand(_Filter):
    """The upper three quarters of frequencies taken away."""

    name = "low-pass 1/4"
    change = partial(low_pass, share=0.25)


@register
class HalfRate(_Filter):
    """Half the rate and back."""

    name = "half the rate"
    change = partial(other_rate, down=2)


@register
class FineCodec(_Filter):
    """A lossy codec, 12 dB below what is around."""

    name = "codec 12 dB"
    change = partial(codec, decibels=12.0)


@register
class CoarseCodec(_Filter):
    """A lossy codec, 6 dB below what is around."""

    name = "codec 6 dB"
    change = partial(codec, decibels=6.0)
