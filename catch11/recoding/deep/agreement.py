"""When a recoded input answers as the clean one does: a signed gap, zero where agreement begins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

Kind = Literal["top1", "topk", "kl", "match", "cosine", "score"]
ANSWERS: tuple[Kind, ...] = ("top1", "topk", "kl")  # what can be asked of logits alone

# How each is written, and read.
_FORMS: dict[Kind, tuple[str, str]] = {
    "top1": ("top1", r"top1"),
    "topk": ("topk:K", r"topk:(\d+)"),
    "kl": ("kl<V", r"kl<(\d*\.?\d+)"),
    "match": ("match<V", r"match<(\d*\.?\d+)"),
    "cosine": ("cosine>V, V below 1", r"cosine>(0?\.\d+)"),
    "score": ("score<V", r"score<(\d*\.?\d+)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What of an answer must stay.

    top1: the first class. topk: the first class and the set of the first `value`. kl: the first
    class, and KL(clean ‖ recoded) below `value` nats. match: the first class, and the matched maps
    within `value` of the clean ones, relative. cosine: of an embedding, above `value`. score: a head
    of one output, within `value`. margin: how far the kept classes must lie above the others, in
    logits, so that another precision or runtime answers the same.
    """

    kind: Kind = "top1"
    value: float = 1.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin <= 1e3:
            raise InvalidArgument("margin", expected="0 to 1000 logits", found=self.margin)
        if self.kind == "topk" and (self.value < 1 or self.value != int(self.value)):
            raise InvalidArgument("agreement", expected="topk:K, K at least 1", found=self.value)
        if self.kind in ("kl", "match", "score") and not self.value > 0.0:
            raise InvalidArgument("agreement", expected="a bound above 0", found=self.value)

    @property
    def text(self) -> str:
        """As it is written: top1, topk:5, kl<0.1, match<0.05, cosine>0.99."""
        sign = {"top1": "", "topk": ":", "cosine": ">"}.get(self.kind, "<")
        return f"{self.kind}{sign}{self.value:g}" if sign else self.kind

    def gap(
        self,
        made: Float[Tensor, "batch classes"],
        clean: Float[Tensor, "batch classes"],
        distance: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """The least of all that is asked, ≥ 0 where the answer agrees; differentiable in `made`.

        distance: relative distance of the matched maps, where maps are matched.
        """
        if self.kind == "cosine":
            return F.cosine_similarity(made, clean, dim=1) - self.value
        if self.kind == "score":
            return self.value - (made - clean)[:, 0].abs()
        asked = self._led(made, clean)
        if self.kind == "topk":
            count = min(int(self.value), clean.shape[1] - 1)
            first = clean.topk(count, dim=1).indices
            return torch.minimum(asked, lead(made, first) - self.margin)
        if self.kind == "kl":
            return torch.minimum(asked, self.value - divergence(made, clean))
        if self.kind == "match":
            assert distance is not None
            return torch.minimum(asked, self.value - distance)
        return asked

    def distance(
        self, made: Float[Tensor, "batch classes"], clean: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, " batch"] | None:
        """Of answers in the measure of the bound: nats, of embeddings of one length relative, of a
        score its own unit. None where the first classes alone count."""
        if self.kind == "cosine":
            return (2.0 - 2.0 * F.cosine_similarity(made, clean, dim=1)).clamp_min(0.0).sqrt()
        if self.kind == "score":
            return (made - clean)[:, 0].abs()
        return divergence(made, clean) if self.kind == "kl" else None

    def pull(
        self, made: Float[Tensor, "batch classes"], clean: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, " batch"]:
        """What to descend so that the answer's gap rises.

        Cross-entropy on the kept classes takes about half the steps of descending the gap itself,
        which looks at one competitor at a time.
        """
        if self.kind == "cosine":
            return 1.0 - F.cosine_similarity(made, clean, dim=1)
        if self.kind == "score":
            return (made - clean)[:, 0].square()
        if self.kind == "topk":
            count = min(int(self.value), clean.shape[1] - 1)
            kept = clean.topk(count, dim=1).indices
            entropy = -F.log_softmax(made, 1).gather(1, kept).mean(1)
            return entropy - self.gap(made, clean)
        if self.kind == "kl":
            return divergence(made, clean)
        if self.kind == "match":
            # Cross-entropy never rests: it would pull the maps apart again to be surer of the answer.
            return (-self._led(made, clean)).clamp_min(0.0)
        return F.cross_entropy(made, clean.argmax(1), reduction="none")

    def _led(
        self, made: Float[Tensor, "batch classes"], clean: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, " batch"]:
        """How far the clean class leads beyond the margin. Where scores or maps are kept too, they say
        how far it can lead: half its clean lead is then enough."""
        first = clean.argmax(1, keepdim=True)
        if self.kind not in ("kl", "match"):
            return lead(made, first) - self.margin
        return lead(made, first) - (lead(clean, first) / 2).clamp_max(self.margin)


def parse_agreement(
    text: str, *, margin: float, among: Sequence[Kind] = (*ANSWERS, "match")
) -> Agreement:
    """An Agreement from its written form. Raises InvalidArgument, naming those it may be."""
    for kind in among:
        if found := re.fullmatch(_FORMS[kind][1], text.replace(" ", "")):
            value = float(found.group(1)) if found.groups() else 1.0
            return Agreement(kind=kind, value=value, margin=margin)
    *others, last = (_FORMS[kind][0] for kind in among)
    known = f"{', '.join(others)} or {last}" if others else last
    raise InvalidArgument("agreement", expected=known, found=repr(text))


def lead(logits: Float[Tensor, "batch classes"], kept: Tensor) -> Float[Tensor, " batch"]:
    """The lowest logit of the kept classes, (batch, count) indices, above the highest of the rest."""
    rest = logits.scatter(1, kept, float("-inf")).amax(1)
    return logits.gather(1, kept).amin(1) - rest


def divergence(
    made: Float[Tensor, "batch classes"], clean: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    """KL(clean ‖ made) of the softmax answers, in nats."""
    p, q = F.log_softmax(clean, 1), F.log_softmax(made, 1)
    return (p.exp() * (p - q)).sum(1)
