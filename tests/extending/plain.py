"""A recoder from outside the package: noise inside the subspace, of one amplitude for every picture."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from catch11.canvas.grid import Format
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.frame import Recoder
from catch11.recoding.registry import registered
from catch11.recoding.windows import WindowDomain


@registered("image")
@dataclass(frozen=True, eq=False)
class PlainRecoder(Recoder[Tensor]):
    """amplitude: of the noise before it is projected."""

    method: ClassVar[str] = "plain"

    key: Key
    _: KW_ONLY
    format: Format = "png8"
    amplitude: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.amplitude <= 1.0:
            raise InvalidArgument("amplitude", expected="0 to 1", found=self.amplitude)

    @cached_property
    def domain(self) -> WindowDomain:
        return WindowDomain(self.key, format=self.format)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        noise = torch.stack([stream.normal(tuple(items.shape[1:])) for stream in streams])
        return items + self.amplitude * self.key.subspace.project(noise), [None] * len(items)
