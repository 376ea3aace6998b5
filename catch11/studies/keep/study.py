"""The page to choose a keep from: use, third parties, the licensee beyond the licence, and cost."""

from collections.abc import Mapping, Sequence

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.models.stages import stages
from catch11.studies.frame import Scale, Study
from catch11.studies.keep.beyond import pictures, questions
from catch11.studies.keep.third import filtered, plain, taught
from catch11.studies.keep.use import utility
from catch11.studies.place import Place
from catch11.studies.tables import Pivot, pivot, setting
from catch11.studies.trial import Trial

# Pictures that are judged, files to learn from, files of which pictures are restored.
EFFORT: Mapping[Scale, Mapping[str, tuple[int, int, int]]] = {
    "quick": {"thumbnails": (100, 200, 24), "photographs": (40, 80, 8)},
    "full": {"thumbnails": (500, 2000, 100), "photographs": (100, 400, 40)},
}
ROWS: Mapping[Scale, Mapping[str, tuple[str, ...]]] = {
    "quick": {
        "thumbnails": ("originals", "answer", "scores", "features", "layer", "all", "sealed"),
        "photographs": ("originals", "answer", "scores", "features", "all", "sealed"),
    },
    "full": dict.fromkeys(
        ("thumbnails", "photographs"),
        ("originals", "answer", "scores", "features", "layer", "all", "sealed"),
    ),
}
# The layer that is kept, and within what: of ResNet-20 as near as a search comes; else the last stage but one.
LAYERS = {"thumbnails": ("layer3", 0.3)}
SPECTRAL = ("all", "sealed")  # what is sealed is the most that files can hold: all
PUPILS = {"thumbnails": ("resnet32", "patch-twin"), "photographs": ("lite0", "squeezenet", "dense")}
PARTS = ("use", "third parties", "licensee")
PUBLIC = 260  # and half as many: of 500 photographs 100 are judged


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Three cells a keep and family, two of sealed files; those of one keep stand together, for they share its files."""
    return [
        Cell(name=f"{family}, {keep}, {part}", settings={
            "family": family, "authorized": place.names(family)[0], "keep": keep, "of": part,
            "method": "spectral" if keep in SPECTRAL else "deep",
            "n": EFFORT[scale][family][0], "training": EFFORT[scale][family][1], "scale": scale,
        })
        for family in ("thumbnails", "photographs")
        for keep in ROWS[scale][family]
        for part in PARTS
        if (keep, part) != ("sealed", "licensee")  # as much as what was sealed
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """One part of one keep."""
    scale: Scale = "full" if cell.settings["scale"] == "full" else "quick"
    training, part = int(str(cell.settings["training"])), cell.settings["of"]
    if place.config == "digits":
        training = min(training, 48)
    changes = _changes(cell, place)
    trial = Trial.of(cell, place, **changes)
    _, _, restored = EFFORT[scale][trial.family]
    lessons = Trial.of(cell, place, n=training, part="train", **changes)
    if part == "use":
        return utility(trial, lessons)
    others = training
    if trial.family == "photographs" and place.config != "digits":
        others = min(others, PUBLIC)
    if part == "third parties":
        known = taught(trial, lessons, scale=scale, pupils=PUPILS[trial.family])
        return [*plain(trial), *filtered(trial, training=others), *known]
    seen = pictures(trial, training=others, scale=scale, count=restored)
    return [*seen, *questions(trial, lessons)]


def _changes(cell: Cell, place: Place) -> dict[str, object]:
    """What the cell's keep means of a trial: a layer by name, and sealed files as their licensee reads
    them."""
    keep = str(cell.settings["keep"])
    if keep == "layer":
        trial = Trial.of(cell, place)
        if trial.kind in LAYERS:
            name, tolerance = LAYERS[trial.kind]
            return {"keep": f"layer:{name}", "tolerance": tolerance}
        return {"keep": f"layer:{[*stages(trial.model)][-2]}"}
    if (keep, cell.settings["of"]) == ("sealed", "use"):
        return {"keep": "opened"}
    return {}


def _text(record: Record) -> str:
    return str(record.settings["shown"])


def _counted(records: Sequence[Record]) -> Pivot:
    """A row a measure, with how many pictures it is of, in all columns."""
    counts: dict[tuple[object, str], list[int]] = {}
    for one in records:
        counts.setdefault((one.settings["family"], _text(one)), []).append(one.n)

    def n(record: Record) -> str:
        found = counts[record.settings["family"], _text(record)]
        low, high = min(found), max(found)
        return str(low) if low == high else f"{low}-{high}"

    return pivot(
        records,
        row={"pictures": setting("family"), "measured": _text, "n": n},
        column=setting("keep"),
        caption="shares, AUC of questions (.5 is chance), nats, dB; n pictures; each with its 95 % interval; "
        "of thumbnails the layer is layer3 within .3",
    )


STUDY = Study(
    name="keep",
    title="What a file keeps, and from whom",
    source="ours",
    cells=cells,
    work=work,
    view=_counted,
    minutes=400,
)
