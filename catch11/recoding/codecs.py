"""Codecs and other changes a released file must survive: a differentiable face and the real thing.

The deep recoder optimises over the first and is judged by the second; `survival("jpeg:75,blur:1")`
reads a list of them.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageFilter
from torch import Tensor

from catch11.errors import InvalidArgument

KNOWN = "jpeg:QUALITY, resize:FACTOR, crop:SHARE or blur:PIXELS"
BICUBIC = Image.Resampling.BICUBIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg:
    """A JPEG of this quality, chroma halved as encoders do by default."""

    quality: int

    @property
    def name(self) -> str:
        """jpeg:75."""
        return f"jpeg:{self.quality}"

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """kornia's codec with smooth rounding; quality from 95 down to this one."""
        from kornia.enhance import jpeg_codec_differentiable

        quality = 95.0 - severity * (95.0 - self.quality)
        colour = images.expand(-1, 3, -1, -1)
        made = jpeg_codec_differentiable(colour, quality.to(images)).clamp(0.0, 1.0)
        return made if images.shape[1] == 3 else made.mean(1, keepdim=True)

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Through libjpeg, as written to disk and read back."""
        quality = round(95 - severity * (95 - self.quality))

        def code(picture: Image.Image) -> Image.Image:
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=quality)
            return Image.open(data).convert(picture.mode)

        return _as_pictures(images, code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Sides multiplied by `factor` on the way; the reader's pipeline brings them back."""

    factor: float

    @property
    def name(self) -> str:
        """resize:0.5."""
        return f"resize:{self.factor:g}"

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Antialiased bicubic there and back."""
        parts = [self._soft(v[None], s) for v, s in zip(images, severity.tolist(), strict=True)]
        return torch.cat(parts).clamp(0.0, 1.0)

    def _soft(self, image: Tensor, severity: float) -> Tensor:
        height, width = image.shape[2:]
        return _resized(_resized(image, *self._size(height, width, severity)), height, width)

    def _size(self, height: int, width: int, severity: float) -> tuple[int, int]:
        factor = 1.0 + severity * (self.factor - 1.0)
        return max(1, round(factor * height)), max(1, round(factor * width))

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Pillow's bicubic resize there and back, in 8 bits."""
        height, width = self._size(images.shape[2], images.shape[3], severity)
        return _as_pictures(
            images, lambda v: v.resize((width, height), BICUBIC).resize(v.size, BICUBIC)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The middle `share` of each side kept; the reader's pipeline enlarges it."""

    share: float

    @property
    def name(self) -> str:
        """crop:0.9."""
        return f"crop:{self.share:g}"

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Cut and enlarged, antialiased bicubic."""
        parts = []
        for image, one in zip(images, severity.tolist(), strict=True):
            top, left, height, width = self._box(image.shape[1], image.shape[2], one)
            cut = image[None, :, top : top + height, left : left + width]
            parts.append(_resized(cut, image.shape[1], image.shape[2]))
        return torch.cat(parts).clamp(0.0, 1.0)

    def _box(self, height: int, width: int, severity: float) -> tuple[int, int, int, int]:
        share = 1.0 + severity * (self.share - 1.0)
        inner = max(1, round(share * height)), max(1, round(share * width))
        return (height - inner[0]) // 2, (width - inner[1]) // 2, *inner

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Cut and enlarged by Pillow, in 8 bits."""
        top, left, height, width = self._box(images.shape[2], images.shape[3], severity)
        box = (left, top, left + width, top + height)
        return _as_pictures(images, lambda v: v.crop(box).resize(v.size, BICUBIC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """A Gaussian blur of this deviation in pixels of the canvas."""

    sigma: float

    @property
    def name(self) -> str:
        """blur:1."""
        return f"blur:{self.sigma:g}"

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Convolved exactly, edges repeated."""
        pairs = zip(images, severity.tolist(), strict=True)
        return torch.cat([_blurred(v[None], s * self.sigma) for v, s in pairs])

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Pillow's Gaussian blur, in 8 bits."""
        blur = ImageFilter.GaussianBlur(severity * self.sigma)
        return _as_pictures(images, lambda v: v.filter(blur))


Survival = Jpeg | Resize | Crop | Blur


def survival(text: str) -> tuple[Survival, ...]:
    """The changes of a list such as "jpeg:75,resize:0.5,crop:0.9,blur:1"; () for "".

    Raises InvalidArgument, naming the known ones.
    """
    return tuple(_one(part.strip()) for part in text.split(",") if part.strip())


def _one(text: str) -> Survival:
    name, _, number = text.partition(":")
    try:
        value = float(number)
    except ValueError:
        raise InvalidArgument("survive", expected=KNOWN, found=repr(text)) from None
    if name == "jpeg" and 1 <= value <= 95 and value == int(value):
        return Jpeg(quality=int(value))
    if name == "resize" and 0.0 < value < 1.0:
        return Resize(factor=value)
    if name == "crop" and 0.0 < value < 1.0:
        return Crop(share=value)
    if name == "blur" and 0.0 < value <= 100.0:
        return Blur(sigma=value)
    raise InvalidArgument("survive", expected=KNOWN, found=repr(text))


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(
        image, size=(height, width), mode="bicubic", antialias=True, align_corners=False
    )


def _blurred(image: Tensor, sigma: float) -> Tensor:
    from kornia.filters import gaussian_blur2d

    size, deviation = 2 * max(1, round(4.0 * sigma)) + 1, max(sigma, 1e-3)
    return gaussian_blur2d(image, (size, size), (deviation, deviation), "replicate")


def _as_pictures(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Each image as an 8-bit picture through `change`, and back to floats."""
    levels = rearrange(images.detach().cpu().mul(255.0).round().clamp(0, 255), "n c h w -> n h w c")
    made = []
    for one in levels.to(torch.uint8).numpy():
        picture = change(Image.fromarray(one.squeeze()))
        array = np.asarray(picture).reshape(*picture.size[::-1], -1)
        made.append(torch.from_numpy(array.copy()))
    return rearrange(torch.stack(made), "n h w c -> n c h w").to(images) / 255.0
