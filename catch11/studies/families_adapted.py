"""Table 9 on the five families: each as an attacker that learns from labelled releases for another, from
its own clean weights and from nothing."""

from collections.abc import Sequence
from dataclasses import replace

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies import table9
from catch11.studies.families import FAMILY, at_hand, owners, weights
from catch11.studies.frame import Scale, Study
from catch11.studies.place import TWIN, Place
from catch11.studies.tables import Pivot, model, pivot, setting

FIRST = 2  # owners that quick looks at: a convolution, and patches with a null space

# Quick sweeps as full does, over fewer pictures.
EFFORT: dict[Scale, table9.Effort] = {
    "quick": (200, 400, *table9.EFFORT["full"][2:]),
    "full": table9.EFFORT["full"],
}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    stand = {"weights": weights(place)}
    return [
        replace(cell, settings={**cell.settings, **stand})
        for owner in owners(place)[: FIRST if scale == "quick" else None]
        for cell in table9.adapted_cells(EFFORT[scale], FAMILY, owner, before=f"{owner}, ")
    ]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """Attackers: the other families, and the owner's with other weights."""
    owner = str(cell.settings["authorized"])
    rivals = [name for name in at_hand(place) if not name.endswith(TWIN) and name != owner]
    rivals += [name for name in at_hand(place) if name == owner + TWIN]
    return table9.work(cell, place, rivals=rivals)


def view(records: Sequence[Record]) -> Pivot:
    return pivot(
        records,
        row={"files for": setting("authorized"), "attack": table9.attacker, "read by": model},
        column=setting("method"),
        caption="accuracy, best of the sweep, which favours the attacker; statistics: of batch norms",
    )


STUDY = Study(
    name="families_adapted",
    title="Five families as attackers that learn from releases",
    source="paper, Table 9",
    cells=cells,
    work=work,
    view=view,
    minutes=120,
)
