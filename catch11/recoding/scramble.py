"""The plain recoder of personalised copies: the picture scrambled, and nothing else."""

from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from catch11.canvas.grid import Format
from catch11.copies.personalize import CopySecret
from catch11.crypto.stream import KeyedStream
from catch11.keys.key import Key
from catch11.recoding.frame import Facts, Recoder


class ScrambleRecoder(Recoder):
    """Scrambles each window as its copy reads it: exact for every picture, no search, one lookup a
    value. What is in a file is the picture in a secret order, so files together give the order
    away; see docs/copies.md. Raises KeyMismatch unless the key is the copy's.
    """

    method: ClassVar[str] = "scramble"

    def __init__(self, key: Key, copy: CopySecret, *, format: Format = "png8") -> None:
        super().__init__(key, format=format, copy=copy)

    @property
    def settings(self) -> Facts:
        return {"method": self.method, "format": self.format}

    def run(
        self,
        windows: Float[Tensor, "batch channel height width"],
        streams: Sequence[KeyedStream],
    ) -> tuple[Float[Tensor, "batch channel height width"], Sequence[str | None]]:
        return windows, [None] * len(windows)
