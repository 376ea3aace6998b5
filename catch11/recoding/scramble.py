"""The plain recoder of personalised copies: the picture scrambled, and nothing else."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from catch11.canvas.grid import Format
from catch11.copies.personalize import CopySecret
from catch11.copies.secretfile import Secret
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.kinds import IMAGE
from catch11.recoding.frame import Recoder
from catch11.recoding.registry import registered
from catch11.recoding.windows import WindowDomain


@registered(IMAGE)
@dataclass(frozen=True, eq=False)
class ScrambleRecoder(Recoder[Tensor]):
    """Scrambles each window as its copy reads it: exact for every picture, no search, one lookup a
    value. What is in a file is the picture in a secret order, so files together give the order
    away; see docs/howto/copies.md. Raises KeyMismatch unless the key is the copy's.
    """

    method: ClassVar[str] = "scramble"
    threads: ClassVar[int | None] = 1

    key: Key
    copy: Secret
    _: KW_ONLY
    format: Format = "png8"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.copy, CopySecret):
            raise InvalidArgument(
                "copy", expected="the secret of a personalised copy for method scramble",
                found="that of a sealed one",
                remedy="sealed files hold what another method made: spectral or deep",
            )  # fmt: skip

    @cached_property
    def domain(self) -> WindowDomain:
        return WindowDomain(self.key, format=self.format, copy=self.copy)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        return items, [None] * len(items)
