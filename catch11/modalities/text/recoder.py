"""Token embeddings as recoders take them, and two recoders: noise along a subspace, and noise.

A document is a matrix (token, feature), the rows of a word table.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.canvas.grid import amplitude, decibels
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key
from catch11.recoding.frame import Domain, Facts, Recoder
from catch11.recoding.registry import registered

Precise = Literal["float32", "float16"]
TEXT = "text"
Types = tuple[int, ...] | None


@runtime_checkable
class Reader(Authorized, Protocol):
    """What a recoder needs of a text model, which has labels unless its answer is an embedding."""

    @property
    def table(self) -> Float[Tensor, "word feature"]:
        """Its word table."""

    @property
    def rms(self) -> float:
        """Root mean square of the table's entries."""

    def answer(
        self,
        embeds: Float[Tensor, "batch token feature"],
        mask: Bool[Tensor, "batch token"],
        types: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch answer"]:
        """Logits or embeddings, differentiable."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passage:
    """One document: a row a token and, where two texts were joined, which of them each is of. half:
    its values are written in 16 bits."""

    embeds: Tensor  # (token, feature)
    types: Types = None
    half: bool = False


Passages = Sequence[Passage]


class DocumentDomain(Domain[Passages]):
    """Documents of any lengths, at least one token each; they come back float32, as their file has
    them. The peak of psnr is the document's own root mean square: 0 dB is noise as large as it."""

    purpose: ClassVar[str] = "recode text"
    batch = 64

    def __init__(self, key: Key, precise: Precise) -> None:
        self.key = key
        self.half = precise == "float16"

    def clean(self, items: Passages) -> Passages:
        return [replace(passage, embeds=self._checked(passage.embeds)) for passage in items]

    def _checked(self, embeds: Tensor) -> Tensor:
        width = self.key.canvas.shape[-1]
        if embeds.ndim != 2 or embeds.shape[1] != width or not len(embeds):
            raise InvalidArgument(
                "passages", expected=f"matrices (tokens, {width})", found=tuple(embeds.shape)
            )
        if not embeds.is_floating_point() or not bool(torch.isfinite(embeds).all()):
            raise InvalidArgument("passages", expected="finite floats", found=str(embeds.dtype))
        return embeds.detach().float().cpu()

    def content(self, item: Passage) -> tuple[bytes, ...]:
        return item.embeds.contiguous().numpy().astype("<f4").tobytes(), repr(item.types).encode()

    def rounded(self, made: Passages) -> Passages:
        return [replace(v, embeds=self.written(v.embeds), half=self.half) for v in made]

    def written(self, embeds: Tensor) -> Tensor:
        """Values as the file gives them back, float32."""
        return embeds.to(torch.float16).float() if self.half else embeds.float()

    def psnr(self, made: Passage, clean: Passage) -> float:
        size = clean.embeds.norm().clamp_min(1e-30)
        return float(decibels(((made.embeds - clean.embeds).norm() / size).double().square()))

    def shift(self, made: Passage, seen: Passage) -> float:
        change = made.embeds - seen.embeds
        moved, size = (self.key.front.apply(windows(x)).norm() for x in (change, seen.embeds))
        return float(moved / size.clamp_min(1e-30))


@registered(TEXT)
@dataclass(frozen=True, eq=False)
class SpectralTokens(Recoder[Passages]):
    """Keyed noise in the directions that the key's token front sees least (the paper's recoder).

    psnr: dB, of each document, whose own size is the peak. Only the first block's projections are
    spared: the residual path and the LayerNorm before them see the noise whole, so the answer does
    not survive what hides the words.
    """

    method: ClassVar[str] = "spectral"

    key: Key
    _: KW_ONLY
    psnr: float = 0.0
    precise: Precise = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_unseen()
        if not self.psnr >= -80.0:
            raise InvalidArgument("psnr", expected="-80 dB or more", found=self.psnr)

    @cached_property
    def domain(self) -> DocumentDomain:
        return DocumentDomain(self.key, self.precise)

    @property
    def strength(self) -> float:
        """‖δ‖ / ‖x‖ of a document."""
        return amplitude(self.psnr)

    def facts(self) -> Facts:
        return {"strength": self.strength, "precise": self.precise}

    def run(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[Passages, Sequence[str | None]]:
        made = []
        for item, stream in zip(items, streams, strict=True):
            noise = stream.normal(tuple(item.embeds.shape))
            inside = self.key.subspace.project(windows(noise))[:, 0, 0]
            size = self.strength * item.embeds.norm() / inside.norm().clamp_min(1e-30)
            made.append(replace(item, embeds=item.embeds + size * inside))
        return made, [None] * len(made)


@dataclass(frozen=True, eq=False)
class NoiseTokens(Recoder[Passages]):
    """The control: keyed Gaussian noise of the word table's size, and nothing of the document but
    its length. No method of a release."""

    method: ClassVar[str] = "noise"

    key: Key
    _: KW_ONLY
    rms: float
    precise: Precise = "float32"

    @cached_property
    def domain(self) -> DocumentDomain:
        return DocumentDomain(self.key, self.precise)

    def run(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[Passages, Sequence[str | None]]:
        pairs = zip(items, streams, strict=True)
        made = [replace(v, embeds=self.rms * s.normal(tuple(v.embeds.shape))) for v, s in pairs]
        return made, [None] * len(made)


def passages(embeds: Sequence[Tensor], types: Sequence[Types] | None = None) -> list[Passage]:
    """Documents from their matrices."""
    kinds = [None] * len(embeds) if types is None else types
    return [Passage(embeds=one, types=kind) for one, kind in zip(embeds, kinds, strict=True)]


def windows(passage: Float[Tensor, "token feature"]) -> Float[Tensor, "token 1 1 feature"]:
    """Tokens as the windows that a token front and its subspace work on."""
    return passage[:, None, None, :]


def pad(
    passages: Sequence[Float[Tensor, "_ feature"]],
    types: Sequence[Types] | None = None,
    *,
    device: str | torch.device = "cpu",
) -> tuple[
    Float[Tensor, "batch token feature"], Bool[Tensor, "batch token"], Int[Tensor, "batch token"] | None
]:  # fmt: skip
    """Embeddings of several lengths as one batch: (embeds, mask, types), padded on the right."""
    longest = max(len(passage) for passage in passages)
    embeds = torch.zeros(len(passages), longest, passages[0].shape[1])
    mask = torch.zeros(len(passages), longest, dtype=torch.bool)
    kinds = torch.zeros(len(passages), longest, dtype=torch.long)
    for row, passage in enumerate(passages):
        embeds[row, : len(passage)] = passage
        mask[row, : len(passage)] = True
        own = None if types is None else types[row]
        if own is not None:
            kinds[row, : len(own)] = torch.tensor(own)
    some = types is not None and any(row is not None for row in types)
    return embeds.to(device), mask.to(device), kinds.to(device) if some else None
