"""A front without a null space: SwinV2's patches of 4 x 4 x 3 = 48 values, seen by as many features or more.

The paper loses nine points there and lays it to the merging of patches. The published code has no
direction to take at its threshold and takes the last singular vector, which the net sees. Here that is
done too; and a share of the front's energy is let in, in the box, and the whole net searched.
"""

from collections.abc import Sequence

from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Record
from catch11.studies.crossing import METHODS, cross
from catch11.studies.families import BORNE, FAMILY, PICTURES, at_hand, view, weights
from catch11.studies.families import work as worked
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place

# Share of the front that may be unseen, and dB: what little is let in leaves no room for much noise.
SPECTRAL = (
    (1e-4, 10.0), (1e-3, 10.0), (1e-2, 10.0), (3e-2, 10.0), (1e-1, 10.0), (3e-2, 7.0), (1e-1, 7.0),
)  # fmt: skip
WAYS: dict[str, dict[str, Value]] = {
    "published, nominal 20 dB": {"method": METHODS[0]},
    "published, last vector, nominal 20 dB": {"method": METHODS[0], "least": 1},
    "published, last vector, as a file, 10 dB": {"method": METHODS[1], "least": 1, "psnr": 10.0},
    **{
        f"spectral, energy {energy:g}, {psnr:g} dB": {
            "method": "spectral", "energy": energy, "psnr": psnr,
        }
        for energy, psnr in SPECTRAL
    },
    BORNE: {"method": "spectral"},
    "deep, keep answer": {"method": "deep"},
}  # fmt: skip


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    owner = "patch" if place.config == "digits" else "swinv2"
    return [
        Cell(name=way, settings={
            "family": FAMILY, "authorized": owner, "how": way, "n": PICTURES[scale],
            "weights": weights(place), **told,
        })
        for way, told in WAYS.items()
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    if cell.settings["how"] == BORNE:
        return worked(cell, place)
    return cross(cell, place, models=at_hand(place))


STUDY = Study(
    name="families_swin",
    title="SwinV2: a front without a null space",
    source="paper, Table 1",
    cells=cells,
    work=work,
    view=view,
    minutes=15,
)
