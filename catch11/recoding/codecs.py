"""Codecs and other changes a released file must survive: a differentiable face and the real thing.

The deep recoder optimises over the first and is judged by the second; `survival("jpeg:75,blur:1")`
reads a list of them.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageFilter
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.lab import needed

KNOWN = "jpeg:QUALITY, resize:FACTOR, crop:SHARE or blur:PIXELS"
BICUBIC = Image.Resampling.BICUBIC


@dataclass(frozen=True, slots=True)
class Survival(ABC):
    """A change of whole pictures. value: how much, in full; severities below 1 are milder."""

    word: ClassVar[str]
    value: float

    @property
    def name(self) -> str:
        """As it is written: jpeg:75."""
        return f"{self.word}:{self.value:g}"

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """After it, differentiable, each picture at its own severity."""
        pairs = zip(images, severity.tolist(), strict=True)
        return torch.cat([self._soft(image[None], each) for image, each in pairs]).clamp(0.0, 1.0)

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """After the real thing, through 8-bit pictures and back to floats."""
        levels = rearrange(images.detach().cpu() * 255.0, "n c h w -> n h w c").round()
        made = []
        for one in levels.clamp(0, 255).to(torch.uint8).numpy():
            picture = self._real(Image.fromarray(one.squeeze()), severity)
            array = np.asarray(picture).reshape(*picture.size[::-1], -1)
            made.append(torch.from_numpy(array.copy()))
        return rearrange(torch.stack(made), "n h w c -> n c h w").to(images) / 255.0

    @abstractmethod
    def _soft(self, image: Tensor, severity: float) -> Tensor: ...

    @abstractmethod
    def _real(self, picture: Image.Image, severity: float) -> Image.Image: ...


class Jpeg(Survival):
    """A JPEG of this quality, chroma halved as encoders do by default; quality from 95 down to it."""

    word = "jpeg"

    def _quality(self, severity: float) -> float:
        return 95.0 - severity * (95.0 - self.value)

    def _soft(self, image: Tensor, severity: float) -> Tensor:
        """kornia's codec with smooth rounding."""
        jpeg_codec_differentiable = needed("kornia.enhance").jpeg_codec_differentiable
        quality = image.new_tensor([self._quality(severity)])
        made: Tensor = jpeg_codec_differentiable(image.expand(-1, 3, -1, -1), quality)
        return made if image.shape[1] == 3 else made.clamp(0.0, 1.0).mean(1, keepdim=True)

    def _real(self, picture: Image.Image, severity: float) -> Image.Image:
        """Through libjpeg, as written to disk and read back."""
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=round(self._quality(severity)))
        return Image.open(data).convert(picture.mode)


class Resize(Survival):
    """Sides multiplied by this factor on the way; the reader's pipeline brings them back."""

    word = "resize"

    def _sides(self, height: int, width: int, severity: float) -> tuple[int, int]:
        factor = 1.0 + severity * (self.value - 1.0)
        return max(1, round(factor * height)), max(1, round(factor * width))

    def _soft(self, image: Tensor, severity: float) -> Tensor:
        height, width = image.shape[2:]
        return _resized(_resized(image, *self._sides(height, width, severity)), height, width)

    def _real(self, picture: Image.Image, severity: float) -> Image.Image:
        sides = self._sides(*picture.size, severity)
        return picture.resize(sides, BICUBIC).resize(picture.size, BICUBIC)


class Crop(Resize):
    """The middle share of each side kept; the reader's pipeline enlarges it."""

    word = "crop"

    def _box(self, height: int, width: int, severity: float) -> tuple[int, int, int, int]:
        inner = self._sides(height, width, severity)
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        return top, left, top + inner[0], left + inner[1]

    def _soft(self, image: Tensor, severity: float) -> Tensor:
        height, width = image.shape[2:]
        top, left, bottom, right = self._box(height, width, severity)
        return _resized(image[:, :, top:bottom, left:right], height, width)

    def _real(self, picture: Image.Image, severity: float) -> Image.Image:
        box = self._box(*picture.size, severity)
        return picture.crop(box).resize(picture.size, BICUBIC)


class Blur(Survival):
    """A Gaussian blur of this deviation in pixels of the canvas."""

    word = "blur"

    def _soft(self, image: Tensor, severity: float) -> Tensor:
        """Convolved exactly, edges repeated."""
        gaussian_blur2d = needed("kornia.filters").gaussian_blur2d

        sigma = severity * self.value
        size, deviation = 2 * max(1, round(4.0 * sigma)) + 1, max(sigma, 1e-3)
        made: Tensor = gaussian_blur2d(image, (size, size), (deviation, deviation), "replicate")
        return made

    def _real(self, picture: Image.Image, severity: float) -> Image.Image:
        return picture.filter(ImageFilter.GaussianBlur(severity * self.value))


# What is read, and the values it may have.
_READ: dict[type[Survival], Callable[[float], bool]] = {
    Jpeg: lambda value: 1 <= value <= 95 and value == int(value),
    Resize: lambda value: 0.0 < value < 1.0,
    Crop: lambda value: 0.0 < value < 1.0,
    Blur: lambda value: 0.0 < value <= 100.0,
}


def survival(text: str) -> tuple[Survival, ...]:
    """The changes of a list such as "jpeg:75,resize:0.5,crop:0.9,blur:1"; () for "".

    Raises InvalidArgument, naming the known ones.
    """
    return tuple(_one(part.strip()) for part in text.split(",") if part.strip())


def _one(text: str) -> Survival:
    word, _, number = text.partition(":")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    for change, fits in _READ.items():
        if change.word == word and fits(value):
            return change(value)
    raise InvalidArgument("survive", expected=KNOWN, found=repr(text))


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(
        image, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    )
