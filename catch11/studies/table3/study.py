"""Table 3: ways to restrict what released data are used for, side by side in one frame.

Every method on the same pictures, models and attackers: what the authorized side keeps, what rivals
get, unmodified and attacking, what an input costs, and what is guaranteed against whom. Numbers that
were not measured here are marked quoted, with their source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catch11.baselines.fhe_net import FINE_PARAMETERS, NET_PARAMETERS
from catch11.baselines.library import installed
from catch11.errors import MissingExtra
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.recoding.threads import torch_threads
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.table3 import compute, release
from catch11.studies.table3 import private as hidden
from catch11.studies.table3.rows import Row
from catch11.studies.table3.tasks import Task, task
from catch11.studies.table3.view import view

EPSILONS = (1.0, 3.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Pictures of a task: judged; judged by attackers; that attackers learn from; that training and
    calibration get; asked of the encrypted layer and of the encrypted net; asked of polynomials
    fitted by least squares, where more than n."""

    n: int
    attacked: int
    taught: int
    lessons: int
    heads: int
    nets: int = 0
    fitted: int = 0


SIZES: Mapping[Scale, dict[str, Size]] = {
    "quick": {
        "digits": Size(n=60, attacked=60, taught=100, lessons=600, heads=5, nets=2),
        "thumbnails": Size(n=40, attacked=20, taught=40, lessons=40, heads=2),
        "photographs": Size(n=4, attacked=4, taught=4, lessons=4, heads=1),
    },
    "full": {
        "digits": Size(n=500, attacked=200, taught=400, lessons=1297, heads=50, nets=40),
        "thumbnails": Size(n=200, attacked=100, taught=100, lessons=200, heads=20),
        "photographs": Size(n=20, attacked=10, taught=10, lessons=16, heads=3, fitted=60),
    },
}
NEEDS = {"dp-sgd": "opacus", "dp-head": "opacus", "diffprivlib": "diffprivlib", "fhe": "tenseal"}
RELEASED = ("clean", "aes", "scramble", "gaussian", "nte-spectral", "nte-deep")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Digits everywhere; thumbnails and photographs where the folder of assets is."""
    names = ("digits", "thumbnails", "photographs") if place.config == "local" else ("digits",)
    return [cell for name in names for cell in _cells(scale, name)]


def _cells(scale: Scale, name: str) -> list[Cell]:
    size = SIZES[scale][name]
    common: dict[str, Any] = {"task": name, "n": size.n, "lessons": size.lessons}

    def cell(method: str, **facts: Any) -> Cell:
        need = NEEDS.get(method.split(" ")[0])
        # A library that is installed later makes another cell, so the row is worked out then.
        here: dict[str, Any] = {"library": need, "installed": installed(need)} if need else {}
        return Cell(name=f"{name} {method}", settings={**common, "way": method, **facts, **here})

    attacked = {"lessons": size.taught, "attacked": size.attacked}
    made = [cell(method, **attacked) for method in RELEASED]
    if name == "digits":
        made.append(cell("unlearnable", attacked=size.n))
        made += [cell("dp-sgd", epsilon=e, route="net") for e in EPSILONS]
        made += [cell("fhe net", count=size.nets, fine=False)]
    if name == "digits" and scale == "full":
        made += [cell("fhe net", count=max(size.nets // 10, 1), fine=True)]
    if name != "photographs":
        made += [cell("dp-head", epsilon=e, route="head") for e in EPSILONS]
        made += [cell("diffprivlib", epsilon=e, route="diffprivlib") for e in EPSILONS]
    made.append(cell("fhe head", count=size.heads))
    return made + [cell("polynomials", **facts) for facts in _degrees(scale, name)]


def _degrees(scale: Scale, name: str) -> list[dict[str, Any]]:
    if scale == "quick":
        return [{"degree": degree, "fit": "least-squares", "follow": True} for degree in (3, 9)]
    whole = range(2, 10)
    nodes: Sequence[int] = whole if name != "photographs" else (2, 3, 5, 7, 9)
    fits: list[tuple[str, bool, Sequence[int]]] = [
        ("least-squares", True, whole),
        ("chebyshev", True, nodes),
    ]
    if name == "thumbnails":
        fits.append(("least-squares", False, (3, 5, 7)))
    many = SIZES[scale][name].fitted
    return [
        {
            "degree": d,
            "fit": f,
            "follow": w,
            **({"n": many} if many and f == "least-squares" else {}),
        }
        for f, w, degrees in fits
        for d in degrees
    ]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """One row's records; where a library is missing the row says so."""
    held: Mapping[str, Any] = cell.settings
    with torch_threads(1):
        on = task(place, held["task"], held["n"], held["lessons"])
        try:
            return _work(on, held, place)
        except MissingExtra as error:
            row = Row(task=on, method=held["way"], guarantee="not run")
            return [row.reason("authorized", str(error))]


def _work(on: Task, held: Mapping[str, Any], place: Place) -> list[Record]:
    way, judged = held["way"], held.get("attacked", 0)
    if way in ("nte-spectral", "nte-deep"):
        return release.recoded(on, judged, way.removeprefix("nte-"))
    if way == "polynomials":
        return compute.polynomial(on, held["degree"], held["fit"], held["follow"])
    if way == "fhe head":
        return compute.encrypted_head(on, held["count"])
    if way == "fhe net":
        return compute.encrypted_net(
            on, held["count"], FINE_PARAMETERS if held["fine"] else NET_PARAMETERS
        )
    if "route" in held:
        return hidden.private(on, place, held["epsilon"], held["route"])
    files = {
        "clean": release.clean, "aes": release.encrypted, "scramble": release.scrambled,
        "gaussian": release.noisy, "unlearnable": release.poisoned,
    }  # fmt: skip
    return files[way](on, judged)


STUDY = Study(
    name="table3",
    title="Ways to restrict the use of data, side by side",
    source="paper, Table 3 and its cost claims",
    cells=cells,
    work=work,
    view=view,
    alone=True,
)
