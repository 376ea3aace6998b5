"""Domain shift: a key holds weights, no data, so a release of pictures the model never learned should
still be answered as its source is. Agreement with each model's own clean answer."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from rich.console import RenderableType

from catch11.canvas.grid import psnr
from catch11.data.fields import random_fields
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Record
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.answers import answers
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Pictures, Place
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import STRENGTH, Trial

FAMILY = "photographs"
DOMAINS = ("own", "thumbnails", "digits", "noise")
_NOTE = {"own": "own data", "thumbnails": "CIFAR-10, enlarged", "digits": "digits, enlarged",
         "noise": "1/f noise"}  # fmt: skip


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    n = {"quick": 60, "full": 300}[scale]
    owner = place.names(FAMILY)[0]
    facts: dict[str, Value] = {"family": FAMILY, "authorized": owner, "n": n}
    return [Cell(name=domain, settings={**facts, "domain": domain}) for domain in DOMAINS]


def windows_of(trial: Trial, domain: str) -> torch.Tensor:
    """Clean windows of a domain, as the authorized model sees them."""
    canvas = trial.model.canvas
    if domain == "noise":
        return random_fields(canvas.shape, trial.n, generator=torch.Generator().manual_seed(11))
    place = Place(config="digits") if domain == "digits" else trial.place
    family = "thumbnails" if domain == "thumbnails" else FAMILY
    shown: Pictures = place.pictures(family, trial.n)
    return shown.windows(canvas)


def work(cell: Cell, place: Place) -> Sequence[Record]:
    trial = Trial.of(cell, place)
    clean = windows_of(trial, str(cell.settings["domain"]))
    recoder = SpectralRecoder(trial.key, psnr=STRENGTH[trial.kind])
    made = [recoder(part) for part in clean.split(16)]
    released = torch.cat([part.images for part in made])
    shifts = [shift for part in made for shift in part.front_shift if shift < float("inf")]
    decibels = psnr(released, clean)
    records = []
    for name in place.names(FAMILY):
        reader = place.model(FAMILY, name)
        own = answers(reader, trial.model, clean)
        same = (answers(reader, trial.model, released) == own).tolist()
        share = accuracy(same)
        settings = {"front shift": sum(shifts) / max(1, len(shifts)), "answers": len(own.unique())}
        records.append(
            Record(
                model=name, role=trial.role(name), condition="nte", metric="agreement",
                value=share.estimate, low=share.low, high=share.high, n=len(same), seed=0,
                psnr=float(decibels[torch.isfinite(decibels)].mean()), settings=settings,
            )
        )  # fmt: skip
    return records


def view(records: Sequence[Record]) -> RenderableType:
    shown = [replace(r, settings={**r.settings, "domain": _domain(r)}) for r in records]
    return pivot(
        shown,
        row={"pictures": setting("domain")},
        column=model,
        caption="same answer as to the clean picture; answers: classes the clean pictures get",
    )


def _domain(record: Record) -> str:
    facts = record.settings
    return f"{_NOTE[str(facts['domain'])]}, {record.psnr:.1f} dB, shift {facts['front shift']:.3f}"


STUDY = Study(
    name="domains",
    title="Pictures the authorized model never learned",
    source="domain shift",
    cells=cells,
    work=work,
    view=view,
    minutes=5,
)
