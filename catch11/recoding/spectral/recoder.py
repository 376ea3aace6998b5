"""The spectral recoder: noise inside the subspace that the authorized model's front does not see."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from catch11.canvas.grid import Format
from catch11.copies.secretfile import Secret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import IMAGE
from catch11.recoding.frame import Recoder
from catch11.recoding.registry import registered
from catch11.recoding.spectral.box import recode_tiles
from catch11.recoding.spectral.box_conv import recode_conv
from catch11.recoding.spectral.noise import Noise, check_noise, draw
from catch11.recoding.spectral.strength import usual_psnr
from catch11.recoding.windows import WindowDomain
from catch11.subspaces.conv import ConvSubspace
from catch11.subspaces.tiles import TileSubspace


@registered(IMAGE, defaults=lambda key: {"psnr": usual_psnr(key)}, usual=True)
@dataclass(frozen=True, eq=False)
class SpectralRecoder(Recoder[Tensor]):
    """Moves each window inside the insensitive subspace by an exact strength.

    psnr: dB, peak 1, of the written file over the window; where the box leaves less room the
    nearest strength there is, and `Recoded.psnr` says which. noise: see `spectral.noise`. tag: a
    class or client name mixed into the noise, so that each gets files of its own. shared: all images
    with one tag get one and the same noise (paper §3.2, per class or per client): anyone holding
    two such files can subtract them, so it is never the default. copy: see `WindowDomain`; the strength
    asked for is then that of the noise on the scrambled picture.
    """

    method: ClassVar[str] = "spectral"
    # Faster than to share the cores within a picture, and the same bytes on machines with more.
    threads: ClassVar[int | None] = 1

    key: Key
    _: KW_ONLY
    format: Format = "png8"
    psnr: float = 10.0
    noise: Noise = "content"
    tag: str = ""
    shared: bool = False
    copy: Secret | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_unseen()
        if not 0.0 <= self.psnr <= 100.0:
            raise InvalidArgument("psnr", expected="0 to 100 dB", found=self.psnr)
        check_noise(self.noise)
        if self.shared and self.noise == "content":
            raise InvalidArgument(
                "noise", expected="gaussian, sign or structured with shared noise", found=self.noise
            )

    @cached_property
    def domain(self) -> WindowDomain:
        return WindowDomain(self.key, format=self.format, copy=self.copy)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        made = [self._one(w[None], s) for w, s in zip(items, streams, strict=True)]
        return torch.cat(made), [None] * len(made)

    def _one(self, window: Tensor, stream: KeyedStream) -> Tensor:
        if self.shared:
            stream = self.key.stream(self.tag.encode(), purpose="shared noise")
        noise = draw(self.noise, stream, window[0])[None]
        front, subspace, grid = self.key.front, self.key.subspace, self.domain.grid
        if isinstance(subspace, TileSubspace):
            return recode_tiles(front, subspace, window, noise, psnr=self.psnr, grid=grid)
        assert isinstance(subspace, ConvSubspace)
        return recode_conv(front, subspace, window, noise, psnr=self.psnr, grid=grid)
