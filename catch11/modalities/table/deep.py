"""The deep recoder of table rows: a row near keyed noise that the model answers as it answers the source.

The search is that of pictures (`descent`), whose box [0, 1] stands for -8 to 8 standard deviations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.modalities.table.recoder import TABLE, Cells, RowDomain, Tabular
from catch11.recoding.deep.agreement import ANSWERS, Agreement, parse_agreement
from catch11.recoding.deep.descent import Schedule, descend
from catch11.recoding.frame import Recoder
from catch11.recoding.keep import ANSWER, SCORES, THE_DIAL, Keep, keep_asked
from catch11.recoding.registry import registered

SPAN = 8.0  # standard deviations on either side that the search may use
AUTO = (0.1, 2.0)  # standard deviations: the ball of "auto" at the first and the last step
_LEVELS = 255.0 / (2.0 * SPAN)  # 255ths of the search's box in one standard deviation


@runtime_checkable
class AnsweringRows(Tabular, Protocol):
    """What deep recoding needs of a model of tables."""

    def forward(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row classes"]:
        """Standardised rows to logits, differentiable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowGrid(Grid):
    """The search's box [0, 1] with the ranges and whole numbers of the cells in it."""

    cells: Cells

    def round(self, values: Tensor) -> Tensor:
        rows = _rows(values)
        return _box(self.cells.round(self.cells.clip(rows)))


class _Question:
    """Whether points answer as their sources do; see `descent.Objective`."""

    def __init__(self, model: AnsweringRows, rows: Tensor, agreement: Agreement) -> None:
        self._model, self._agreement = model, agreement
        with torch.no_grad():
            self._clean = model.forward(rows.float())

    def gap(
        self, points: Float[Tensor, "some channel height width"], rows: Int[Tensor, " some"]
    ) -> tuple[Float[Tensor, " some"], Float[Tensor, " some"]]:
        """The gap of the answer, and cross-entropy to descend."""
        made, clean = self._model.forward(_rows(points).float()), self._clean[rows]
        return self._agreement.gap(made, clean), self._agreement.pull(made, clean)

    def confirm(
        self,
        points: Float[Tensor, "some channel height width"],
        rows: Int[Tensor, " some"],
        gap: Float[Tensor, " some"],
    ) -> Float[Tensor, " some"]:
        """The same: what was judged is what is written."""
        return gap


@registered(TABLE)
@dataclass(frozen=True, eq=False)
class DeepRowRecoder(Recoder[Tensor]):
    """Finds for each row one near keyed Gaussian noise that the authorized model answers alike.

    radius: largest change of the start in any cell, in standard deviations; "auto" takes about the
    smallest that answers. keep: "answer" or, within `tolerance`, "scores"; see `recoding.keep`.
    agreement: top1, topk:K or kl<V; margin, steps: as for pictures. The rows
    of one call are searched together. Raises KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    model: AnsweringRows = field(repr=False)
    key: Key
    _: KW_ONLY
    steps: int = 60
    radius: float | Literal["auto"] = "auto"
    keep: str | None = None
    tolerance: float | None = None
    agreement: str = "top1"
    margin: float = 0.5
    tag: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_model(self.model)
        _ = self.schedule, self.agreed  # each checks its options

    @cached_property
    def domain(self) -> RowDomain:
        return RowDomain(self.key, self.model.cells)

    @cached_property
    def agreed(self) -> Agreement:
        """What of the answer must stay."""
        if self.keep is not None:
            return self.keeps.agreement(margin=self.margin)
        return parse_agreement(self.agreement, margin=self.margin, among=ANSWERS)

    @cached_property
    def keeps(self) -> Keep:
        agreement = parse_agreement(self.agreement, margin=self.margin, among=ANSWERS)
        kept = keep_asked(
            self.keep,
            self.tolerance,
            at="logits",
            agreement=agreement,
            usual=self.agreement == "top1",
        )
        if kept.what not in (ANSWER, SCORES):
            expected = "answer, scores or all for a model of tables"
            raise InvalidArgument("keep", expected=expected, found=kept.text)
        return kept

    def distances(self, made: Tensor, seen: Tensor) -> Sequence[float | None]:
        answers = (self.model.forward(rows.float()) for rows in (made, seen))
        with torch.no_grad():
            far = self.agreed.distance(*answers)
        return [None] * len(made) if far is None else far.tolist()

    def facts(self) -> Mapping[str, Any]:
        stated = {name: fact for name, fact in super().facts().items() if name not in THE_DIAL}
        return {**stated, "agreement": self.agreed.text}

    @cached_property
    def schedule(self) -> Schedule:
        """The balls of the search."""
        first, last = AUTO if self.radius == "auto" else (self.radius, self.radius)
        if isinstance(last, str) or not 0.0 < last <= SPAN:
            expected = f"auto, or above 0 and at most {SPAN:g} standard deviations"
            raise InvalidArgument("radius", expected=expected, found=last)
        return Schedule(steps=self.steps, first=first * _LEVELS, last=last * _LEVELS)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        start = torch.stack([stream.normal((items.shape[1],)) for stream in streams]).to(items)
        grid = _RowGrid(low=0.0, high=1.0, levels=1, cells=self.domain.cells)
        question = _Question(self.model, items, self.agreed)
        found = descend(_box(start), question, self.schedule, grid)
        reasons = [None if gap >= 0.0 else self._reason(gap) for gap in found.gaps.tolist()]
        return _rows(found.points), reasons

    def _reason(self, gap: float) -> str:
        return (
            f"no agreement ({self.agreed.text}, margin {self.margin:g}) within "
            f"{self.schedule.last / _LEVELS:g} standard deviations in {self.steps} steps: "
            f"short by {-gap:.3g}"
        )


def _rows(points: Tensor) -> Tensor:
    """Points of the search's box as rows in standardised units."""
    return (points.flatten(1) - 0.5) * (2.0 * SPAN)


def _box(rows: Tensor) -> Tensor:
    """Rows as points of the search's box, clipped to it."""
    return (rows / (2.0 * SPAN) + 0.5).clamp(0.0, 1.0)[:, None, None]
