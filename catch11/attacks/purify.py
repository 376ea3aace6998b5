"""Filters anyone would try first: codecs, blurs, denoisers, resizing, fewer bits, crops."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Knowledge, Material, register
from catch11.lab import needed

Filter = Callable[[np.ndarray], np.ndarray]


def _cv2() -> Any:
    return needed("cv2")


def each(windows: Tensor, change: Filter) -> Tensor:
    """A filter of (height, width, channel) uint8 arrays applied to each window, which is rounded."""
    made = []
    for window in windows:
        pixels = (window.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
        array = change(np.ascontiguousarray(pixels.numpy()))
        array = array.reshape(window.shape[1], window.shape[2], window.shape[0])
        made.append(torch.from_numpy(np.array(array)).permute(2, 0, 1).float() / 255)
    return torch.stack(made)


def codec(array: np.ndarray, *, format: str, quality: int) -> np.ndarray:
    """The picture written by a real encoder and read back."""
    image = Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)
    buffer = BytesIO()
    image.save(buffer, format=format, quality=quality)
    with Image.open(buffer) as read:
        return np.asarray(read.convert(image.mode)).reshape(array.shape)


def total_variation(array: np.ndarray, *, weight: float, rounds: int = 40) -> np.ndarray:
    """Chambolle's 2004 dual projection for min ½‖u − f‖² + weight · TV(u), a channel at a time;
    weight in units of the peak 1."""
    noisy = array.astype(np.float64) / 255
    dual = np.zeros((2, *noisy.shape))
    step = 0.25
    for _ in range(rounds):
        gradient = _gradient(_divergence(dual) - noisy / weight)
        size = np.sqrt((gradient**2).sum(0, keepdims=True))
        dual = (dual + step * gradient) / (1 + step * size)
    clean = noisy - weight * _divergence(dual)
    return (clean.clip(0, 1) * 255).round().astype(np.uint8)


def _gradient(u: np.ndarray) -> np.ndarray:
    made = np.zeros((2, *u.shape))
    made[0, :-1] = u[1:] - u[:-1]
    made[1, :, :-1] = u[:, 1:] - u[:, :-1]
    return made


def _divergence(p: np.ndarray) -> np.ndarray:
    """The negative adjoint of the forward-difference gradient."""
    made = np.zeros(p.shape[1:])
    made[:-1] += p[0, :-1]
    made[1:] -= p[0, :-1]
    made[:, :-1] += p[1, :, :-1]
    made[:, 1:] -= p[1, :, :-1]
    return made


def resize(array: np.ndarray, *, factor: float) -> np.ndarray:
    """Down by a factor (area mean) and up again (cubic)."""
    height, width = array.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    low = _cv2().resize(array, small, interpolation=_cv2().INTER_AREA)
    return _cv2().resize(low, (width, height), interpolation=_cv2().INTER_CUBIC)


def median(array: np.ndarray, *, size: int) -> np.ndarray:
    """Median over size x size pixels."""
    return _cv2().medianBlur(array, size)


def gaussian(array: np.ndarray, *, sigma: float) -> np.ndarray:
    """Gaussian blur of a deviation in pixels."""
    return _cv2().GaussianBlur(array, (0, 0), sigma)


def bilateral(array: np.ndarray, *, spread: float) -> np.ndarray:
    """Bilateral filter over 9 x 9 pixels; spread in levels of 255."""
    return _cv2().bilateralFilter(array, 9, spread, 5)


def non_local(array: np.ndarray, *, strength: float) -> np.ndarray:
    """Non-local means (Buades et al. 2005) by OpenCV; strength in levels of 255."""
    if array.shape[-1] == 1:
        return _cv2().fastNlMeansDenoising(array, None, strength, 5, 15)
    return _cv2().fastNlMeansDenoisingColored(array, None, strength, strength, 5, 15)


def block_matching(array: np.ndarray, *, sigma: float) -> np.ndarray:
    """BM3D (Dabov et al. 2007); sigma in units of the peak 1. Raises MissingExtra."""
    bm3d = needed("bm3d", "attacks").bm3d
    return (bm3d(array / 255.0, sigma).clip(0, 1) * 255).round().astype(np.uint8)


def quantise(array: np.ndarray, *, bits: int) -> np.ndarray:
    """Fewer bits a channel."""
    steps = 2**bits - 1
    return np.rint(np.rint(array / 255 * steps) * 255 / steps).astype(np.uint8)


def crop(array: np.ndarray, *, share: float, place: tuple[float, float], flip: bool) -> np.ndarray:
    """A share of each side, at a place in [0, 1]², resized back (cubic), mirrored or not."""
    height, width = array.shape[:2]
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    top, left = round(place[0] * (height - rows)), round(place[1] * (width - columns))
    part = np.ascontiguousarray(array[top : top + rows, left : left + columns])
    made = _cv2().resize(part, (width, height), interpolation=_cv2().INTER_CUBIC)
    return np.ascontiguousarray(made[:, ::-1]) if flip else made


class _Filter(Attack):
    """A filter over a grid of settings."""

    cost = "untrained"
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset({"released"})

    @abstractmethod
    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        """Filters by the name of their setting."""

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        for setting, change in self.grid(generator):
            yield Attempt(setting=setting, restored=each(material.released, change))


@register
class AsIs(Attack):
    """No attack: the released files as they are."""

    name = "none"
    cost = "plain"
    knowledge = frozenset({"released"})
    modalities = frozenset({"image", "audio", "table"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        yield Attempt(setting="as released", restored=material.released)


@register
class Codec(_Filter):
    """JPEG and WebP at several qualities, by the real encoders."""

    name = "codec"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for format in ("JPEG", "WEBP"):
            for quality in (90, 75, 50, 25, 10):
                yield f"{format} {quality}", partial(codec, format=format, quality=quality)


@register
class Blur(_Filter):
    """Gaussian, median and bilateral blur."""

    name = "blur"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for sigma in (0.7, 1.0, 1.5, 2.0, 3.0, 4.0):
            yield f"Gaussian {sigma}", partial(gaussian, sigma=sigma)
        for size in (3, 5, 7, 11):
            yield f"median {size}", partial(median, size=size)
        for spread in (50.0, 100.0, 150.0):
            yield f"bilateral {spread:.0f}", partial(bilateral, spread=spread)


@register
class NonLocalMeans(_Filter):
    """Non-local means at several strengths."""

    name = "non-local-means"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for strength in (10.0, 30.0, 60.0, 90.0):
            yield f"strength {strength:.0f}", partial(non_local, strength=strength)


@register
class BlockMatching(_Filter):
    """BM3D at several strengths; needs the package bm3d."""

    name = "bm3d"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for sigma in (0.1, 0.2, 0.3):
            yield f"sigma {sigma}", partial(block_matching, sigma=sigma)


@register
class TotalVariation(_Filter):
    """Total-variation denoising (Rudin, Osher & Fatemi 1992) at several weights."""

    name = "total-variation"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for weight in (0.1, 0.3, 0.6, 1.0):
            yield f"weight {weight}", partial(total_variation, weight=weight)


@register
class Resize(_Filter):
    """Down and up again."""

    name = "resize"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for factor in (1.5, 2.0, 4.0, 8.0, 16.0):
            yield f"factor {factor}", partial(resize, factor=factor)


@register
class BitDepth(_Filter):
    """Fewer bits a channel."""

    name = "bit-depth"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for bits in (1, 2, 3, 4, 5):
            yield f"{bits} bits", partial(quantise, bits=bits)


@register
class CropFlip(_Filter):
    """A random crop, resized back, mirrored or not; one draw for all pictures of a setting."""

    name = "crop-flip"

    def grid(self, generator: torch.Generator) -> Iterator[tuple[str, Filter]]:
        for share in (0.95, 0.875, 0.75, 0.5):
            for flip in (False, True):
                down, across = torch.rand(2, generator=generator).tolist()
                setting = f"crop {share}{' mirrored' if flip else ''}"
                yield setting, partial(crop, share=share, place=(down, across), flip=flip)
