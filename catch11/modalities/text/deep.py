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
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.text.recoder import (
    TEXT,
    DocumentDomain,
    Passage,
    Passages,
    Precise,
    Reader,
    pad,
)
from catch11.recoding.deep.agreement import ANSWERS, Agreement, Kind, parse_agreement
from catch11.recoding.frame import Facts, Recoder
from catch11.recoding.keep import ANSWER, FEATURES, SCORES, THE_DIAL, Keep, keep_asked
from catch11.recoding.registry import registered

# By the outputs of a head, none for embeddings: the usual agreement, and those there are.
_OF_HEADS: dict[int, tuple[str, tuple[Kind, ...]]] = {
    0: ("cosine>0.99", ("cosine",)),
    1: ("score<0.1", ("score",)),
}
# What each can keep, the embedding of a document being its features.
_KEPT: dict[int, tuple[str, ...]] = {0: (FEATURES,), 1: (ANSWER, SCORES)}
_LOUD = 4.0  # the noise's entries, in units of the table's rms
_FEW = 6  # documents of fewer rows have no answer within such bounds
_ROOM = 3  # changes of a document: as many times the width, at least
_LEAST = 0.25  # of the width: the fewest directions drawn for a document
_SLACK = 1e-4  # so that another batch, which sums in another order, judges alike
_PACE = 0.2  # the longest first step of an entry, in units of the noise's
_SLOWER = 0.8  # by this share the longest last step is shorter
_POLYAK = 1.5  # of the step at whose end a straight slope would leave no pull
_MOMENTUM = 0.75


def agreement_of(text: str | None, *, margin: float, classes: int) -> Agreement:
    """When two answers of a model are alike, from its written form, or the usual one: a cosine for
    embeddings, a distance for a score, top1 for classes. Raises InvalidArgument."""
    usual, among = _OF_HEADS.get(classes, ("top1", ANSWERS))
    return parse_agreement(text or usual, margin=margin, among=among)


def _agreement_kept(keep: Keep, *, margin: float, classes: int) -> Agreement:
    """The agreement by which a head keeps what is asked for. Raises InvalidArgument where it cannot."""
    known = _KEPT.get(classes, (ANSWER, SCORES))
    if keep.what not in known:
        heads = {0: "answers with an embedding, its features", 1: "answers with a score"}
        raise InvalidArgument(
            "keep", expected=f"{' or '.join(known)} for a model of texts that "
            f"{heads.get(classes, 'answers with classes')}", found=keep.text,
        )  # fmt: skip
    if keep.what == ANSWER:
        return agreement_of(None, margin=margin, classes=classes)
    if classes == 0:
        return Agreement(kind="cosine", value=1.0 - keep.aim**2 / 2.0, margin=margin)
    return Agreement(kind="score" if classes == 1 else "kl", value=keep.aim, margin=margin)


@registered(TEXT, usual=True)
@dataclass(frozen=True, eq=False)
class DeepTokens(Recoder[Passages]):
    """Finds for each document a matrix near keyed noise that the authorized model answers alike.

    model: the one the key was built from. keep: "answer" or "scores" of classifiers and scores,
    "features" of embeddings, within `tolerance`; see `recoding.keep`. radius: largest change of a row of the noise, as a share
    of its length. aside: share of the word table's principal directions that the search leaves
    alone, so that a change along them never points at a word; 0 finds answers in fewer steps.
    agreement: cosine>V for embedding models; score<V for heads of one output; top1, topk:K or kl<V,
    with `margin` logits to spare, for classifiers. steps: at most; each document stops by itself.
    chunk: documents worked on together. Raises InvalidArgument, KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    model: Reader = field(repr=False)
    key: Key
    _: KW_ONLY
    keep: str | None = None
    tolerance: float | None = None
    agreement: str | None = None
    margin: float = 0.5
    steps: int = 100
    radius: float | str = 8.0  # a word is refused: it belongs to other kinds of data
    aside: float = 0.25
    tag: str = ""
    precise: Precise = "float32"
    chunk: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_model(self.model)
        if not 1 <= self.steps <= 100_000:
            raise InvalidArgument("steps", expected="1 to 100000", found=self.steps)
        if isinstance(self.radius, str) or not 0.0 < self.radius <= 100.0:
            expected = "a number above 0, at most 100"
            raise InvalidArgument("radius", expected=expected, found=self.radius)
        if not 0.0 <= self.aside < 1.0:
            raise InvalidArgument("aside", expected="from 0 to below 1", found=self.aside)
        if self.chunk < 1:
            raise InvalidArgument("chunk", expected="at least 1", found=self.chunk)
        _ = self.agreed  # checks agreement and margin

    @cached_property
    def domain(self) -> DocumentDomain:
        return DocumentDomain(self.key, self.precise)

    @property
    def batch(self) -> int:
        return self.chunk

    @cached_property
    def agreed(self) -> Agreement:
        """When two answers are alike."""
        classes = len(self.model.labels)
        if self.keep is not None:
            return _agreement_kept(self.keeps, margin=self.margin, classes=classes)
        return agreement_of(self.agreement, margin=self.margin, classes=classes)

    @cached_property
    def keeps(self) -> Keep:
        return keep_asked(
            self.keep, self.tolerance, at=FEATURES, usual=self.agreement is None,
            agreement=agreement_of(
                self.agreement, margin=self.margin, classes=len(self.model.labels)
            ),
        )  # fmt: skip

    def distances(self, made: Passages, seen: Passages) -> Sequence[float | None]:
        found: list[float | None] = []
        for low in range(0, len(seen), self.chunk):
            part = slice(low, low + self.chunk)
            answers = [self._answers(some[part]) for some in (made, seen)]
            far = self.agreed.distance(*answers)
            found += [None] * len(answers[0]) if far is None else far.tolist()
        return found

    def _answers(self, items: Passages) -> Tensor:
        passages, types = [item.embeds for item in items], [item.types for item in items]
        with torch.no_grad():
            return self.model.answer(*pad(passages, types, device=self.model.device)).float()

    @cached_property
    def _words(self) -> Tensor:
        table = self.model.table
        return principal(table, round(self.aside * table.shape[1]))

    def facts(self) -> Facts:
        stated = {name: fact for name, fact in super().facts().items() if name not in THE_DIAL}
        return {**stated, "agreement": self.agreed.text}

    def run(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[Passages, Sequence[str | None]]:
        made: list[Passage] = []
        reasons: list[str | None] = []
        for low in range(0, len(items), self.chunk):
            some = items[low : low + self.chunk]
            points, gaps = self._search(some, streams[low : low + self.chunk])
            made += [replace(v, embeds=p) for v, p in zip(some, points, strict=True)]
            reasons += [self._reason(gap) for gap in gaps.tolist()]
        return made, reasons

    def _search(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[list[Tensor], Tensor]:
        """One chunk: where each document stopped, and its gap."""
        device, passages = self.model.device, [item.embeds for item in items]
        clean, mask, kinds = pad(passages, [item.types for item in items], device=device)
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
            points = self.domain.written(at[rows]).requires_grad_(True)
            answers = self.model.answer(points, mask[rows], None if kinds is None else kinds[rows])
            gap = self.agreed.gap(answers.float(), wanted[rows])
            pull = self.agreed.pull(answers.float(), wanted[rows])
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
            f"no agreement ({self.agreed.text}) within {self.radius:g} of the noise's size in "
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
