"""TextModel: a transformers encoder that takes embeddings, with its tokenizer, pooling and head.

Any encoder whose forward has `inputs_embeds` and `attention_mask` will do. Clean embeddings are the
word table's rows alone: positions and token types are added by the model itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import strip_canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.front import NO_LAYER, Front, input_front
from catch11.fronts.held import check_kernel
from catch11.modalities.text.recoder import TEXT, pad

Pooling = Literal["mean", "cls"]
ATTENTION, NORMALISED = "attention", "normalised"
_PROJECTION = re.compile(
    r"(query|key|value|q|k|v|[qkv]_lin|[qkv]_proj|(query|key|value)_proj|Wqkv|qkv|qkv_proj)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One document as the tokenizer gives it. types: which of two joined texts a token is of, None
    where the model knows no types or the document is one text. cut: tokens that found no room.
    unknown: tokens that the vocabulary lacks."""

    ids: tuple[int, ...]
    types: tuple[int, ...] | None = None
    cut: int = 0
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, kw_only=True, eq=False)
class TextModel:
    """An encoder as it is used: documents in through its tokenizer, answers out.

    Its answer is the logits of its head or, without one, the pooled sentence embedding. labels:
    one a logit, empty without a head. normalise: whether the sentence embedding has length 1.
    longest: tokens it has room for. special: ids that no word has. alone: whether it is asked one
    document at a time, since it answers a padded one otherwise: a head that reads the last token.
    """

    modality: ClassVar[str] = TEXT

    name: str
    spec: str
    module: nn.Module
    tokenizer: Any = field(repr=False)
    fingerprint: str
    longest: int
    labels: tuple[str, ...] = ()
    pooling: Pooling = "mean"
    normalise: bool = False
    device: str = "cpu"
    alone: bool = False

    def __repr__(self) -> str:
        kind = f"{len(self.labels)} classes" if self.labels else f"{self.pooling} pooling"
        return f"TextModel({self.name!r}, width {self.width}, {kind}, {self.fingerprint[:16]})"

    @property
    def held(self) -> str:
        """What a release keeps of its answer, in words."""
        if self.labels:
            return f"the strongest of {len(self.labels)} classes"
        return f"its sentence embedding, {self.pooling} pooling"

    @property
    def table(self) -> Float[Tensor, "word feature"]:
        """The public embedding table, a row a word."""
        return self.module.get_input_embeddings().weight  # type: ignore[operator]

    @property
    def width(self) -> int:
        """Features of an embedding."""
        return int(self.table.shape[1])

    @cached_property
    def rms(self) -> float:
        """Root mean square of the table's entries: the size noise must have to pass for words."""
        return float(self.table.double().square().mean().sqrt())

    @property
    def canvas(self) -> Canvas:
        """A token's embedding as a window of one row."""
        return strip_canvas(self.width)

    @cached_property
    def special(self) -> frozenset[int]:
        """Ids of padding, separators and the like."""
        return frozenset(self.tokenizer.all_special_ids)

    def encode(self, text: str, pair: str | None = None, *, most: int | None = None) -> Encoded:
        """A document, or two joined as the model was trained to read pairs.

        most: tokens to keep, fewer than the model has room for.
        """
        room = min(self.longest, most or self.longest)
        whole = self.tokenizer(text, pair, verbose=False)
        length = len(whole["input_ids"])
        if length > room:
            cut = self.tokenizer(text, pair, truncation=True, max_length=room, verbose=False)
        else:
            cut = whole
        ids = tuple(cut["input_ids"])
        types = cut.get("token_type_ids")
        return Encoded(
            ids=ids,
            types=None if types is None or not any(types) else tuple(types),
            cut=length - len(ids),
            unknown=sum(i == self.tokenizer.unk_token_id for i in ids),
        )

    def embed(self, encoded: Encoded) -> Float[Tensor, "token feature"]:
        """Clean embeddings of a document: the word table's rows, float32 on the CPU."""
        ids = torch.tensor(encoded.ids, device=self.device)
        with torch.no_grad():
            rows: Tensor = self.module.get_input_embeddings()(ids)  # type: ignore[operator]
        return rows.float().cpu()

    def answer(
        self,
        embeds: Float[Tensor, "batch token feature"],
        mask: Bool[Tensor, "batch token"],
        types: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch answer"]:
        """Logits, or the sentence embedding; differentiable in `embeds`."""
        if self.alone and not (len(mask) == 1 and mask.all()):
            rows = [slice(row, row + 1) for row in range(len(mask))]
            kinds = [None if types is None else types[row][:, mask[row][0]] for row in rows]
            cut = [(embeds[row][:, mask[row][0]], mask[row][:, mask[row][0]]) for row in rows]
            return torch.cat(
                [self.answer(*one, kind) for one, kind in zip(cut, kinds, strict=True)]
            )
        out = self._run(embeds, mask, types)
        if self.labels:
            return out.logits
        states = out[0]
        if self.pooling == "cls":
            pooled = states[:, 0]
        else:
            weight = mask.to(states)[..., None]
            pooled = (states * weight).sum(1) / weight.sum(1)
        return nn.functional.normalize(pooled, dim=-1) if self.normalise else pooled

    def states(
        self,
        embeds: Float[Tensor, "batch token feature"],
        mask: Bool[Tensor, "batch token"],
        types: Int[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        """The encoder's last hidden states."""
        out = self._run(embeds, mask, types, output_hidden_states=True)
        return out.hidden_states[-1]

    def answers(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[tuple[int, ...] | None] | None = None,
        *,
        batch: int = 64,
    ) -> Float[Tensor, "passage answer"]:
        """Answers to embeddings of several lengths, without gradient, on the CPU."""
        order = sorted(range(len(passages)), key=lambda i: len(passages[i]))
        found: dict[int, Tensor] = {}
        for low in range(0, len(order), batch):
            some = order[low : low + batch]
            kinds = None if types is None else [types[i] for i in some]
            padded = pad([passages[i] for i in some], kinds, device=self.device)
            with torch.no_grad():
                made = self.answer(*padded).float().cpu()
            found.update(zip(some, made, strict=True))
        if not found:
            return torch.zeros(0, len(self.labels) or self.width)
        return torch.stack([found[i] for i in range(len(passages))])

    def before_norm(
        self, embeds: Float[Tensor, "batch token feature"]
    ) -> Float[Tensor, "batch token feature"]:
        """What the embedding LayerNorm is given: words, positions and types added up.

        Raises NoFront for a model without such a norm.
        """
        name, norm = self._norm()
        held: list[Tensor] = []
        hook = norm.register_forward_pre_hook(lambda _, given: held.append(given[0]))
        try:
            with torch.no_grad():
                mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=embeds.device)
                self._run(embeds, mask, None)
        finally:
            hook.remove()
        if not held or held[0].shape[-2:] != embeds.shape[-2:]:
            raise NoFront([(name, "it does not read the embeddings")])
        return held[0].expand(embeds.shape)

    def front(self, layer: str | None = None) -> Front:
        """The token front: query, key and value of the first block, one above the other.

        layer "attention" (or None) is the projection alone, as the paper takes it; "normalised"
        has the gain and the centring of the LayerNorm before it folded in; "none" is the embeddings
        themselves. Raises NoFront.
        """
        if layer == NO_LAYER:
            return input_front(self.canvas.shape, geometry="tokens")
        if layer not in (None, ATTENTION, NORMALISED):
            expected = f"{ATTENTION}, {NORMALISED} or {NO_LAYER}"
            raise InvalidArgument("layer", expected=expected, found=layer)
        name, weight, bias = self._projection()
        if layer == NORMALISED:
            gain = dict(self._norm()[1].named_parameters())["weight"].detach().double().cpu()
            weight = weight * gain
            weight = weight - weight.mean(1, keepdim=True)
        return Front(
            geometry="tokens", weight=weight, bias=bias, neutral=(0.0,),
            shape=(1, 1, self.width), layer=layer or name,
        )  # fmt: skip

    def _projection(self) -> tuple[str, Tensor, Tensor]:
        modules = dict(self.module.named_modules())
        found: dict[str, list[nn.Module]] = {}
        for name, module in modules.items():
            last = name.rsplit(".", 1)
            if isinstance(module, nn.Linear) and _PROJECTION.fullmatch(last[-1]):
                found.setdefault(last[0], []).append(module)
        if not found:
            raise NoFront([("attention", "no query, key and value projections were found")])
        name, rows = next(iter(found.items()))
        for row in rows:
            if row.in_features != self.width:
                reason = f"it reads {row.in_features} features and the embeddings have {self.width}"
                raise NoFront([(name, reason)])
        weight = torch.cat([row.weight.detach().double().cpu() for row in rows])  # type: ignore[operator]
        for row in rows:
            assert isinstance(row, nn.Linear)
            check_kernel(name, row)
        biases = [row.bias for row in rows]
        zero = torch.zeros(len(weight), dtype=torch.float64)
        if any(bias is None for bias in biases):
            return name, weight, zero
        return name, weight, torch.cat([b.detach().double().cpu() for b in biases])  # type: ignore[operator]

    def _norm(self) -> tuple[str, nn.Module]:
        for name, module in self.module.named_modules():
            if isinstance(module, nn.LayerNorm) and module.normalized_shape == (self.width,):
                return name, module
        raise NoFront([("embeddings", "no LayerNorm follows them")])

    def _run(self, embeds: Tensor, mask: Tensor, types: Tensor | None, **settings: Any) -> Any:
        kinds: Mapping[str, Tensor] = {} if types is None else {"token_type_ids": types}
        return self.module(
            inputs_embeds=embeds, attention_mask=mask.to(torch.long), **kinds, **settings
        )
