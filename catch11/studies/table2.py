"""Table 2: releases for one model, read by the same architecture with other weights.

Beside the family's own models two are made here from the authorized architecture: one trained anew
on other pictures, one fine-tuned from the authorized weights for an epoch (a sibling: it reads what
its parent reads, and the table says so).
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from catch11.attacks.adaptation import Reader, Sweep, trained
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Record, Role
from catch11.studies.crossing import METHODS, cross, crossing_cells, crossing_view
from catch11.studies.frame import Scale, Study
from catch11.studies.nets.twin import Schooling, twin
from catch11.studies.place import Place
from catch11.studies.trial import CONDITIONS, Trial

FAMILY = "thumbnails"
TRAIN = {"quick": (4000, 5), "full": (14_000, 16)}  # pictures and epochs of the one trained anew
_LONG = 10  # epochs from which on a training is kept in the user's cache
_FEW = 500  # pictures the sibling sees


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Every method for the first model; then the made ones, all methods at once."""
    owner = place.names(FAMILY)[0]
    n = {"quick": 500, "full": 2000}[scale]
    rows = list(crossing_cells(FAMILY, [(owner, m) for m in METHODS], n=n))
    pictures, epochs = TRAIN[scale]
    for kind in ("anew", "sibling"):
        facts: dict[str, Value] = {"family": FAMILY, "authorized": owner, "n": n, "made": kind}
        facts |= {"pictures": pictures, "epochs": epochs} if kind == "anew" else {}
        rows.append(Cell(name=f"{owner}, {kind}", settings=facts))
    return rows


def work(cell: Cell, place: Place) -> Sequence[Record]:
    if "made" not in cell.settings:
        return cross(cell, place)
    records = []
    for method in METHODS[3:]:
        trial = Trial.of(cell, place, method=method)
        reader = made(trial, cell)
        for condition in CONDITIONS:
            windows = trial.clean if condition == "clean" else trial.condition(condition)
            with torch.no_grad():
                given = torch.cat([reader(part).argmax(1) for part in windows.split(100)])
            share = accuracy((given == trial.truth).tolist())
            kind = str(cell.settings["made"])
            role: Role = "ta" if kind == "anew" else "sibling"
            quality = {} if condition == "clean" else trial.quality(windows)
            records.append(
                Record(
                    model=f"{trial.authorized}, {kind}", role=role, condition=condition,
                    metric="accuracy", value=share.estimate, low=share.low, high=share.high,
                    n=len(given), seed=0, settings={"method": method},
                    psnr=quality.get("psnr"), ssim=quality.get("ssim"),
                )
            )  # fmt: skip
    return records


def made(trial: Trial, cell: Cell) -> nn.Module:
    """The authorized architecture trained anew, or its weights fine-tuned on few pictures."""
    if cell.settings["made"] == "sibling":
        return _sibling(trial.place, trial.authorized)
    pictures, epochs = (int(str(cell.settings[name])) for name in ("pictures", "epochs"))
    return _anew(trial.place, trial.authorized, Schooling(pictures=pictures, epochs=epochs))


@lru_cache(maxsize=2)
def _anew(place: Place, name: str, schooling: Schooling) -> nn.Module:
    reader = Reader(place.model(FAMILY, name))
    reader.body = twin(place, name, schooling, keep=schooling.epochs >= _LONG)
    return reader.eval()


@lru_cache(maxsize=2)
def _sibling(place: Place, name: str) -> nn.Module:
    model = place.model(FAMILY, name)
    shown = place.pictures(FAMILY, _FEW, part="train")
    sweep = Sweep(rates=(1e-4,), epochs=(1,), batch=64, seconds=1800.0, starts=("pretrained",))
    generator = torch.Generator().manual_seed(0)
    runs = trained(model, shown.windows(model.canvas), shown.labels, sweep, generator=generator)
    return next(runs).net


STUDY = Study(
    name="table2",
    title="Who reads a release: the same architecture with other weights",
    source="paper, Table 2",
    cells=cells,
    work=work,
    view=crossing_view,
    minutes=25,
)
