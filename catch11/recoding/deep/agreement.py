"""When a recoded input answers as the clean one does: a signed gap, zero where agreement begins."""

import re
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

Kind = Literal["top1", "topk", "kl", "match"]
KNOWN = "top1, topk:K, kl<V or match<V"

_FORMS: tuple[tuple[str, Kind], ...] = (
    (r"top1", "top1"),
    (r"topk:(\d+)", "topk"),
    (r"kl<(\d*\.?\d+)", "kl"),
    (r"match<(\d*\.?\d+)", "match"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What of an answer must stay.

    top1: the first class. topk: the first class and the set of the first `value`. kl: the first
    class, and KL(clean ‖ recoded) below `value` nats. match: the first class, and every matched map
    within `value` of the clean one, relative. margin: how far the kept classes must lie above
    the others, in logits, so that another precision or runtime answers the same.
    """

    kind: Kind = "top1"
    value: float = 1.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin <= 1e3:
            raise InvalidArgument("margin", expected="0 to 1000 logits", found=self.margin)
        if self.kind == "topk" and (self.value < 1 or self.value != int(self.value)):
            raise InvalidArgument("agreement", expected="topk:K, K at least 1", found=self.value)
        if self.kind in ("kl", "match") and not self.value > 0.0:
            raise InvalidArgument("agreement", expected="a bound above 0", found=self.value)

    @property
    def text(self) -> str:
        """As it is written: top1, topk:5, kl<0.1, match<0.05."""
        if self.kind == "top1":
            return "top1"
        return f"topk:{self.value:g}" if self.kind == "topk" else f"{self.kind}<{self.value:g}"

    def gap(
        self,
        made: Float[Tensor, "batch classes"],
        clean: Float[Tensor, "batch classes"],
        distance: Float[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """The least of all that is asked, ≥ 0 where the answer agrees; differentiable in `made`.

        distance: relative distance of the matched maps, 0 where only the answer is matched.
        """
        asked = lead(made, clean.argmax(1, keepdim=True)) - self.margin
        if self.kind == "topk":
            count = min(int(self.value), clean.shape[1] - 1)
            first = clean.topk(count, dim=1).indices
            return torch.minimum(asked, lead(made, first) - self.margin)
        if self.kind == "kl":
            return torch.minimum(asked, self.value - divergence(made, clean))
        if self.kind == "match":
            return torch.minimum(asked, self.value - distance)
        return asked

    def pull(
        self, made: Float[Tensor, "batch classes"], clean: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, " batch"]:
        """What to descend so that the answer's gap rises.

        Cross-entropy on the kept classes takes about half the steps of descending the gap itself,
        which looks at one competitor at a time.
        """
        if self.kind == "topk":
            count = min(int(self.value), clean.shape[1] - 1)
            kept = clean.topk(count, dim=1).indices
            entropy = -F.log_softmax(made, 1).gather(1, kept).mean(1)
            return entropy - self.gap(made, clean, torch.zeros_like(entropy))
        if self.kind == "kl":
            return divergence(made, clean)
        if self.kind == "match":
            # Cross-entropy never rests: it would pull the maps apart again to be surer of the answer.
            return (self.margin - lead(made, clean.argmax(1, keepdim=True))).clamp_min(0.0)
        return F.cross_entropy(made, clean.argmax(1), reduction="none")


def parse_agreement(text: str, *, margin: float) -> Agreement:
    """An Agreement from its written form. Raises InvalidArgument, naming the known ones."""
    for form, kind in _FORMS:
        if found := re.fullmatch(form, text.replace(" ", "")):
            value = float(found.group(1)) if found.groups() else 1.0
            return Agreement(kind=kind, value=value, margin=margin)
    raise InvalidArgument("agreement", expected=KNOWN, found=repr(text))


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
