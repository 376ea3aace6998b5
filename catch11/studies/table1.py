"""Table 1: releases for one model, read by models of other architectures."""

from collections.abc import Sequence

from catch11.evaluation.cells import Cell
from catch11.studies.crossing import METHODS, cross, crossing_cells, crossing_view
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Quick: every method for the first model, ours for the second; full: every one for all."""
    names = place.names("photographs")
    if scale == "full":
        pairs = [(name, method) for name in names for method in METHODS]
        return crossing_cells("photographs", pairs, n=200)
    pairs = [(names[0], m) for m in METHODS] + [(names[1], m) for m in METHODS[3:]]
    return crossing_cells("photographs", pairs, n=40)


STUDY = Study(
    name="table1",
    title="Who reads a release: models of other architectures",
    source="paper, Table 1",
    cells=cells,
    work=cross,
    view=crossing_view,
    minutes=40,
)
