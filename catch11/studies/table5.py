"""Table 5 and Figure 3: the spectra of first layers, and how few directions carry them.

P95 and P99: the fewest directions that hold 95 % and 99 % of a front's energy Σ s². A front is a tile
or kernel as a matrix, in pixel units; the rest of its directions is what noise can hide in.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.lab import needed
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot
from catch11.subspaces.rule import spectrum

_NULL = 1e-6  # of the largest singular value: a float32 weight does not see less


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Every model of both families."""
    families = ("photographs", "thumbnails")
    pairs = [(family, name) for family in families for name in place.names(family)]
    return [Cell(name=n, settings={"family": f, "model": n}) for f, n in dict.fromkeys(pairs)]


def singular(place: Place, family: str, name: str) -> Float[Tensor, " direction"]:
    """Singular values of a model's front, ascending, pixel units."""
    return spectrum(place.model(family, name).front().weight.flatten(1))[0]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    family, name = str(cell.settings["family"]), str(cell.settings["model"])
    values = singular(place, family, name)
    energy = values.flip(0).square().cumsum(0) / values.square().sum()
    facts = {
        "directions": float(len(values)),
        "null": float((values < _NULL * values[-1]).sum()),
        "P95": float((energy < 0.95).sum() + 1),
        "P99": float((energy < 0.99).sum() + 1),
        "largest": float(values[-1]),
        "median": float(values.median()),
    }
    fingerprint = place.model(family, name).fingerprint
    return [
        Record(
            model=name, role="ga", condition="clean", metric=metric, value=value, low=value,
            high=value, n=1, model_fingerprint=fingerprint,
        )
        for metric, value in facts.items()
    ]  # fmt: skip


def draw(records: Sequence[Record], place: Place, path: Path) -> None:
    Figure = needed("matplotlib.figure").Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for family, name in product(("photographs", "thumbnails"), (r.model for r in records)):
        if name in place.names(family) and name not in {line.get_label() for line in axes.lines}:
            values = singular(place, family, name).flip(0)
            share = torch.arange(1, len(values) + 1) / len(values)
            floor = float(values[0]) * 1e-7
            axes.semilogy(share, values.clamp(min=floor) / values[0], label=name)
    axes.set(xlabel="share of directions, most seen first", ylabel="singular value / largest")
    axes.legend()
    figure.savefig(path, dpi=150)


STUDY = Study(
    name="table5",
    title="Spectra of first layers",
    source="paper, Table 5 and Figure 3",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row=model,
        column=lambda record: record.metric,
        head="front",
        caption="directions of a tile or kernel; P95, P99: the fewest that hold that share of Σ s²",
    ),
    draw=draw,
)
