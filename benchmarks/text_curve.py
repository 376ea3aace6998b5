"""The paper's recoder of texts by its strength, and the LayerNorm's own freedom as a hiding place."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from benchmarks.desk import Desk, Line, Rows, line
from catch11 import Key, build_key
from catch11.crypto.stream import KeyedStream
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy
from catch11.modalities.text.model import NORMALISED, TextModel
from catch11.modalities.text.recoder import DocumentDomain, Passages, SpectralTokens, passages
from catch11.modalities.text.scores import read_back
from catch11.recoding.frame import Recoder
from catch11.studies.trial import SECRET

STRENGTHS = (0.3, 1.0, 3.0, 10.0)


def curve(desk: Desk, folder: Path) -> Iterator[Line]:
    """On the first 60 pairs."""
    part = replace(desk, most=60)
    one = build_key(desk.model, layer=NORMALISED, rank=1, secret=SECRET)
    recoders: list[tuple[str, float, Recoder[Passages]]] = [
        *(("spectral 64", s, SpectralTokens(desk.key, psnr=-20.0 * math.log10(s))) for s in STRENGTHS),
        ("shift", 3.0, SpectralTokens(one, psnr=-20.0 * math.log10(3.0))),
        ("norm", 3.0, NormTokens(desk.model, desk.key, shift=3.0)),
    ]  # fmt: skip
    for name, strength, recoder in recoders:
        made = recoder(passages(part.clean))
        rows = [one.embeds for one in made.items]
        shift = sum(made.front_shift) / len(rows)
        facts = {"recoder": name, "strength": strength, "front shift": shift}
        read = read_back(desk.model, part.encoded, rows, most=300)
        yield {**part.ranked(desk.model, rows), **facts}
        yield line("token recovery", read.value, read.n, **facts)
        if name in ("shift", "norm"):
            yield line("token recovery, centred", centred_recovery(part, rows), read.n, **facts)


@dataclass(frozen=True, eq=False)
class NormTokens(Recoder[Passages]):
    """What an embedding LayerNorm removes, used as hiding place: a keyed shift and scale of every
    token's sum of word, position and type. Exact: no answer changes; but two numbers a token, which
    centring and normalising take off again.

    shift: its standard deviation in units of the sum's; scale: of the logarithm.
    """

    method: ClassVar[str] = "norm"

    model: TextModel
    key: Key
    _: KW_ONLY
    shift: float = 3.0
    scale: float = 0.5
    precise: Literal["float32", "float16"] = "float32"

    @cached_property
    def domain(self) -> DocumentDomain:
        return DocumentDomain(self.key, self.precise)

    def run(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[Passages, Sequence[str | None]]:
        rows = [self._one(item.embeds, stream) for item, stream in zip(items, streams, strict=True)]
        return passages(rows), [None] * len(rows)

    def _one(self, passage: Tensor, stream: KeyedStream) -> Tensor:
        total = self.model.before_norm(passage[None])[0].cpu()
        draws = stream.normal((2, len(passage), 1))
        centre = total.mean(1, keepdim=True)
        size = (total - centre).square().mean(1, keepdim=True).sqrt()
        # A scale below 1 would let the norm's epsilon show.
        scale = (self.scale * draws[1].abs()).exp()
        wanted = (total - centre) * scale + centre + self.shift * size * draws[0]
        return passage + (wanted - total)


def centred(rows: Tensor) -> Tensor:
    """Tokens without the shift and the scale: what an attacker makes of them."""
    return torch.nn.functional.normalize(rows - rows.mean(-1, keepdim=True), dim=-1)


def centred_recovery(desk: Desk, rows: Rows) -> Interval:
    """Words read back after the shift and the scale are taken off, place by place."""
    table = desk.model.table.detach().float()
    longest = max(map(len, rows))
    offset = desk.model.before_norm(torch.zeros(1, longest, desk.model.width))[0]
    hits: list[bool] = []
    by_place: dict[int, list[tuple[Tensor, int]]] = {}
    for row, one in zip(rows, desk.encoded, strict=True):
        for place, word in enumerate(one.ids):
            if word not in desk.model.special:
                by_place.setdefault(place, []).append((row[place], word))
    for place, pairs in by_place.items():
        seen = centred(torch.stack([p[0] for p in pairs]) + offset[place])
        near = (seen @ centred(table + offset[place]).T).argmax(1).tolist()
        hits += [a == b[1] for a, b in zip(near, pairs, strict=True)]
    return accuracy(hits)
