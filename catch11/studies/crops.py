"""Heavy crops: a quarter to a half of each side, enlarged: what is left of clean and released pictures."""

from collections.abc import Sequence

from catch11.evaluation.cells import Cell
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.robustness import IMAGES, changed_cells, view, work

CHANGES = {
    "quick": ("crop:0.5", "crop:0.25"),
    "full": ("crop:0.6", "crop:0.5", "crop:0.4", "crop:0.3", "crop:0.25", "crop:0.2"),
}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    return changed_cells(CHANGES[scale], place, IMAGES[scale])


STUDY = Study(
    name="crops",
    title="Heavy crops",
    source="beyond the paper's crops of 10 to 40 %",
    cells=cells,
    work=work,
    view=view,
    minutes=13,
)
