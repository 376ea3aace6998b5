"""Table 8: trained restoration. Noise2Noise, Noise2Clean and an attacker who knows the front, against
releases and, as a control, against Gaussian noise of the same strength."""

from collections.abc import Sequence

from rich.console import RenderableType

from catch11.attacks.nets import Training
from catch11.attacks.restoration import NoiseToClean, NoiseToNoise, WhiteBoxRestoration
from catch11.cells import Cell
from catch11.record import Record
from catch11.studies.assault import assault
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

# Pictures judged and learned from, and steps of a training.
EFFORT = {
    "quick": {"thumbnails": (200, 400, 150)},
    "full": {"photographs": (100, 200, 1500), "thumbnails": (1000, 3000, 3000)},
}
METHODS = ("spectral", "gaussian", "deep")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Quick is of thumbnails: a net that restores photographs takes minutes to train."""
    rows = []
    for family, (n, training, steps) in EFFORT[scale].items():
        for method in METHODS:
            rows.append(
                Cell(name=f"{family}: {method}", settings={
                    "family": family, "authorized": place.names(family)[0], "method": method,
                    "n": n, "training": training, "steps": steps,
                })
            )  # fmt: skip
    return rows


def work(cell: Cell, place: Place) -> Sequence[Record]:
    training = Training(steps=int(str(cell.settings["steps"])), width=16, seconds=1800.0)
    attacks = (NoiseToClean(training), NoiseToNoise(training), WhiteBoxRestoration(training))
    trial = Trial.of(cell, place)
    if place.config == "digits":
        attacks = tuple(type(a)(Training(steps=5, batch=4, width=4)) for a in attacks)  # type: ignore[assignment]
    return assault(trial, attacks, training=int(str(cell.settings["training"])))


def view(records: Sequence[Record]) -> RenderableType:
    return pivot(
        records,
        row={"files": setting("method"), "attack": named, "read by": model},
        column=lambda r: f"for {r.settings['authorized']}, n = {r.n}",
        caption="accuracy, best try; white-box: knows the front and simulates spectral pairs",
    )


def named(record: Record) -> str:
    """The attack, or what the files are without one."""
    return record.attack or {"clean": "(clean pictures)", "nte": "none"}[record.condition]


STUDY = Study(
    name="table8",
    title="Trained restoration",
    source="paper, Table 8",
    cells=cells,
    work=work,
    view=view,
)
