"""Table 8: trained restoration. Noise2Noise, Noise2Clean and an attacker who knows the front, each with a residual net
and with a U-Net, against releases and, as a control, against Gaussian noise of the same strength."""

from collections.abc import Sequence
from functools import partial

from catch11.attacks.nets import Training
from catch11.attacks.restoration import NoiseToClean, NoiseToNoise, WhiteBoxRestoration
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies.assault import assault
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

# Pictures judged and learned from, steps of a training, side of what it sees of a picture.
EFFORT = {
    "quick": {"thumbnails": (200, 400, 150, 32), "photographs": (60, 200, 250, 64)},
    "full": {"photographs": (100, 200, 600, 64), "thumbnails": (1000, 3000, 1500, 32)},
}
METHODS = ("spectral", "gaussian", "deep")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Quick leaves out deep photographs: two hundred lessons of them take minutes to make."""
    rows = []
    for family, (n, training, steps, crop) in EFFORT[scale].items():
        for method in METHODS:
            if (scale, family, method) == ("quick", "photographs", "deep"):
                continue
            rows.append(
                Cell(name=f"{family}: {method}", settings={
                    "family": family, "authorized": place.names(family)[0], "method": method,
                    "n": n, "training": training, "steps": steps, "crop": crop,
                })
            )  # fmt: skip
    return rows


def work(cell: Cell, place: Place) -> Sequence[Record]:
    steps, crop = (int(str(cell.settings[name])) for name in ("steps", "crop"))
    training = Training(steps=steps, crop=crop, width=16, seconds=1800.0)
    attacks = (NoiseToClean(training), NoiseToNoise(training), WhiteBoxRestoration(training))
    trial = Trial.of(cell, place)
    if place.config == "digits":
        attacks = tuple(type(a)(Training(steps=5, batch=4, width=4)) for a in attacks)  # type: ignore[assignment]
    return assault(trial, attacks, training=int(str(cell.settings["training"])))


def named(record: Record) -> str:
    """The attack, or what the files are without one."""
    return record.attack or {"clean": "(clean pictures)", "nte": "none"}[record.condition]


STUDY = Study(
    name="table8",
    title="Trained restoration",
    source="paper, Table 8",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"files": setting("method"), "attack": named, "read by": model},
        column=lambda r: f"for {r.settings['authorized']}, n = {r.n}",
        caption="accuracy, the better of a residual net and a U-Net; white-box: knows the front and simulates spectral pairs",
    ),
    minutes=40,
)
