"""Deep recoding of token embeddings: a point near keyed noise that the model answers as the document.

With noise to start from, a file depends on its document through the answer, the number of tokens
and the keyed stream alone: whatever is learned from it could be learned from those.

Documents that are answered alike are searched alike: the model's slopes share a part whatever the
noise, and sums and squares of rows show it to people without any model. So each document is searched
in directions that the key draws for it; the first row stays as it was drawn and the changes of the
others sum to zero; and the noise is loud beside the positions that the model adds to rows, so that
they hardly tell one row from another. Documents of fewer than six rows would find no answer within
such bounds: there rows move as they like, but for the words' directions.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.text.recoder import Precise, Reader, TokenRecoder, Types, check_reader, pad
from catch11.recoding.deep.agreement import Agreement, parse_agreement
from catch11.recoding.frame import Facts

COSINE = "cosine>0.99"
SCORE = "score<0.1"
_LOUD = 4.0  # the noise's entries, in units of the table's rms
_FEW = 6  # documents of fewer rows have no answer within such bounds
_ROOM = 3  # changes of a document: as many times the width, at least
_LEAST = 0.25  # of the width: the fewest directions drawn for a document
_SLACK = 1e-4  # so that another batch, which sums in another order, judges alike
_PACE = 0.2  # the longest first step of an entry, in units of the noise's
_SLOWER = 0.8  # by this share the longest last step is shorter
_POLYAK = 1.5  # of the step at whose end a straight slope would leave no pull
_MOMENTUM = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """When two answers are alike: a cosine, for embeddings; a distance, for a score, a head of one
    output; or an Agreement of logits."""

    cosine: float | None = None
    score: float | None = None
    logits: Agreement | None = None

    @property
    def text(self) -> str:
        """As it is written: cosine>0.99, score<0.1, top1, kl<0.1."""
        if self.logits is not None:
            return self.logits.text
        return f"score<{self.score:g}" if self.cosine is None else f"cosine>{self.cosine:g}"

    def gap(
        self, made: Float[Tensor, "batch answer"], wanted: Float[Tensor, "batch answer"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """(gap, pull): alike where gap ≥ 0; pull is descended."""
        if self.logits is not None:
            zero = torch.zeros(len(made), device=made.device)
            return self.logits.gap(made, wanted, zero), self.logits.pull(made, wanted)
        if self.score is not None:
            apart = (made - wanted)[:, 0]
            return self.score - apart.abs(), apart.square()
        assert self.cosine is not None
        near = F.cosine_similarity(made, wanted, dim=1)
        return near - self.cosine, 1.0 - near


def parse_alike(text: str | None, *, margin: float, classes: int) -> Alike:
    """From its written form, or the usual one of the model. Raises InvalidArgument."""
    usual = {0: COSINE, 1: SCORE}.get(classes, "top1")
    asked = (text or usual).replace(" ", "")
    if classes == 1:
        if not (found := re.fullmatch(r"score<(\d*\.?\d+)", asked)) or not float(found.group(1)):
            raise InvalidArgument("agreement", expected="score<V, V above 0", found=asked)
        return Alike(score=float(found.group(1)))
    if found := re.fullmatch(r"cosine>(0?\.\d+)", asked):
        if classes:
            raise InvalidArgument("agreement", expected="top1, topk:K or kl<V", found=asked)
        return Alike(cosine=float(found.group(1)))
    if not classes:
        raise InvalidArgument("agreement", expected="cosine>V, V below 1", found=repr(text))
    agreement = parse_agreement(asked, margin=margin)
    if agreement.kind == "match":
        raise InvalidArgument("agreement", expected="top1, topk:K or kl<V", found=asked)
    return Alike(logits=agreement)


class DeepTokens(TokenRecoder):
    """Finds for each document a matrix near keyed noise that the authorized model answers alike.

    model: the one the key was built from. radius: largest change of a row of the noise, as a share
    of its length. aside: share of the word table's principal directions that the search leaves
    alone, so that a change along them never points at a word; 0 finds answers in fewer steps.
    agreement: cosine>V for embedding models; score<V for heads of one output; top1, topk:K or kl<V,
    with `margin` logits to spare, for classifiers. steps: at most; each document stops by itself.
    chunk: documents worked on together. Raises InvalidArgument, KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    def __init__(
        self,
        model: Reader,
        key: Key,
        *,
        agreement: str | None = None,
        margin: float = 0.5,
        steps: int = 100,
        radius: float = 8.0,
        aside: float = 0.25,
        tag: str = "",
        precise: Precise = "float32",
        chunk: int = 32,
    ) -> None:
        super().__init__(key, precise=precise)
        check_reader(key, model)
        if not 1 <= steps <= 100_000:
            raise InvalidArgument("steps", expected="1 to 100000", found=steps)
        if not 0.0 < radius <= 100.0:
            raise InvalidArgument("radius", expected="above 0, at most 100", found=radius)
        if not 0.0 <= aside < 1.0:
            raise InvalidArgument("aside", expected="from 0 to below 1", found=aside)
        if chunk < 1:
            raise InvalidArgument("chunk", expected="at least 1", found=chunk)
        self.model, self.steps, self.radius, self.tag = model, steps, radius, tag
        self.alike = parse_alike(agreement, margin=margin, classes=len(model.labels))
        self.margin, self.batch, self.aside = margin, chunk, aside
        self._words = principal(model.table, round(aside * model.table.shape[1]))

    @property
    def settings(self) -> Facts:
        return {
            "method": self.method,
            "agreement": self.alike.text,
            "margin": self.margin,
            "steps": self.steps,
            "radius": self.radius,
            "aside": self.aside,
            "tag": self.tag,
            "precise": self.precise,
        }

    def run(
        self,
        passages: Sequence[Float[Tensor, "_ feature"]],
        types: Sequence[Types],
        streams: Sequence[KeyedStream],
    ) -> tuple[Sequence[Float[Tensor, "_ feature"]], Sequence[str | None]]:
        made: list[Tensor] = []
        reasons: list[str | None] = []
        for low in range(0, len(passages), self.batch):
            some = slice(low, low + self.batch)
            points, gaps = self._search(passages[some], types[some], streams[some])
            made += points
            reasons += [self._reason(gap) for gap in gaps.tolist()]
        return made, reasons

    def _search(
        self, passages: Sequence[Tensor], types: Sequence[Types], streams: Sequence[KeyedStream]
    ) -> tuple[list[Tensor], Tensor]:
        """One chunk: where each document stopped, and its gap."""
        device = self.model.device
        clean, mask, kinds = pad(passages, types, device=device)
        noise = [stream.normal(tuple(p.shape)) for p, stream in zip(passages, streams, strict=True)]
        start = pad([_LOUD * self.model.rms * values for values in noise], device=device)[0]
        moving = movable(mask)
        spaces = torch.stack(
            [self._space(stream, len(p)) for p, stream in zip(passages, streams, strict=True)]
        ).to(device)
        with torch.no_grad():
            wanted = self.model.answer(clean, mask, kinds).float()
        best, gaps = start.clone(), torch.full((len(start),), float("-inf"), device=device)
        at, motion = start.clone(), torch.zeros_like(start)
        rows = torch.arange(len(start), device=device)
        for step in range(self.steps + 1):
            points = self.round(at[rows]).requires_grad_(True)
            answers = self.model.answer(points, mask[rows], None if kinds is None else kinds[rows])
            gap, pull = self.alike.gap(answers.float(), wanted[rows])
            (slope,) = torch.autograd.grad(pull.sum(), points)
            gap = gap.detach() - _SLACK
            better = gap > gaps[rows]
            best[rows[better]], gaps[rows[better]] = points.detach()[better], gap[better]
            left = gap < 0.0
            rows, slope = rows[left], slope[left]
            if step == self.steps or not len(rows):
                break
            slope = levelled(slope @ spaces[rows], moving[rows])
            unit = slope / slope.abs().mean((1, 2), keepdim=True).clamp_min(1e-30)
            motion[rows] = _MOMENTUM * motion[rows] + unit
            way = levelled(motion[rows].sign() @ spaces[rows], moving[rows])
            way = way / _rms(way, moving[rows])
            length = self._length(pull.detach()[left], (slope * way).sum((1, 2)), step)
            at[rows] = self._moved(at[rows] - length * way, start[rows], moving[rows])
        lengths = [len(passage) for passage in passages]
        return [row[:n].cpu() for row, n in zip(best, lengths, strict=True)], gaps

    def _length(self, pull: Tensor, fall: Tensor, step: int) -> Tensor:
        """How far each document goes: Polyak's length, for which the least pull is 0, up to a
        longest one. Steps that shorten as the answers near halve what a tight agreement takes."""
        longest = _PACE * _LOUD * self.model.rms * (1.0 - _SLOWER * step / self.steps)
        return (_POLYAK * pull / fall.clamp_min(1e-30)).clamp(max=longest)[:, None, None]

    def _moved(self, at: Tensor, start: Tensor, moving: Tensor) -> Tensor:
        """Back to where no row is farther from its noise than its radius."""
        moved = at - start
        most = self.radius * start.norm(dim=2)
        share = most / moved.norm(dim=2).clamp_min(1e-30)
        share = torch.where(moving, share, torch.inf).amin(1).clamp(max=1.0)
        return start + share[:, None, None] * moved

    def _space(self, stream: KeyedStream, rows: int) -> Tensor:
        """The projector, on the host, on the directions that a document of so many rows is searched
        in: off the words' directions, and drawn for it alone."""
        width = self.model.table.shape[1]
        spared = torch.eye(width) - self._words @ self._words.T
        count = drawn(rows, width)
        if count >= width - self._words.shape[1]:
            return spared
        basis = torch.linalg.qr(spared @ stream.normal((width, count)))[0]
        return basis @ basis.T

    def _reason(self, gap: float) -> str | None:
        if gap >= 0.0:
            return None
        return (
            f"no agreement ({self.alike.text}) within {self.radius:g} of the noise's size in "
            f"{self.steps} steps: short by {-gap:.3g}"
        )


def drawn(rows: int, width: int) -> int:
    """How many directions are drawn for a document: enough for changes of three times the width,
    which is more than answers need, and a quarter of the width at least."""
    if rows < _FEW:
        return width
    return min(width, max(math.ceil(_LEAST * width), math.ceil(_ROOM * width / (rows - 2))))


def _rms(change: Tensor, moving: Tensor) -> Tensor:
    """Of each document's rows that move, kept above 0."""
    entries = moving.sum(1) * change.shape[2]
    return (change.square().sum((1, 2)) / entries).sqrt().clamp_min(1e-30)[:, None, None]


def movable(mask: Bool[Tensor, "batch token"]) -> Bool[Tensor, "batch token"]:
    """Rows that a search may change: all but the first, which models read like no other; all of
    them in documents of fewer than six."""
    moving = mask.clone()
    moving[:, 0] &= mask.sum(1) < _FEW
    return moving


def levelled(
    change: Float[Tensor, "batch token feature"], moving: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch token feature"]:
    """The nearest change of the moving rows alone that sums to zero over them; where the first row
    moves, the change of the moving rows as it is."""
    share = moving[..., None].to(change)
    mean = (change * share).sum(1, keepdim=True) / share.sum(1, keepdim=True).clamp_min(1.0)
    return (change - mean * ~moving[:, :1, None]) * share


def principal(
    table: Float[Tensor, "word feature"], count: int
) -> Float[Tensor, "feature direction"]:
    """The `count` directions along which the words of a table differ most, float32."""
    rows = table.detach().double().cpu()
    rows = rows - rows.mean(0)
    return torch.linalg.eigh(rows.T @ rows).eigenvectors[:, len(rows[0]) - count :].float()
