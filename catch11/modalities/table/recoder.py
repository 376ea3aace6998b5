"""Table rows as recoders take them, and the spectral recoder: noise in what a dense front does not see.

A row is a vector of numbers in standardised units, (cell - mean) / std of its column. There is no
box but the ranges that an owner states; columns marked whole keep whole numbers.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from catch11.canvas.grid import decibels
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key
from catch11.recoding.frame import Domain, Recoder
from catch11.recoding.registry import registered
from catch11.subspaces.tiles import TileSubspace

TABLE = "table"
_ROUNDS, _SETTLED = 400, 1e-10
STRENGTH = -30.0  # dB: 32 standard deviations; weaker noise leaves linear rivals their answers
_TRIES = 12  # in which a box's amplitude is set again
_STEP, _MOMENTUM = 1.2, 0.65  # stable up to a step of 1.43


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


@runtime_checkable
class Tabular(Authorized, Protocol):
    """What a recoder needs of a model of tables."""

    @property
    def cells(self) -> Cells:
        """What its columns can hold."""
        ...


class RowDomain(Domain[Tensor]):
    """Finite rows (row, column) in standardised units; they come back float64, within their cells.

    The peak of psnr is one standard deviation: 0 dB moves a cell by one on average (rms).
    """

    purpose: ClassVar[str] = "recode row"

    def __init__(self, key: Key, cells: Cells) -> None:
        if cells.low.shape != (key.canvas.window_width,):
            raise InvalidArgument(
                "cells", expected=f"{key.canvas.window_width} columns", found=tuple(cells.low.shape)
            )
        self.cells, self.weight = cells, key.front.weight.double()

    def clean(self, items: Tensor) -> Tensor:
        width = len(self.cells.low)
        if items.ndim != 2 or items.shape[1] != width or not torch.isfinite(items).all():
            expected = f"finite rows of shape (n, {width})"
            raise InvalidArgument("rows", expected=expected, found=tuple(items.shape))
        return items.double()

    def refused(self, clean: Tensor) -> Sequence[str | None]:
        off = self.cells.outside(clean).any(1).tolist()
        return ["a cell lies outside the range its column states" if out else None for out in off]

    def content(self, item: Tensor) -> tuple[bytes, ...]:
        return (item.double().numpy().astype("<f8").tobytes(),)

    def rounded(self, made: Tensor) -> Tensor:
        return self.cells.round(self.cells.clip(made))

    def psnr(self, made: Tensor, clean: Tensor) -> float:
        return float(decibels((made - clean).square().mean()))

    def shift(self, made: Tensor, seen: Tensor) -> float:
        return float((self.weight @ (made - seen)).norm() / (self.weight @ seen).norm())


@registered(TABLE, usual=True)
@dataclass(frozen=True, eq=False)
class SpectralRowRecoder(Recoder[Tensor]):
    """Moves each row inside the insensitive subspace by an exact strength.

    model: says what its columns can hold. psnr: dB, peak one standard deviation; -10 moves cells by
    3.2 standard deviations (rms). tag: a client's name mixed into the noise. Where ranges leave less
    room the strength is the nearest there is. Whole columns are rounded and the others moved so that
    the front does not see the rounding, as far as they can.
    """

    method: ClassVar[str] = "spectral"

    model: Tabular = field(repr=False)
    key: Key
    _: KW_ONLY
    psnr: float = STRENGTH
    tag: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.key.check_unseen()
        if not -60.0 <= self.psnr <= 100.0:
            raise InvalidArgument("psnr", expected="-60 to 100 dB", found=self.psnr)

    @cached_property
    def domain(self) -> RowDomain:
        return RowDomain(self.key, self.model.cells)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        rows, cells, subspace = items, self.domain.cells, self.key.subspace
        assert isinstance(subspace, TileSubspace)
        seen = subspace.kept.to(rows)
        noise = torch.stack([stream.normal((rows.shape[1],)) for stream in streams]).to(rows)
        direction = noise - (noise @ seen) @ seen.T
        goal = 10.0 ** (-self.psnr / 20.0)
        direction = direction * (goal / direction.square().mean(1, keepdim=True).sqrt())
        made = rows + direction
        if bool(cells.low.isfinite().any() | cells.high.isfinite().any()):
            made = self._boxed(rows, direction, seen, goal)
        if bool(cells.whole.any()):
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
            point = self.domain.cells.clip(target + ahead @ seen.T)
            residual = (rows - point) @ seen
            if bool((residual.abs() < _SETTLED).all()):
                break
            grown = ahead + _STEP * residual
            ahead = grown + _MOMENTUM * (grown - multiplier)
            multiplier = grown
        return point

    def _rounded(self, made: Tensor, seen: Tensor) -> Tensor:
        """Whole columns rounded; what that moves in the front is taken back by the others."""
        cells = self.domain.cells
        rounded, free = cells.round(made), ~cells.whole
        if not bool(free.any()):
            return rounded
        moved = (rounded - made) @ seen
        undo = moved @ torch.linalg.pinv(seen[free], rtol=1e-6)
        rounded[:, free] -= undo
        return cells.clip(rounded)
