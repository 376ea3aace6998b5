"""Six nets on photographs, each as the one that files are made for and as a rival: a vision transformer and
five nets of convolutions, none of which can be had of the same training twice."""

from collections.abc import Sequence

from catch11.evaluation.cells import Cell, Value
from catch11.studies.crossing import cross
from catch11.studies.families import WAYS, view
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place

FAMILY = "six"
OWN = "spectral"  # at the strength and with the rule of photographs
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


STUDY = Study(
    name="six",
    title="Six nets on photographs, each authorized and each a rival",
    source="paper, Table 1",
    cells=cells,
    work=cross,
    view=view,
    minutes=240,
)
