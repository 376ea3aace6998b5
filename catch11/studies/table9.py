"""Table 9: rivals adapted with labelled releases, fine-tuned and trained anew, over a sweep of learning
rates and epochs; a learned linear front; and training on releases for use on clean pictures. Beside
it the same on Gaussian noise of the same strength."""

from collections.abc import Sequence

from rich.console import RenderableType

from catch11.attacks.adaptation import FineTune, LearnedFront, Sweep
from catch11.attacks.training_use import TrainingUse
from catch11.cells import Cell
from catch11.record import Record
from catch11.studies.assault import assault
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.table8 import named
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

FAMILY = "thumbnails"
METHODS = ("spectral", "deep", "gaussian")
# Pictures judged and learned from; learning rates; epochs.
EFFORT = {
    "quick": (200, 400, "0.001", "4"),
    "full": (1000, 3000, "0.0003,0.001,0.003", "3,10"),
}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    n, training, rates, epochs = EFFORT[scale]
    return [
        Cell(name=f"{method}: {attack}", settings={
            "family": FAMILY, "authorized": place.names(FAMILY)[0], "method": method, "n": n,
            "training": training, "rates": rates, "epochs": epochs, "attacker": attack,
        })
        for attack in ("fine-tune", "training-use", "learned-front")
        for method in METHODS
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    rates = tuple(float(rate) for rate in str(cell.settings["rates"]).split(","))
    epochs = tuple(int(count) for count in str(cell.settings["epochs"]).split(","))
    training = int(str(cell.settings["training"]))
    if place.config == "digits":
        epochs, training = (1,), 60
    both = Sweep(rates=rates, epochs=epochs, seconds=1800.0, batch=32)
    tuned = Sweep(rates=rates, epochs=epochs, seconds=1800.0, batch=32, starts=("pretrained",))
    anew = Sweep(rates=rates, epochs=epochs, seconds=1800.0, batch=32, starts=("scratch",))
    kinds = {
        "fine-tune": FineTune(both),
        "learned-front": LearnedFront(tuned),
        "training-use": TrainingUse(anew),
    }
    return assault(
        Trial.of(cell, place), (kinds[str(cell.settings["attacker"])],), training=training
    )


def view(records: Sequence[Record]) -> RenderableType:
    return pivot(
        records,
        row={"attack": named, "read by": model},
        column=setting("method"),
        caption=(
            "accuracy, best of the sweep on these same files; training-use: trained anew on releases, "
            "judged on clean pictures"
        ),
    )


STUDY = Study(
    name="table9",
    title="Adapted rivals",
    source="paper, Table 9",
    cells=cells,
    work=work,
    view=view,
)
