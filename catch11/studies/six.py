"""Six nets on photographs, each as the one that files are made for and as a rival: a vision transformer and
five nets of convolutions, none of which can be had of the same training twice."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from catch11.errors import EmptySubspace
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Record
from catch11.recoding.spectral.strength import usual_psnr
from catch11.studies.crossing import cross
from catch11.studies.families import WAYS, view
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.trial import Trial

FAMILY = "six"
OWN = "spectral"  # at the strength that `recode` takes for each net
HOW: dict[str, dict[str, Value]] = {
    OWN: {"method": "spectral"},
    "deep, keep answer": WAYS["deep, keep answer"],
}
PICTURES = {"quick": 24, "full": 100}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    # Other places have no such six: what they have of photographs is crossed there.
    family = FAMILY if place.config == "local" else "photographs"
    return [
        Cell(name=f"{owner}, {way}", settings={
            "family": family, "authorized": owner, "how": way, "n": PICTURES[scale], **told,
        })
        for way, told in HOW.items()
        for owner in place.names(family)
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """A record a reader and condition."""
    if cell.settings["how"] == OWN:
        with suppress(EmptySubspace):  # which the crossing says
            usual = usual_psnr(Trial.of(cell, place).key)
            cell = replace(cell, settings={**cell.settings, "psnr": usual})
    return cross(cell, place)


STUDY = Study(
    name="six",
    title="Six nets on photographs, each authorized and each a rival",
    source="paper, Table 1",
    cells=cells,
    work=work,
    view=view,
    minutes=240,
)
