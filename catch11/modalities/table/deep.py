"""The deep recoder of table rows: a row near keyed noise that the model answers as it answers the source.

The search is that of pictures (`descent`), whose box [0, 1] stands for -8 to 8 standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.grid import Grid
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key
from catch11.modalities.table.recoder import Cells, RowRecoder
from catch11.recoding.deep.agreement import parse_agreement
from catch11.recoding.deep.descent import Schedule, descend
from catch11.recoding.frame import Facts

SPAN = 8.0  # standard deviations on either side that the search may use
AUTO = (0.1, 2.0)  # standard deviations: the ball of "auto" at the first and the last step
_LEVELS = 255.0 / (2.0 * SPAN)  # 255ths of the search's box in one standard deviation


@runtime_checkable
class AnsweringRows(Protocol):
    """What deep recoding needs of a model of tables."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over its sorted tensors."""
        ...

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

    def __init__(self, model: AnsweringRows, rows: Tensor, agreement: str, margin: float) -> None:
        self._model, self._agreement = model, parse_agreement(agreement, margin=margin)
        with torch.no_grad():
            self._clean = model.forward(rows.float())

    def gap(
        self, points: Float[Tensor, "some channel height width"], rows: Int[Tensor, " some"]
    ) -> tuple[Float[Tensor, " some"], Float[Tensor, " some"]]:
        """The gap of the answer, and cross-entropy to descend."""
        made, clean = self._model.forward(_rows(points).float()), self._clean[rows]
        nothing = made.new_zeros(len(made))
        return self._agreement.gap(made, clean, nothing), self._agreement.pull(made, clean)

    def confirm(
        self,
        points: Float[Tensor, "some channel height width"],
        rows: Int[Tensor, " some"],
        gap: Float[Tensor, " some"],
    ) -> Float[Tensor, " some"]:
        """The same: what was judged is what is written."""
        return gap


class DeepRowRecoder(RowRecoder):
    """Finds for each row one near keyed Gaussian noise that the authorized model answers alike.

    radius: largest change of the start in any cell, in standard deviations; "auto" takes about the
    smallest that answers. agreement, margin, steps: as for pictures. Raises KeyMismatch.
    """

    method: ClassVar[str] = "deep"

    def __init__(
        self,
        model: AnsweringRows,
        key: Key,
        cells: Cells,
        *,
        steps: int = 60,
        radius: float | Literal["auto"] = "auto",
        agreement: str = "top1",
        margin: float = 0.5,
        tag: str = "",
    ) -> None:
        super().__init__(key, cells)
        if key.model_fingerprint and model.fingerprint != key.model_fingerprint:
            raise KeyMismatch("model", expected=key.model_fingerprint, found=model.fingerprint)
        first, last = AUTO if isinstance(radius, str) else (radius, radius)
        if isinstance(radius, str) and radius != "auto":
            raise InvalidArgument("radius", expected="auto or standard deviations", found=radius)
        if not 0.0 < last <= SPAN:
            raise InvalidArgument(
                "radius", expected=f"above 0, at most {SPAN:g} standard deviations", found=last
            )
        self.schedule = Schedule(steps=steps, first=first * _LEVELS, last=last * _LEVELS)
        self.model, self.agreement, self.margin = model, agreement, margin
        self.radius, self.tag = radius, tag
        parse_agreement(agreement, margin=margin)

    @property
    def settings(self) -> Facts:
        return {
            "method": self.method, "steps": self.schedule.steps, "radius": self.radius,
            "agreement": self.agreement, "margin": self.margin, "tag": self.tag,
        }  # fmt: skip

    def run(
        self, rows: Float[Tensor, "row column"], streams: Sequence[KeyedStream]
    ) -> tuple[Float[Tensor, "row column"], Sequence[str | None]]:
        start = torch.stack([stream.normal((rows.shape[1],)) for stream in streams]).to(rows)
        question = _Question(self.model, rows, self.agreement, self.margin)
        grid = _RowGrid(low=0.0, high=1.0, levels=1, cells=self.cells)
        found = descend(_box(start), question, self.schedule, grid)
        reasons = [None if gap >= 0.0 else self._reason(gap) for gap in found.gaps.tolist()]
        return _rows(found.points), reasons

    def _reason(self, gap: float) -> str:
        return (
            f"no agreement ({self.agreement}, margin {self.margin:g}) within "
            f"{self.schedule.last / _LEVELS:g} standard deviations in {self.schedule.steps} steps: "
            f"short by {-gap:.3g}"
        )


def _rows(points: Tensor) -> Tensor:
    """Points of the search's box as rows in standardised units."""
    return (points.flatten(1) - 0.5) * (2.0 * SPAN)


def _box(rows: Tensor) -> Tensor:
    """Rows as points of the search's box, clipped to it."""
    return (rows / (2.0 * SPAN) + 0.5).clamp(0.0, 1.0)[:, None, None]
