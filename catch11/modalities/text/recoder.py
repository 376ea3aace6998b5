"""The frame of recoders of token embeddings, and two of its variants: noise along a subspace, and noise.

A document is a matrix (token, feature), the rows of a word table. The frame checks it, keys the
randomness, rounds to what is written and compares answers; a variant returns matrices and reasons.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key
from catch11.recoding.frame import Facts

Precise = Literal["float32", "float16"]
TEXT = "text"
Types = tuple[int, ...] | None


@runtime_checkable
class Reader(Protocol):
    """What a recoder needs of a text model."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over its sorted tensors."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes; none where its answer is an embedding."""

    @property
    def device(self) -> str:
        """Where it runs."""

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
class RecodedTokens:
    """What a recoder made of documents.

    passages: float32, as they read back from the file, each of the shape that went in. ratio:
    ‖x̃ − x‖ / ‖x‖. front_shift: ‖A(x̃ − x)‖ / ‖Ax‖ of the key's token front. reasons: why a
    document must be withheld, None where it may be released.
    """

    passages: tuple[Float[Tensor, "_ feature"], ...]
    ratio: tuple[float, ...]
    front_shift: tuple[float, ...]
    reasons: tuple[str | None, ...]


class TokenRecoder(ABC):
    """A key with settings; calling it recodes a batch of documents. A document's result depends on
    it alone or, for recoders that say so by `batch`, on its fixed chunk (in the last digits)."""

    method: ClassVar[str]
    batch: int = 64

    def __init__(self, key: Key, *, precise: Precise = "float32") -> None:
        if key.modality != TEXT:
            raise InvalidArgument("key", expected="one of a text model", found=key.modality)
        self.key = key
        self.precise: Precise = precise

    @property
    @abstractmethod
    def settings(self) -> Facts:
        """Everything but the key that decides what a file holds; public."""

    @abstractmethod
    def run(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[Types],
        streams: Sequence[KeyedStream],
    ) -> tuple[Sequence[Float[Tensor, "_ feature"]], Sequence[str | None]]:
        """Recoded documents and reasons to withhold; one keyed stream a document."""

    @final
    def __call__(
        self, passages: Sequence[Tensor], types: Sequence[Types] | None = None
    ) -> RecodedTokens:
        """Recode clean embeddings, one float matrix (token, feature) a document.

        Raises InvalidArgument on another shape or type, or where a document has no token.
        """
        kinds = [None] * len(passages) if types is None else list(types)
        clean = [self._checked(passage) for passage in passages]
        settings = repr(sorted(self.settings.items())).encode()
        streams = [
            self.key.stream(
                self.method.encode(), settings, _bytes(p), repr(k).encode(), purpose="recode text"
            )
            for p, k in zip(clean, kinds, strict=True)
        ]
        made, reasons = self.run(clean, kinds, streams) if clean else ((), ())
        rounded = tuple(self.round(passage) for passage in made)
        pairs = list(zip(rounded, clean, strict=True))
        return RecodedTokens(
            passages=rounded,
            ratio=tuple(float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in pairs),
            front_shift=tuple(self._shift(a, b) for a, b in pairs),
            reasons=tuple(reasons),
        )

    def round(self, passage: Tensor) -> Tensor:
        """Values as the file gives them back, float32."""
        return passage.to(torch.float16).float() if self.precise == "float16" else passage.float()

    def _shift(self, made: Tensor, clean: Tensor) -> float:
        front = self.key.front
        moved, seen = (front.apply(windows(x)).norm() for x in (made - clean, clean))
        return float(moved / seen.clamp_min(1e-30))

    def _checked(self, passage: Tensor) -> Tensor:
        width = self.key.canvas.shape[-1]
        if passage.ndim != 2 or passage.shape[1] != width or not len(passage):
            raise InvalidArgument(
                "passages", expected=f"matrices (tokens, {width})", found=tuple(passage.shape)
            )
        if not passage.is_floating_point() or not bool(torch.isfinite(passage).all()):
            raise InvalidArgument("passages", expected="finite floats", found=str(passage.dtype))
        return passage.detach().float().cpu()


class SpectralTokens(TokenRecoder):
    """Keyed noise in the directions that the key's token front sees least (the paper's recoder).

    strength: ‖δ‖ / ‖x‖ of a document. Only the first block's projections are spared: the residual
    path and the LayerNorm before them see the noise whole, so the answer does not survive what
    hides the words.
    """

    method: ClassVar[str] = "spectral"

    def __init__(self, key: Key, *, strength: float = 1.0, precise: Precise = "float32") -> None:
        super().__init__(key, precise=precise)
        if not 0.0 <= strength <= 1e4:
            raise InvalidArgument("strength", expected="0 to 10000", found=strength)
        self.strength = strength

    @property
    def settings(self) -> Facts:
        return {"method": self.method, "strength": self.strength, "precise": self.precise}

    def run(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[Types],
        streams: Sequence[KeyedStream],
    ) -> tuple[Sequence[Float[Tensor, "_ feature"]], Sequence[str | None]]:
        made = []
        for passage, stream in zip(passages, streams, strict=True):
            noise = stream.normal(tuple(passage.shape))
            inside = self.key.subspace.project(windows(noise))[:, 0, 0]
            size = self.strength * passage.norm() / inside.norm().clamp_min(1e-30)
            made.append(passage + size * inside)
        return made, [None] * len(made)


class NoiseTokens(TokenRecoder):
    """The control: keyed Gaussian noise of the word table's size, and nothing of the document but
    its length."""

    method: ClassVar[str] = "noise"

    def __init__(self, key: Key, *, rms: float, precise: Precise = "float32") -> None:
        super().__init__(key, precise=precise)
        self.rms = rms

    @property
    def settings(self) -> Facts:
        return {"method": self.method, "rms": self.rms, "precise": self.precise}

    def run(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[Types],
        streams: Sequence[KeyedStream],
    ) -> tuple[Sequence[Float[Tensor, "_ feature"]], Sequence[str | None]]:
        pairs = zip(passages, streams, strict=True)
        made = [self.rms * stream.normal(tuple(passage.shape)) for passage, stream in pairs]
        return made, [None] * len(made)


def windows(passage: Float[Tensor, "token feature"]) -> Float[Tensor, "token 1 1 feature"]:
    """Tokens as the windows that a token front and its subspace work on."""
    return passage[:, None, None, :]


def check_reader(key: Key, reader: Reader) -> None:
    """Raises KeyMismatch unless the key was built from exactly this model's weights."""
    if reader.fingerprint != key.model_fingerprint:
        raise KeyMismatch("model", expected=key.model_fingerprint, found=reader.fingerprint)


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


def _bytes(passage: Tensor) -> bytes:
    """A document as the bytes that key its noise: float32, little-endian."""
    return passage.contiguous().numpy().astype("<f4").tobytes()
