"""Table 9: rivals adapted with labelled releases, fine-tuned and trained anew, over a sweep of learning
rates and epochs, and a linear front learned for a rival with frozen weights: all of it as it was, or with
batch norms that take the files' statistics (and dropout on). Beside it the same on Gaussian noise of the same strength.
Training on releases for use on clean pictures is a study of its own."""

from collections.abc import Sequence
from functools import partial

from catch11.attacks.adaptation import FineTune, LearnedFront, Sweep
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies.assault import assault
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.table8 import named
from catch11.studies.tables import model, pivot, setting
from catch11.studies.trial import Trial

FAMILY = "thumbnails"
METHODS = ("spectral", "deep", "gaussian")
ATTACKERS = ("fine-tune", "linear front, rival frozen", "linear front, statistics adapt")
# Pictures judged and learned from; learning rates; epochs.
Effort = tuple[int, int, str, str]
EFFORT: dict[Scale, Effort] = {
    "quick": (200, 400, "0.001", "4"),
    "full": (1000, 1000, "0.0003,0.001,0.003", "3,10"),
}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    return adapted_cells(EFFORT[scale], FAMILY, place.names(FAMILY)[0])


def adapted_cells(effort: Effort, family: str, owner: str, *, before: str = "") -> list[Cell]:
    """A cell an attacker and method, of releases for `owner`. before: of the cells' names."""
    n, training, rates, epochs = effort
    return [
        Cell(name=f"{before}{method}: {attack}", settings={
            "family": family, "authorized": owner, "method": method, "n": n,
            "training": training, "rates": rates, "epochs": epochs, "attacker": attack,
        })
        for attack in ATTACKERS
        for method in METHODS
    ]  # fmt: skip


def work(cell: Cell, place: Place, *, rivals: Sequence[str] = ()) -> Sequence[Record]:
    """rivals: the attackers, all others of the family where none is named."""
    rates = tuple(float(rate) for rate in str(cell.settings["rates"]).split(","))
    epochs = tuple(int(count) for count in str(cell.settings["epochs"]).split(","))
    training = int(str(cell.settings["training"]))
    if place.config == "digits":
        epochs, training = (1,), 60
    both = Sweep(rates=rates, epochs=epochs, seconds=1800.0, batch=32)
    tuned = Sweep(rates=rates, epochs=epochs, seconds=1800.0, batch=32, starts=("pretrained",))
    kinds = (
        FineTune(both),
        LearnedFront(tuned, rivals=("frozen",)),
        LearnedFront(tuned, rivals=("adapting",)),
    )
    attack = kinds[ATTACKERS.index(str(cell.settings["attacker"]))]
    return assault(Trial.of(cell, place), (attack,), training=training, rivals=rivals)


def attacker(record: Record) -> str:
    """Who adapted what, or what the files are without an attack."""
    return str(record.settings["attacker"]) if record.attack else named(record)


STUDY = Study(
    name="table9",
    title="Adapted rivals",
    source="paper, Table 9",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"attack": attacker, "read by": model},
        column=setting("method"),
        caption="accuracy, best of the sweep, which favours the attacker; statistics: of batch norms",
    ),
    minutes=28,
)
