"""The frame of recoders of table rows, and the spectral one: noise in what a dense front does not see.

A row is a vector of numbers in standardised units, (cell - mean) / std of its column. There is no
box but the ranges that an owner states; columns marked whole keep whole numbers. The frame checks,
keys the randomness, brings rows to the grid and measures; a variant returns rows and reasons.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.canvas.grid import decibels
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.frame import Facts
from catch11.subspaces.tiles import TileSubspace

TABLE = "table"
_ROUNDS, _SETTLED = 400, 1e-10
STRENGTH = -30.0  # dB: 32 standard deviations; weaker noise leaves linear rivals their answers
_TRIES = 12  # in which a box's amplitude is set again
_STEP, _MOMENTUM = 1.2, 0.65  # as in `box`


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """What the cells of a row can hold, in standardised units, float64.

    low, high: the ranges stated, infinite where there are none. unit: 1 / std of a column of whole
    numbers, 0 for others; origin: where its zero lies, -mean / std.
    """

    low: Float[Tensor, " column"]
    high: Float[Tensor, " column"]
    unit: Float[Tensor, " column"]
    origin: Float[Tensor, " column"]

    @property
    def whole(self) -> Bool[Tensor, " column"]:
        """Which columns hold whole numbers only."""
        return self.unit > 0.0

    def clip(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """Rows moved into the ranges."""
        return torch.minimum(torch.maximum(rows, self.low.to(rows)), self.high.to(rows))

    def round(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
        """Whole columns at the nearest whole number within their range."""
        unit, origin = self.unit.to(rows), self.origin.to(rows)
        safe = torch.where(self.whole, unit, 1.0)
        low = ((self.low.to(rows) - origin) / safe).ceil()
        high = ((self.high.to(rows) - origin) / safe).floor()
        number = torch.minimum(torch.maximum(((rows - origin) / safe).round(), low), high)
        return torch.where(self.whole, number * safe + origin, rows)

    def outside(self, rows: Float[Tensor, "row column"]) -> Bool[Tensor, "row column"]:
        """Which cells lie outside their ranges."""
        return (rows < self.low - 1e-9) | (rows > self.high + 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecodedRows:
    """What a recoder made of rows: float64, standardised units, within the cells' ranges.

    psnr: dB over a row, peak one standard deviation: 0 dB moves a cell by one on average (rms).
    front_shift: ‖A(x̃-x)‖₂ / ‖Ax‖₂. reasons: why a row must be withheld, None where it may go.
    """

    rows: Float[Tensor, "row column"]
    psnr: tuple[float, ...]
    front_shift: tuple[float, ...]
    reasons: tuple[str | None, ...]


class RowRecoder(ABC):
    """A key of a dense front with settings; the result of a row depends on that row alone, to the
    rounding of sums (a search takes the rows of one call together)."""

    method: ClassVar[str]

    def __init__(self, key: Key, cells: Cells) -> None:
        if key.modality != TABLE or not isinstance(key.subspace, TileSubspace):
            raise InvalidArgument("key", expected="one of a model of tables", found=key.modality)
        if cells.low.shape != (key.canvas.window_width,):
            raise InvalidArgument(
                "cells", expected=f"{key.canvas.window_width} columns", found=tuple(cells.low.shape)
            )
        self.key, self.cells, self.subspace = key, cells, key.subspace

    @property
    @abstractmethod
    def settings(self) -> Facts:
        """Everything but the key that decides what a file looks like; public."""

    @abstractmethod
    def run(
        self, rows: Float[Tensor, "row column"], streams: Sequence[KeyedStream]
    ) -> tuple[Float[Tensor, "row column"], Sequence[str | None]]:
        """Recoded rows within the cells, and reasons to withhold; one keyed stream a row."""

    @final
    def __call__(self, rows: Tensor) -> RecodedRows:
        """Recode finite rows (row, column) in standardised units. Raises InvalidArgument."""
        width = self.key.canvas.window_width
        if rows.ndim != 2 or rows.shape[1] != width or not torch.isfinite(rows).all():
            expected = f"finite rows of shape (n, {width})"
            raise InvalidArgument("rows", expected=expected, found=tuple(rows.shape))
        rows = rows.double()
        streams = [self.stream(row) for row in rows]
        made, reasons = self.run(rows, streams) if len(rows) else (rows, ())
        made = self.cells.round(self.cells.clip(made))
        off = self.cells.outside(rows).any(1).tolist()
        told = [_OUTSIDE if out else why for out, why in zip(off, reasons, strict=True)]
        return RecodedRows(
            rows=made,
            psnr=tuple(decibels((made - rows).square().mean(1)).tolist()),
            front_shift=tuple(self._shift(made, rows).tolist()),
            reasons=tuple(told),
        )

    def stream(self, row: Float[Tensor, " column"]) -> KeyedStream:
        """The stream of one row under these settings; see `recode.frame`."""
        settings = repr(sorted(self.settings.items())).encode()
        data = row.double().numpy().astype("<f8").tobytes()
        return self.key.stream(self.method.encode(), settings, data, purpose="recode row")

    def _shift(self, made: Tensor, rows: Tensor) -> Tensor:
        weight = self.key.front.weight.to(rows)
        return ((made - rows) @ weight.T).norm(dim=1) / (rows @ weight.T).norm(dim=1)


_OUTSIDE = "a cell lies outside the range its column states"


class SpectralRowRecoder(RowRecoder):
    """Moves each row inside the insensitive subspace by an exact strength.

    psnr: dB, peak one standard deviation; -10 moves cells by 3.2 standard deviations (rms). tag: a
    client's name mixed into the noise. Where ranges leave less room the strength is the nearest
    there is. Whole columns are rounded and the others moved so that the front does not see the
    rounding, as far as they can.
    """

    method: ClassVar[str] = "spectral"

    def __init__(self, key: Key, cells: Cells, *, psnr: float = STRENGTH, tag: str = "") -> None:
        super().__init__(key, cells)
        if not -60.0 <= psnr <= 100.0:
            raise InvalidArgument("psnr", expected="-60 to 100 dB", found=psnr)
        self.psnr, self.tag = psnr, tag

    @property
    def settings(self) -> Facts:
        return {"method": self.method, "psnr": self.psnr, "tag": self.tag}

    def run(
        self, rows: Float[Tensor, "row column"], streams: Sequence[KeyedStream]
    ) -> tuple[Float[Tensor, "row column"], Sequence[str | None]]:
        seen = self.subspace.kept.to(rows)
        noise = torch.stack([stream.normal((rows.shape[1],)) for stream in streams]).to(rows)
        direction = noise - (noise @ seen) @ seen.T
        goal = 10.0 ** (-self.psnr / 20.0)
        direction = direction * (goal / direction.square().mean(1, keepdim=True).sqrt())
        made = rows + direction
        if bool(self.cells.low.isfinite().any() | self.cells.high.isfinite().any()):
            made = self._boxed(rows, direction, seen, goal)
        if bool(self.cells.whole.any()):
            made = self._rounded(made, seen)
        return made, [None] * len(rows)

    def _boxed(self, rows: Tensor, direction: Tensor, seen: Tensor, goal: float) -> Tensor:
        """The nearest points of (x + Ins) ∩ ranges to targets whose amplitude reaches the goal."""
        amplitude = rows.new_ones(len(rows), 1)
        for _ in range(_TRIES):
            made = self._nearest(rows, rows + amplitude * direction, seen)
            ratio = goal / (made - rows).square().mean(1, keepdim=True).sqrt().clamp_min(1e-9)
            if bool(((ratio - 1.0).abs() < 0.01).all()):
                break
            amplitude = (amplitude * ratio.clamp(0.5, 2.0)).clamp(max=30.0)
        return made

    def _nearest(self, rows: Tensor, target: Tensor, seen: Tensor) -> Tensor:
        """Accelerated ascent on the dual, all rows at once; see `box`."""
        multiplier = ahead = rows.new_zeros(len(rows), seen.shape[1])
        for _ in range(_ROUNDS):
            point = self.cells.clip(target + ahead @ seen.T)
            residual = (rows - point) @ seen
            if bool((residual.abs() < _SETTLED).all()):
                break
            grown = ahead + _STEP * residual
            ahead = grown + _MOMENTUM * (grown - multiplier)
            multiplier = grown
        return point

    def _rounded(self, made: Tensor, seen: Tensor) -> Tensor:
        """Whole columns rounded; what that moves in the front is taken back by the others."""
        rounded = self.cells.round(made)
        free = ~self.cells.whole
        if not bool(free.any()):
            return rounded
        moved = (rounded - made) @ seen
        undo = moved @ torch.linalg.pinv(seen[free], rtol=1e-6)
        rounded[:, free] -= undo
        return self.cells.clip(rounded)
