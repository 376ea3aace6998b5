"""Models of tables: classifiers whose first layer is a Linear over named, standardised columns.

A torch file needs a JSON beside it: {"columns": [{"name": "age", "mean": 40.1, "std": 12.0,
"min": 0, "max": 120, "whole": true}, ...], "classes": [...]}; min, max and whole may be left out.
A function of the user's own (py:) returns a TableModel, or (nn.Module, [Column, ...], labels).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.find import find_front, first_tensor, named_tensors
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import NO_LAYER, Front, input_front
from catch11.modalities.table.net import Perceptron
from catch11.modalities.table.recoder import TABLE, Cells
from catch11.models.answer import Picked, answers_of, indices, named_labels
from catch11.models.files.function import call
from catch11.models.files.sidecar import REMARKS, class_names, facts_beside
from catch11.models.files.torch import read_module
from catch11.models.frame import local_file, move
from catch11.models.load import parse_spec
from catch11.models.weights import check_weights

MOST = 1 << 12  # columns

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh, "silu": nn.SiLU}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column the model reads, as (cell - mean) / std.

    low, high: the range that a released cell must keep, in the column's own units. whole: its
    released cells are whole numbers, as its source's are.
    """

    name: str
    mean: float
    std: float
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.name or not isinstance(self.name, str):
            raise InvalidArgument("column", expected="a name", found=repr(self.name))
        numbers = (self.mean, self.std)
        if not all(_real(v) and math.isfinite(v) for v in numbers) or self.std < 1e-12:
            raise InvalidArgument(
                f"column {self.name}", expected="a finite mean and a std above 0",
                found=f"{self.mean!r:.20} and {self.std!r:.20}",
            )  # fmt: skip
        if not (_real(self.low) and _real(self.high)) or not self.low < self.high:
            found = f"{self.low!r:.20} to {self.high!r:.20}"
            raise InvalidArgument(f"column {self.name}", expected="min below max", found=found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableModel:
    """A classifier of rows: standardised rows in, logits out.

    module: takes (row, column); in evaluation mode, without gradients of its parameters. columns:
    in the order the module reads them. labels: one a logit. alone: whether it is asked one row at a
    time, see `Answers`.
    """

    modality: ClassVar[str] = TABLE

    name: str
    spec: str
    module: nn.Module
    columns: tuple[Column, ...]
    labels: tuple[str, ...]
    fingerprint: str
    device: str = "cpu"
    alone: bool = False

    def __repr__(self) -> str:
        return f"TableModel({self.name!r}, {len(self.columns)} columns, {len(self.labels)} classes)"

    @property
    def canvas(self) -> Canvas:
        """One row, one pixel high, in standardised units: nothing is normalised a second time."""
        return row_canvas(len(self.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def cells(self) -> Cells:
        """What the columns' cells can hold, in standardised units."""
        mean = torch.tensor([c.mean for c in self.columns], dtype=torch.float64)
        std = torch.tensor([c.std for c in self.columns], dtype=torch.float64)
        low = torch.tensor([c.low for c in self.columns], dtype=torch.float64)
        high = torch.tensor([c.high for c in self.columns], dtype=torch.float64)
        whole = torch.tensor([c.whole for c in self.columns])
        return Cells(
            low=(low - mean) / std,
            high=(high - mean) / std,
            unit=torch.where(whole, 1.0 / std, 0.0),
            origin=-mean / std,
        )

    def standardise(self, values: Float[np.ndarray, "row column"]) -> Float[Tensor, "row column"]:
        """Cells to standardised units, float64."""
        mean = np.array([c.mean for c in self.columns])
        std = np.array([c.std for c in self.columns])
        return torch.from_numpy((values - mean) / std)

    def restore(self, rows: Float[Tensor, "row column"]) -> Float[np.ndarray, "row column"]:
        """Standardised rows to cells."""
        mean = np.array([c.mean for c in self.columns])
        std = np.array([c.std for c in self.columns])
        made: np.ndarray = rows.double().cpu().numpy() * std + mean
        return made

    def forward(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row classes"]:
        """Standardised rows to logits, differentiable."""
        values = rows.to(self.device, torch.float32)
        parts = values.split(1) if self.alone else (values,)
        return torch.cat([first_tensor(self.module(part)) for part in parts])

    def logits(self, rows: Float[Tensor, "row column"]) -> Float[Tensor, "row classes"]:
        """The same without gradient, on the CPU."""
        if not len(rows):
            return torch.zeros(0, len(self.labels))
        with torch.no_grad():
            return torch.cat([self.forward(part).float().cpu() for part in rows.split(4096)])

    def front(self, layer: str | None = None) -> Front:
        """The first Linear, on a row held as a window one pixel high; with layer "none" the row itself.
        Raises NoFront."""
        if layer == NO_LAYER:
            return input_front(self.canvas.shape, geometry="dense")
        return find_front(_Window(self.module), self.canvas, layer=layer)


class _Window(nn.Module):
    """A module of rows as one of windows (n, 1, 1, column)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Float[Tensor, "batch 1 1 column"]) -> object:
        """What the net answers."""
        return self.net(pixel_values.flatten(1))


def row_canvas(columns: int) -> Canvas:
    """The canvas of rows of so many columns."""
    return plain_canvas(1, columns, mean=(0.0,), std=(1.0,))


def claims(facts: Mapping[str, Any]) -> bool:
    """Whether the JSON beside a file is of a model of tables."""
    return isinstance(facts.get("columns"), list)


def load_table(spec: str, *, device: str = "cpu", allow_code: bool = False) -> TableModel:
    """Load a model of tables, torch: or py:. Raises ModelRefused, InvalidArgument."""
    kind, rest = parse_spec(spec)
    if kind == "torch":
        return _from_file(rest, device=device, allow_code=allow_code)
    if kind != "py":
        raise ModelRefused(spec, f"{kind}: holds no model of tables", "write torch: or py:")
    made = call(rest)
    if isinstance(made, TableModel):
        return made
    if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], nn.Module):
        module, columns, *labels = made
        names = partial(named_labels, spec, labels[0] if labels else None)
        return table_model(
            f"py:{rest}", module, columns, name=rest.rpartition(":")[2], labels=names, device=device
        )
    raise ModelRefused(
        spec, f"the function returned {type(made).__name__}",
        "return a TableModel or (nn.Module, [Column, ...], labels)",
    )  # fmt: skip


def table_model(
    spec: str,
    module: nn.Module,
    columns: Sequence[Column],
    *,
    name: str,
    labels: Callable[[int], tuple[str, ...]] = indices,
    device: str = "cpu",
    output: str | None = None,
) -> TableModel:
    """A module that takes standardised rows, as a TableModel. Raises ModelRefused."""
    names = [column.name for column in columns]
    if not 1 <= len(names) <= MOST or len(set(names)) != len(names):
        raise ModelRefused(spec, f"its {len(names)} columns are none, too many or named twice")
    check_weights(spec, module)
    fingerprint = module_fingerprint(module)
    net = move(spec, module, device)
    found = answers_of(
        spec,
        lambda v: named_tensors(net(v.flatten(1).to(device))),
        row_canvas(len(names)),
        asked=output,
    )
    return TableModel(
        name=name,
        spec=spec,
        module=net if output is None else Picked(net, output),
        columns=tuple(columns),
        labels=labels(found.classes),
        alone=found.alone,
        fingerprint=fingerprint,
        device=device,
    )


def _from_file(rest: str, *, device: str, allow_code: bool) -> TableModel:
    spec = f"torch:{rest}"
    path = local_file(spec, rest)
    facts = facts_beside(
        spec,
        path.with_suffix(".json"),
        known=REMARKS | {"columns", "activation", "output"},
        lacks="",
        remedy='write {"columns": [...]}',
    )
    rows = facts.get("columns")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelRefused(
            spec, 'the JSON beside it states no "columns"', 'write {"columns": [...]}'
        )
    columns = [_column(spec, row) for row in rows]
    module = read_module(spec, path, allow_code=allow_code)
    kind = str(facts.get("activation", "relu"))
    if isinstance(module, Perceptron):
        if kind not in ACTIVATIONS:
            raise ModelRefused(
                spec, f"its activation is {kind!r:.20}, expected {', '.join(ACTIVATIONS)}"
            )
        module.between = ACTIVATIONS[kind]()
    return table_model(
        spec, module, columns, name=path.stem, labels=partial(class_names, spec, facts),
        device=device, output=facts.get("output"),
    )  # fmt: skip


def _column(spec: str, row: Mapping[str, Any]) -> Column:
    known = {"name", "mean", "std", "min", "max", "whole"}
    if not {"name", "mean", "std"} <= set(row) <= known:
        raise ModelRefused(spec, f"a column states {sorted(row)}, expected {sorted(known)}")
    return Column(
        name=row["name"],
        mean=row["mean"],
        std=row["std"],
        low=row.get("min", -math.inf),
        high=row.get("max", math.inf),
        whole=row.get("whole", False) is True,
    )


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
