"""The paper's five families, each with two sets of weights: Tables 1 and 2 in one, for a release for one
net is read by the other families and by the same family with other weights.

    python -m catch11.studies.families --assets DIR [--epochs N] [--seeds 1|2] [--full]

trains what is missing (resumable, kept in the user's cache), then works this study out and the two that
use the same nets.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console

from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Condition, Record
from catch11.studies.crossing import METHODS, cross
from catch11.studies.frame import Scale, Study, run_study, study_of
from catch11.studies.nets.families import EPOCHS, train_families
from catch11.studies.place import FAMILIES, TWIN, Place, Unavailable, trained_net
from catch11.studies.tables import Pivot, interval_text, pivot, setting
from catch11.studies.trial import Trial

FAMILY = "families"
STUDIES = ("families", "families_adapted", "families_strength", "families_swin")
PICTURES = {"quick": 200, "full": 1000}
BORNE = "spectral, borne"
SEALED = "sealed"
TRAINED = "{families}/"  # before the names of nets in the cache
WEIGHTS = "model.safetensors"
# How files are made: what a trial is told of it.
WAYS: dict[str, dict[str, Value]] = {
    "published, nominal 20 dB": {"method": METHODS[0]},
    "published, as a file, 10 dB": {"method": METHODS[1], "psnr": 10.0},
    "spectral, 20 dB": {"method": "spectral", "psnr": 20.0},
    "spectral, 15 dB": {"method": "spectral", "psnr": 15.0},
    "spectral, 10 dB": {"method": "spectral", "psnr": 10.0},
    BORNE: {"method": "spectral"},
    "deep, keep answer": {"method": "deep"},
    "deep, keep features": {"method": "deep", "keep": "features"},
    SEALED: {"method": "spectral", "psnr": 10.0},
}
# Strengths tried for the one a net bears, strongest first; points it may lose, on other pictures.
STRENGTHS = (7.0, 8.0, 10.0, 12.0, 13.5, 15.0, 17.0, 20.0, 25.0, 30.0)
LOSS = 0.01


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Every owner and way."""
    return [
        Cell(name=f"{owner}, {way}", settings={
            "family": FAMILY, "authorized": owner, "how": way, "n": PICTURES[scale],
            "weights": weights(place), **WAYS[way],
        })
        for way in WAYS
        for owner in owners(place)
    ]  # fmt: skip


def owners(place: Place) -> tuple[str, ...]:
    """The nets that files are made for: a family's first weights."""
    return tuple(name for name in at_hand(place) if not name.endswith(TWIN))


def at_hand(place: Place) -> tuple[str, ...]:
    """The nets that are there, all where none is, so that the study says how to make them."""
    names = place.names(FAMILY)
    return tuple(name for name in names if _there(place, name)) or names


def weights(place: Place) -> str:
    """Sixteen hex digits of the trained nets at hand: others are other cells."""
    whole = hashlib.sha256()
    for name in place.names(FAMILY):
        if place.config == "local" and _there(place, name):
            _, _, folder = FAMILIES["local"][FAMILY][name].rpartition("/")
            whole.update(name.encode() + (trained_net(folder) / WEIGHTS).read_bytes())
    return whole.hexdigest()[:16]


def _there(place: Place, name: str) -> bool:
    """Whether a net was trained; of a hub's, whether what loads it is installed."""
    kind, _, path = FAMILIES[place.config][FAMILY][name].partition(":")
    if kind == "timm":
        return find_spec("timm") is not None
    try:
        return not path.startswith(TRAINED) or bool(trained_net(path.removeprefix(TRAINED)))
    except Unavailable:
        return False


def work(cell: Cell, place: Place) -> Sequence[Record]:
    how, names = cell.settings["how"], at_hand(place)
    place.model(FAMILY, str(cell.settings["authorized"]))  # says first what is not there
    if how == SEALED:
        licensee, others = (Trial.of(cell, place, keep=keep) for keep in ("opened", "sealed"))
        rest = [name for name in names if name != licensee.authorized]
        which: tuple[Condition, ...] = ("clean", "nte", "gaussian")
        return [
            *licensee.records(which, models=(licensee.authorized,)),
            *others.records(which, models=rest),
        ]
    if how == BORNE:
        strength = borne(place, str(cell.settings["authorized"]), int(cell.settings["n"] or 1))
        cell = replace(cell, settings={**cell.settings, "psnr": strength})
    return cross(cell, place, models=names)


@lru_cache(maxsize=16)
def borne(place: Place, owner: str, n: int) -> float:
    """dB of the strongest spectral release that costs the net `LOSS` at most, on training pictures."""
    for strength in STRENGTHS:
        trial = Trial(
            place=place, family=FAMILY, authorized=owner, n=min(n, 200), psnr=strength, part="train"
        )
        kept, clean = (sum(trial.hits(owner, which)) for which in ("nte", "clean"))
        if kept >= clean - LOSS * trial.n:
            break
    return strength


CONDITIONS = {"nte": "released", "gaussian": "Gaussian noise of that PSNR"}


def view(records: Sequence[Record]) -> Pivot:
    """A part a way; a row an owner and what it is read from; a column a reader."""
    clean = [r for r in records if r.condition == "clean"]
    shown = [
        *(r for r in clean if r.settings["how"] == clean[0].settings["how"]),
        *(r for r in records if r.condition in CONDITIONS),
    ]
    strength = {
        (r.settings["how"], r.settings["authorized"]): f" at {r.psnr:.1f} dB"
        for r in shown if r.condition == "nte" and r.psnr is not None
    }  # fmt: skip

    def owner(record: Record) -> str:
        if record.condition == "clean":
            return "any"
        name = setting("authorized")(record)
        return name + strength.get((record.settings["how"], name), "")

    return pivot(
        shown,
        row={
            "files": lambda r: "clean" if r.condition == "clean" else setting("how")(r),
            "released for": owner,
            "what": lambda r: CONDITIONS.get(r.condition, "clean"),
        },
        column=lambda r: r.model,
        cell=lambda r: interval_text(r) if r.n else "refused: no null space",
        caption="accuracy by reader, with its 95 % interval; a twin is the same family with other "
        "weights; PSNR of the files, peak 1, and of the published floats as pixels; borne: the "
        f"strongest that cost {LOSS:.0%} at most on other pictures",
    )


def main() -> None:
    """Train what is missing, then run the studies and print their tables."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--assets", type=Path, required=True)
    ask.add_argument("--out", type=Path, default=Path("studies"))
    ask.add_argument("--epochs", type=int, default=EPOCHS)
    ask.add_argument("--seeds", type=int, choices=(1, 2), default=2)
    ask.add_argument("--full", action="store_true")
    ask.add_argument("--only-train", action="store_true", help="leave the studies for later")
    given = ask.parse_args()
    torch.set_num_threads(1)  # small nets: more threads wait for each other
    place, console = Place(assets=given.assets), Console()
    train_families(place, epochs=given.epochs, seeds=range(given.seeds), say=console.print)
    for name in () if given.only_train else STUDIES:
        done = run_study(
            study_of(name), place, scale="full" if given.full else "quick", out=given.out
        )
        console.print(done.study.view(done.records))


STUDY = Study(
    name="families",
    title="Five families, two sets of weights each: who reads a release",
    source="paper, Tables 1 and 2",
    cells=cells,
    work=work,
    view=view,
    minutes=90,
)

if __name__ == "__main__":
    main()
