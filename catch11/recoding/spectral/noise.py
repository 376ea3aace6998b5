"""Noise: the directions in which a spectral recoder moves a window, before they are projected."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument

Noise = Literal["gaussian", "sign", "content", "structured"]

_Draw = Callable[[KeyedStream, Tensor], Tensor]


def _gaussian(stream: KeyedStream, window: Tensor) -> Tensor:
    return stream.normal(tuple(window.shape))


def _sign(stream: KeyedStream, window: Tensor) -> Tensor:
    """±1: all of the strength in values that an 8-bit box can hold."""
    return stream.uniform(tuple(window.shape)).round() * 2.0 - 1.0


def _content(stream: KeyedStream, window: Tensor) -> Tensor:
    """Towards a keyed black-and-white picture: adds noise and takes the image's own content away.

    In blocks of two pixels: a rival's first strides average single pixels out. MobileNetV2 kept
    .07 of 160 photographs at one pixel, .05 at two, .06 at three.
    """
    channels, height, width = window.shape
    small = stream.uniform((channels, -(-height // 2), -(-width // 2))).round()
    picture = F.interpolate(small[None], scale_factor=2)[0, :, :height, :width]
    return picture - window.cpu()


def _structured(stream: KeyedStream, window: Tensor) -> Tensor:
    """Gaussians at scales 1, 2, 4, 8, of equal energy: coarser scales survive a rival's pooling."""
    channels, height, width = window.shape
    total = torch.zeros(1, channels, height, width)
    for scale in (1, 2, 4, 8):
        small = stream.normal((channels, -(-height // scale), -(-width // scale)))[None]
        total += F.interpolate(small, scale_factor=scale)[..., :height, :width]
    return total[0] / 2.0


_NOISES: dict[str, _Draw] = {
    "gaussian": _gaussian,
    "sign": _sign,
    "content": _content,
    "structured": _structured,
}
assert set(_NOISES) == set(get_args(Noise))


def check_noise(name: str) -> None:
    """Raises InvalidArgument, with the known names, for a noise there is not."""
    if name not in _NOISES:
        raise InvalidArgument("noise", expected=f"one of {', '.join(_NOISES)}", found=repr(name))


def draw(
    name: Noise, stream: KeyedStream, window: Float[Tensor, "channel height width"]
) -> Float[Tensor, "channel height width"]:
    """A direction for one window: gaussian, sign (±1), content-dependent, or structured in scales
    (paper §3.2)."""
    return _NOISES[name](stream, window).to(window)
