"""Who reads a release, by each way of making it: the published recoder as it is, its noise on files,
and ours. Shared by the studies of other models and of other weights."""

from collections.abc import Iterator, Sequence

import torch
from rich.console import Group, RenderableType

from catch11.baselines import published
from catch11.canvas.grid import psnr
from catch11.errors import EmptySubspace
from catch11.evaluation.cells import Cell
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot
from catch11.studies.trial import Trial

NOMINAL = 20.0  # dB, the paper's
METHODS = ("published, nominal 20", "published as a file", "clipped", "spectral", "deep")
_NAMES = {"clean": "clean", "nte": "released", "gaussian": "Gaussian", "control": "zero noise"}
CAPTION = (
    "accuracy and Wilson's 95 % interval; Gaussian: noise of the same PSNR. published, nominal: "
    "floats, peak 255 on normalised values, the authorized stem replaced. as a file: the same "
    "directions, one draw for all patches, clipped to 8 bits at a true PSNR. clipped: drawn anew "
    "for each patch, clipped. spectral, deep: this package, in the box"
)


def cross(cell: Cell, place: Place, *, models: Sequence[str] = ()) -> list[Record]:
    """A record a model and condition; one that says why, where the method cannot work here. models: the
    readers, all of the family where none is named."""
    nominal = cell.settings["method"] == METHODS[0]
    trial = Trial.of(cell, place, **({"method": "gaussian"} if nominal else {}))
    try:
        return (
            list(as_published(trial, NOMINAL, models)) if nominal else trial.records(models=models)
        )
    except (EmptySubspace, published.NoStem) as error:
        return [_refused(trial, str(error))]


def _refused(trial: Trial, reason: str) -> Record:
    nothing = accuracy(())
    return Record(
        model=trial.authorized, role="authorized", condition="nte", metric="accuracy",
        value=nothing.estimate, low=nothing.low, high=nothing.high, n=0,
        settings={"reason": reason},
    )  # fmt: skip


def as_published(trial: Trial, nominal: float, models: Sequence[str] = ()) -> Iterator[Record]:
    """The published recoder, and Gaussian noise of the same mean square, on normalised floats: each
    model in its own preprocessing, the authorized one through its replaced stem."""
    clean, truth = trial.clean, trial.truth
    layer = published.stem(trial.model)
    generator = torch.Generator().manual_seed(0)
    inside = published.insensitive(layer, least=trial.least)
    deltas = published.patch_noise(inside, nominal, count=len(clean), generator=generator)
    moved = published.folded(layer, deltas, tuple(clean.shape[1:]))
    noise = torch.randn(moved.shape, generator=generator) * moved.square().mean().sqrt()
    pixels = moved / torch.tensor(trial.model.canvas.gain)[:, None, None]
    decibels = float(psnr(clean + pixels, clean).mean())
    for name in models or trial.place.names(trial.family):
        reader = trial.place.model(trial.family, name)
        values = reader.canvas.normalise(clean)
        conditions: tuple[tuple[Condition, torch.Tensor | None], ...] = (
            ("clean", None), ("nte", moved), ("gaussian", noise),
        )  # fmt: skip
        for condition, added in conditions:
            if added is None:
                hits = trial.hits(name, "clean")
            else:
                own = name == trial.authorized and condition == "nte"
                logits = (
                    published.authorized_logits(reader, values, deltas)
                    if own
                    else reader.logits(values + added)
                )
                hits = tuple((logits.argmax(1) == truth).tolist())
            strength = None if added is None else decibels
            yield trial.judged(
                name, hits, condition=condition, psnr=strength, settings={"nominal": nominal}
            )


def crossing_view(records: Sequence[Record]) -> RenderableType:
    """One table an authorized model: a row a method and reader, a column a condition."""
    parts: list[RenderableType] = []
    for owner in dict.fromkeys(str(r.settings["authorized"]) for r in records):
        rows = [r for r in records if r.settings["authorized"] == owner]
        made = [r for r in rows if r.n and r.psnr is not None and r.condition == "nte"]
        strength = {str(r.settings["method"]): f"{r.psnr:.1f} dB" for r in made}

        def method(record: Record, strength: dict[str, str] = strength) -> str:
            name = str(record.settings["method"])
            return f"{name}, {strength.get(name, 'refused')}"

        labels = {f"for {owner}": method, "read by": model}
        parts.append(pivot(rows, row=labels, column=lambda r: _NAMES[r.condition]))
        parts += [
            f"[dim]{r.settings['method']}: {r.settings['reason']}[/]" for r in rows if not r.n
        ]
        parts.append("")
    return Group(*parts, f"[dim]{CAPTION}[/]")


def crossing_cells(family: str, pairs: Sequence[tuple[str, str]], *, n: int) -> Sequence[Cell]:
    """A cell an authorized model and method."""
    return [
        Cell(name=f"{owner}, {method}", settings={
            "family": family, "authorized": owner, "method": method, "n": n,
        })
        for owner, method in pairs
    ]  # fmt: skip
