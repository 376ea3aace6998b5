"""Figure 1 on the five families: what each strength costs the net that files are made for, and the others."""

from collections.abc import Sequence
from dataclasses import replace

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies import figure1
from catch11.studies.families import FAMILY, at_hand, owners, weights
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.trial import Trial

STRENGTHS = {"quick": (20.0, 13.5, 10.0), "full": figure1.STRENGTHS["full"]["thumbnails"]}
PICTURES = {"quick": 200, "full": 1000}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    rows = figure1.strength_cells(FAMILY, owners(place), STRENGTHS[scale], n=PICTURES[scale])
    stand = {"weights": weights(place)}
    return [replace(cell, settings={**cell.settings, **stand}) for cell in rows]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    conditions = ("clean", *figure1.CONDITIONS)
    return Trial.of(cell, place).records(conditions, models=at_hand(place))


STUDY = Study(
    name="families_strength",
    title="Strength against use, five families",
    source="paper, Figure 1",
    cells=cells,
    work=work,
    view=figure1.view,
    draw=figure1.draw,
    minutes=20,
)
