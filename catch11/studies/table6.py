"""Table 6: how far noise of each strength moves every layer, in the authorized model and in rivals.

Relative deviation ‖h(x̃) − h(x)‖₂ / ‖h(x)‖₂ of a layer's output, median over pictures with its range
from the order statistics. Floats outside the box, so that 40 to 0 dB can all be had.
"""

import math
from collections.abc import Sequence
from functools import partial
from statistics import NormalDist

from torch import Tensor, nn

from catch11.canvas.grid import psnr as measured
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Record
from catch11.models.frame import Model
from catch11.models.stages import stages
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model as model_name
from catch11.studies.tables import number, pivot, setting
from catch11.studies.trial import Trial

STRENGTHS = {"quick": (40.0, 20.0, 10.0, 0.0), "full": (40.0, 30.0, 20.0, 15.0, 10.0, 5.0, 0.0)}
IMAGES = {"quick": 16, "full": 200}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Both families' first models; a cell a strength."""
    rows = []
    for family in ("photographs", "thumbnails"):
        owner = place.names(family)[0]
        for psnr in STRENGTHS[scale]:
            facts: dict[str, Value] = {"family": family, "authorized": owner, "psnr": psnr}
            facts |= {"n": IMAGES[scale]}
            rows.append(Cell(name=f"{owner} at {psnr:g} dB", settings=facts))
    return rows


def outputs(model: Model, windows: Tensor) -> dict[str, Tensor]:
    """Each stage's output, and the logits, a row a picture."""
    held: dict[str, Tensor] = {}
    handles = []
    for name, part in stages(model).items():

        def keep(module: nn.Module, given: object, made: object, name: str = name) -> None:
            first = made[0] if isinstance(made, tuple) else made
            if isinstance(first, Tensor):
                held[name] = first.flatten(1)

        handles.append(part.register_forward_hook(keep))
    try:
        logits = model.logits(model.canvas.normalise(windows), batch=len(windows))
    finally:
        for handle in handles:
            handle.remove()
    return {**held, "logits": logits}


def work(cell: Cell, place: Place) -> Sequence[Record]:
    trial = Trial.of(cell, place, format="tensor")
    decibels = float(measured(trial.made.windows, trial.clean).mean())
    records = []
    for name in place.names(trial.family):
        model = place.model(trial.family, name)
        if model.module is None or model.canvas.shape != trial.model.canvas.shape:
            continue
        before, after = outputs(model, trial.clean), outputs(model, trial.made.windows)
        for depth, stage in enumerate(before):
            moved = (after[stage] - before[stage]).norm(dim=1) / before[stage].norm(dim=1)
            low, middle, high = median_range(moved.tolist())
            records.append(
                Record(
                    model=name, role=trial.role(name), condition="nte", metric="deviation",
                    value=middle, low=low, high=high, n=len(moved), psnr=decibels, seed=0,
                    settings={"stage": stage, "depth": depth},
                )
            )  # fmt: skip
    return records


def median_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with the order statistics that hold the true one at least 95% surely (normal
    approximation of the binomial, rounded outwards)."""
    rows = sorted(values)
    n = len(rows)
    reach = NormalDist().inv_cdf(0.5 + 0.95 / 2) * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - reach) - 1), min(n - 1, math.ceil(n / 2 + reach))
    middle = (rows[(n - 1) // 2] + rows[n // 2]) / 2
    return rows[low], middle, rows[high]


STUDY = Study(
    name="table6",
    title="How far each layer moves",
    source="paper, Table 6",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"model": model_name, "layer": setting("stage")},
        column=lambda r: f"{float(str(r.settings['psnr'])):g} dB",
        cell=lambda r: f"{number(r.value)} [{number(r.low)}, {number(r.high)}]",
        caption="median relative deviation of a layer's output, with its 95 % order statistics",
    ),
    minutes=6,
)
