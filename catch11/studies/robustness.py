"""§5.3: what cropping, JPEG, resizing and blur leave of clean and of released pictures. Real codecs and
real crops, enlarged to the window again; every change is tried on the clean picture too."""

from collections.abc import Sequence
from functools import partial

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.recoding.codecs import survival
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

CHANGES = {
    "quick": ("crop:0.9", "crop:0.6", "jpeg:75", "blur:1"),
    "full": ("crop:0.9", "crop:0.8", "crop:0.7", "crop:0.6", "jpeg:95", "jpeg:90", "jpeg:85",
             "jpeg:75", "resize:0.75", "resize:0.5", "blur:0.5", "blur:1", "blur:2"),
}  # fmt: skip
IMAGES = {"quick": {"thumbnails": 200, "photographs": 60}, "full": {"photographs": 150, "thumbnails": 1000}}  # fmt: skip
SOURCES = ("clean", "spectral", "deep")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Every change of clean, spectral and deep pictures, for the first model of each family."""
    return changed_cells(CHANGES[scale], place, IMAGES[scale])


def changed_cells(changes: Sequence[str], place: Place, images: dict[str, int]) -> Sequence[Cell]:
    """A cell a family and source, with all changes, so that a release is made once."""
    return [
        Cell(name=f"{family}: {source}", settings={
            "family": family, "authorized": place.names(family)[0], "source": source, "n": n,
            "changes": ",".join(changes),
        })
        for family, n in images.items()
        for source in SOURCES
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    source = str(cell.settings["source"])
    trial = Trial.of(cell, place, method="deep" if source == "deep" else "spectral")
    windows = trial.clean if source == "clean" else trial.made.windows
    records = [trial.record(name, "clean" if source == "clean" else "nte") for name in place.names(trial.family)]  # fmt: skip
    for change in survival(str(cell.settings["changes"])):
        changed = change.real(windows, 1.0)
        quality = trial.quality(changed)
        for name in place.names(trial.family):
            hits = (trial.read(name, changed) == trial.truth).tolist()
            records.append(
                trial.judged(
                    name, hits, condition="attack", attack=change.name,
                    knowledge=("released",), quality=quality,
                )
            )  # fmt: skip
    return records


view = partial(
    pivot,
    row={"for": setting("authorized"), "pictures": setting("source"), "read by": model},
    column=lambda r: r.attack or "as they are",
    caption="accuracy; crop: the middle share of each side, enlarged; blur: deviation in pixels",
)

STUDY = Study(
    name="robustness",
    title="What crops, codecs, resizing and blur leave",
    source="paper, §5.3",
    cells=cells,
    work=work,
    view=view,
    minutes=13,
)
