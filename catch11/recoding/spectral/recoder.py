"""The spectral recoder: noise inside the subspace that the authorized model's front does not see."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Format
from catch11.copies.personalize import CopySecret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.frame import Facts, Recoder
from catch11.recoding.spectral.box import recode_tiles
from catch11.recoding.spectral.box_conv import recode_conv
from catch11.recoding.spectral.noise import Noise, check_noise, draw
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.tiles import TileSubspace


class SpectralRecoder(Recoder):
    """Moves each window inside the insensitive subspace by an exact strength.

    psnr: dB, peak 1, of the written file over the window; where the box leaves less room the
    nearest strength there is, and `Recoded.psnr` says which. noise: see `recode.noise`. tag: a class
    or client name mixed into the noise, so that each gets files of its own. shared: all images
    with one tag get one and the same noise (paper §3.2, per class or per client): anyone holding
    two such files can subtract them, so it is never the default. copy: see `Recoder`; the strength
    asked for is then that of the noise on the scrambled picture.
    """

    method: ClassVar[str] = "spectral"

    def __init__(
        self,
        key: Key,
        *,
        psnr: float = 10.0,
        format: Format = "png8",
        noise: Noise = "content",
        tag: str = "",
        shared: bool = False,
        copy: CopySecret | None = None,
    ) -> None:
        super().__init__(key, format=format, copy=copy)
        if not 0.0 <= psnr <= 100.0:
            raise InvalidArgument("psnr", expected="0 to 100 dB", found=psnr)
        check_noise(noise)
        if shared and noise == "content":
            raise InvalidArgument(
                "noise", expected="gaussian, sign or structured with shared noise", found=noise
            )
        self.psnr, self.noise, self.tag, self.shared = psnr, noise, tag, shared

    @property
    def settings(self) -> Facts:
        return {
            "method": self.method,
            "format": self.format,
            "psnr": self.psnr,
            "noise": self.noise,
            "tag": self.tag,
            "shared": self.shared,
        }

    def run(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
    ) -> tuple[Float[Tensor, "batch channel height width"], Sequence[str | None]]:
        made = [self._one(w[None], s) for w, s in zip(windows, streams, strict=True)]
        return torch.cat(made), [None] * len(made)

    def _one(self, window: Tensor, stream: KeyedStream) -> Tensor:
        if self.shared:
            stream = self.key.stream(self.tag.encode(), purpose="shared noise")
        noise = draw(self.noise, stream, window[0])[None]
        front, subspace = self.key.front, self.key.subspace
        if isinstance(subspace, TileSubspace):
            return recode_tiles(front, subspace, window, noise, psnr=self.psnr, grid=self.grid)
        assert isinstance(subspace, ConvSubspace)
        return recode_conv(front, subspace, window, noise, psnr=self.psnr, grid=self.grid)
