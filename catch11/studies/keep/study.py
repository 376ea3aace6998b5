"""The page to choose a keep from: use, third parties, the licensee beyond the licence, and cost."""

from collections.abc import Mapping, Sequence
from functools import partial

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies.frame import Scale, Study
from catch11.studies.keep.beyond import pictures, questions
from catch11.studies.keep.third import filtered, plain, taught
from catch11.studies.keep.use import cost, utility
from catch11.studies.place import Place
from catch11.studies.tables import pivot, setting
from catch11.studies.trial import Trial

# Pictures that are judged, files to learn from, files of which pictures are restored.
EFFORT: Mapping[Scale, Mapping[str, tuple[int, int, int]]] = {
    "quick": {"thumbnails": (100, 300, 40), "photographs": (24, 0, 8)},
    "full": {"thumbnails": (500, 2000, 100), "photographs": (100, 400, 40)},
}
ROWS: Mapping[Scale, Mapping[str, tuple[str, ...]]] = {
    "quick": {"thumbnails": ("originals", "answer", "scores", "features", "all"), "photographs": ("originals", "answer", "all")},
    "full": dict.fromkeys(("thumbnails", "photographs"), ("originals", "answer", "scores", "features", "all")),
}  # fmt: skip
PUPILS = {"thumbnails": ("resnet32", "patch-twin"), "photographs": ("lite0", "squeezenet", "dense")}
PARTS = ("use", "third parties", "licensee")


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Three cells a keep and family; those of one keep stand together, for they share its files."""
    return [
        Cell(name=f"{family}, {keep}, {part}", settings={
            "family": family, "authorized": place.names(family)[0], "keep": keep, "of": part,
            "method": "spectral" if keep == "all" else "deep",
            "n": EFFORT[scale][family][0], "training": EFFORT[scale][family][1], "scale": scale,
        })
        for family in ("thumbnails", "photographs")
        for keep in ROWS[scale][family]
        for part in PARTS
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """One part of one keep; without files to learn from, what needs none."""
    trial = Trial.of(cell, place)
    scale: Scale = "full" if cell.settings["scale"] == "full" else "quick"
    training, part = int(str(cell.settings["training"])), cell.settings["of"]
    _, _, restored = EFFORT[scale][trial.family]
    if place.config == "digits":
        training = min(training, 48)
    lessons = Trial.of(cell, place, n=training, part="train") if training else None
    if part == "use":
        return cost(trial) if lessons is None else utility(trial, lessons)
    if part == "third parties":
        more = (
            []
            if lessons is None
            else taught(trial, lessons, scale=scale, pupils=PUPILS[trial.family])
        )
        return [*plain(trial), *filtered(trial, training=training or 60), *more]
    more = [] if lessons is None else questions(trial, lessons)
    return [*pictures(trial, training=training or 60, scale=scale, count=restored), *more]


def _text(record: Record) -> str:
    return str(record.settings["shown"])


STUDY = Study(
    name="keep",
    title="What a file keeps, and from whom",
    source="ours",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"pictures": setting("family"), "measured": _text},
        column=setting("keep"),
        caption="shares, AUC of questions (.5 is chance), nats, dB; each with its 95 % interval",
    ),
    minutes=90,
)
