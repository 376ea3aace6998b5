"""What an embedding LayerNorm removes, used as hiding place: a shift of all features, and a scale.

Both are exact: the model's answer does not change at all. They are two numbers a token out of its
hundreds, and centring and normalising take them off again; the attack suite shows it.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.text.recoder import Precise, TokenRecoder, Types
from catch11.recoding.frame import Facts

Sums = Callable[[Tensor], Tensor]


class NormTokens(TokenRecoder):
    """Keyed shift and scale of every token's sum of word, position and type.

    sums: embeddings (1, token, feature) to what the LayerNorm is given. shift: its standard
    deviation in units of the sum's; scale: log-normal, the standard deviation of its logarithm.
    """

    method: ClassVar[str] = "norm"

    def __init__(
        self,
        key: Key,
        sums: Sums,
        *,
        shift: float = 3.0,
        scale: float = 0.5,
        precise: Precise = "float32",
    ) -> None:
        super().__init__(key, precise=precise)
        for name, value in (("shift", shift), ("scale", scale)):
            if not 0.0 <= value <= 100.0:
                raise InvalidArgument(name, expected="0 to 100", found=value)
        self.sums, self.shift, self.scale = sums, shift, scale

    @property
    def settings(self) -> Facts:
        return {
            "method": self.method,
            "shift": self.shift,
            "scale": self.scale,
            "precise": self.precise,
        }

    def run(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[Types],
        streams: Sequence[KeyedStream],
    ) -> tuple[Sequence[Float[Tensor, "_ feature"]], Sequence[str | None]]:
        pairs = zip(passages, streams, strict=True)
        return [self._one(passage, stream) for passage, stream in pairs], [None] * len(passages)

    def _one(
        self, passage: Float[Tensor, "token feature"], stream: KeyedStream
    ) -> Float[Tensor, "token feature"]:
        total = self.sums(passage[None])[0].cpu()
        draws = stream.normal((2, len(passage), 1))
        centre = total.mean(1, keepdim=True)
        size = (total - centre).square().mean(1, keepdim=True).sqrt()
        # A scale below 1 would let the norm's epsilon show.
        scale = (self.scale * draws[1].abs()).exp()
        wanted = (total - centre) * scale + centre + self.shift * size * draws[0]
        return passage + (wanted - total)


def norm_free_share(width: int) -> float:
    """Directions that a LayerNorm leaves unseen, as a share of a token's: the shift, and to first
    order the scale."""
    return 2.0 / width


def centred(passages: Float[Tensor, "token feature"]) -> Float[Tensor, "token feature"]:
    """Tokens without the shift and the scale: what an attacker makes of them."""
    return torch.nn.functional.normalize(passages - passages.mean(-1, keepdim=True), dim=-1)
