"""Figure 1: what each strength of noise costs the authorized model and its rivals, several targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Condition, Record
from catch11.lab import needed
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

STRENGTHS: Mapping[Scale, Mapping[str, tuple[float, ...]]] = {
    "quick": {"thumbnails": (20.0, 16.0, 14.0, 12.0), "photographs": (20.0, 14.0, 10.0, 7.0)},
    "full": dict.fromkeys(
        ("photographs", "thumbnails"), (40.0, 30.0, 20.0, 16.0, 14.0, 12.0, 10.0, 7.0)
    ),
}
IMAGES: Mapping[Scale, Mapping[str, int]] = {
    "quick": {"photographs": 60, "thumbnails": 300},
    "full": {"photographs": 100, "thumbnails": 1000},
}
CONDITIONS: tuple[Condition, ...] = ("nte", "gaussian")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Quick: one target a family; full: all."""
    rows: list[Cell] = []
    for family, strengths in STRENGTHS[scale].items():
        owners = place.names(family) if scale == "full" else place.names(family)[:1]
        rows += strength_cells(family, owners, strengths, n=IMAGES[scale][family])
    return rows


def strength_cells(
    family: str, owners: Sequence[str], strengths: Sequence[float], *, n: int
) -> list[Cell]:
    """A cell an owner and strength."""
    return [
        Cell(name=f"{family}: {owner} at {psnr:g} dB", settings={
            "family": family, "authorized": owner, "psnr": psnr, "n": n,
        })
        for owner in owners
        for psnr in strengths
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    return Trial.of(cell, place).records(("clean", *CONDITIONS))


def view(records: Sequence[Record]) -> RenderableType:
    """A row a target, reader and condition; a column a strength asked for."""
    shown = [r for r in records if r.condition in CONDITIONS]
    names = {"nte": "released", "gaussian": "Gaussian"}
    return pivot(
        shown,
        row={"released for": setting("authorized"), "what": lambda r: names[r.condition],
             "read by": model},
        column=lambda r: f"{float(str(r.settings['psnr'])):g} dB",
        caption="accuracy by the PSNR asked for; what the files have is in the records",
    )  # fmt: skip


def draw(records: Sequence[Record], place: Place, path: Path) -> None:
    Figure = needed("matplotlib.figure").Figure

    targets = list(dict.fromkeys((r.settings["family"], r.settings["authorized"]) for r in records))
    figure = Figure(figsize=(4.6 * len(targets), 3.8), layout="constrained")
    for axes, target in zip(
        figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True
    ):
        rows = [r for r in records if (r.settings["family"], r.settings["authorized"]) == target]
        for place_, name in enumerate(dict.fromkeys(r.model for r in rows)):
            for condition, style in (("nte", "-o"), ("gaussian", ":")):
                points = [r for r in rows if r.model == name and r.condition == condition]
                points = sorted(points, key=lambda r: r.psnr or 0.0)
                values = [r.value for r in points]
                reach = (
                    [max(0.0, r.value - r.low) for r in points],
                    [max(0.0, r.high - r.value) for r in points],
                )
                axes.errorbar(
                    [r.psnr for r in points], values, yerr=reach, fmt=style, markersize=4,
                    color=f"C{place_}", alpha=1.0 if condition == "nte" else 0.5,
                    label=model(points[0]) if condition == "nte" else None,
                )  # fmt: skip
        axes.set(xlabel="PSNR of the files, dB", ylabel="accuracy", ylim=(-0.02, 1.02))
        axes.set_title(f"released for {target[1]} (dotted: Gaussian)", fontsize=9)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


STUDY = Study(
    name="figure1",
    title="Strength against use, several targets",
    source="paper, Figure 1",
    cells=cells,
    work=work,
    view=view,
    draw=draw,
    minutes=20,
)
