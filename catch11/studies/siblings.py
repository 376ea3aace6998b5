"""Fine-tuned siblings: how far weights may drift from the authorized ones before they lose the release,
and what a personalised copy changes about that.

One run of fine-tuning on other pictures gives a sibling at each drift of the first layer, which is tuned
faster than the rest, so that siblings go on reading clean pictures. Each reads deep NTEs of the public
model itself, and of a personalised copy of it.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.copies.personalize import make_copy
from catch11.evaluation.cells import Cell
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Record
from catch11.fronts.find import first_tensor
from catch11.fronts.fingerprint import module_fingerprint
from catch11.keys.key import build_key
from catch11.lab import needed
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import pivot, setting
from catch11.studies.trial import DIGITS_RADIUS, SECRET

Windows = Float[Tensor, "_ channel height width"]
DRIFTS = (0.0, 0.002, 0.008, 0.027)  # of the first layer, relative
# Adam's rate for the first layer on the way to each drift, and for the rest: where all of a model is
# tuned as fast, it forgets more than a drift of some percent costs (.62 left of .86).
RATES, REST = (0.0, 2e-5, 6e-5, 2e-4), 1e-5
IMAGES = {"quick": 60, "full": 300}
OTHERS, BATCH, MOST = 200, 8, 200  # pictures to tune on; a step's; steps at most
COPIED = {"public model": False, "personalised copy": True}


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """A release of either kind, read by every sibling."""
    return [
        Cell(name=f"{name}, drift {drift:.1%}", settings={
            "release for": name, "drift": drift, "n": IMAGES[scale],
        })
        for name in COPIED
        for drift in DRIFTS
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    name, count = str(cell.settings["release for"]), int(cell.settings["n"] or 0)
    reader, moved = siblings(place)[float(cell.settings["drift"] or 0.0)]
    clean, released, truth = _released(place, name, count)
    records = []
    for condition, windows in (("clean", clean), ("nte", released)):
        logits = reader.logits(reader.canvas.normalise(windows), batch=16)
        hits = logits.argmax(1) == truth
        share = accuracy(tuple(bool(hit) for hit in hits))
        records.append(
            Record(
                model=reader.name, role="sibling", condition=condition, metric="accuracy",  # type: ignore[arg-type]
                value=share.estimate, low=share.low, high=share.high, n=len(truth),
                model_fingerprint=reader.fingerprint,
                settings={"release for": name, "first layer moved": moved, "drift": cell.settings["drift"]},
            )
        )  # fmt: skip
    return records


def _public(place: Place) -> Model:
    return place.model("photographs", place.names("photographs")[0])


@lru_cache(maxsize=2)
def siblings(place: Place, kept: Path | None = None) -> dict[float, tuple[Model, float]]:
    """By drift asked for: the sibling and the drift it has. kept: a folder to keep their weights in."""
    path = None if kept is None else kept / "siblings.pt"
    if path is None or not path.exists():
        tuned = _tuned(place)
        if path is not None:
            torch.save(tuned, path)
    else:
        tuned = torch.load(path)
    model = _public(place)
    made = {0.0: (model, 0.0)}
    for drift, (weights, moved) in tuned.items():
        module = copy.deepcopy(model.module)
        assert module is not None
        module.load_state_dict(weights)
        name = f"sibling {drift:.1%}"
        made[drift] = (
            replace(model, name=name, module=module, fingerprint=module_fingerprint(module)),
            moved,
        )
    return made


def _tuned(place: Place) -> dict[float, tuple[dict[str, Tensor], float]]:
    """Weights and drift of each sibling."""
    model = _public(place)
    assert model.module is not None
    others = place.pictures("photographs", OTHERS, part="train")
    windows, labels = others.windows(model.canvas), others.labels
    layer = model.front().layer
    module = copy.deepcopy(model.module).requires_grad_(True)
    first = module.get_submodule(layer).get_parameter("weight")
    origin = first.detach().double().clone()
    rest = [one for one in module.parameters() if one is not first]
    groups: list[dict[str, Any]] = [{"params": [first]}, {"params": rest}]
    optimiser = torch.optim.AdamW(groups, lr=REST)
    generator = torch.Generator().manual_seed(0)
    made = {}
    for drift, rate in zip(DRIFTS[1:], RATES[1:], strict=True):
        moved = 0.0
        optimiser.param_groups[0]["lr"] = rate
        for _ in range(MOST):
            index = torch.randint(len(windows), (BATCH,), generator=generator)
            logits = first_tensor(module(model.canvas.normalise(windows[index])))
            optimiser.zero_grad()
            functional.cross_entropy(logits, labels[index]).backward()
            optimiser.step()
            moved = float((first.detach().double() - origin).norm() / origin.norm())
            if moved >= drift:
                break
        weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
        made[drift] = weights, moved
    return made


@lru_cache(maxsize=4)
def _released(
    place: Place, name: str, count: int
) -> tuple[Windows, Windows, Int[Tensor, " batch"]]:
    """Clean windows, their deep NTEs and labels; what was withheld is left out."""
    model = _public(place)
    shown = place.pictures("photographs", count)
    clean = shown.windows(model.canvas)
    radius: float | Literal["auto"] = DIGITS_RADIUS if place.config == "digits" else "auto"
    secret, authorized = None, model
    if COPIED[name]:
        made = make_copy(model, secret=SECRET)
        secret, authorized = made.secret, made.model
    key = build_key(authorized, secret=SECRET)
    recoded = DeepRecoder(authorized, key, radius=radius, copy=secret)(clean)
    kept = [i for i, reason in enumerate(recoded.reasons) if reason is None]
    return clean[kept], recoded.images[kept], shown.labels[kept]


def draw(records: Sequence[Record], place: Place, path: Path) -> None:
    """Accuracy on either release against the drift of the first layer, in percent."""
    Figure = needed("matplotlib.figure").Figure

    figure = Figure(figsize=(5.0, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name in COPIED:
        rows = [r for r in records if r.condition == "nte" and r.settings["release for"] == name]
        drifts = [100 * float(r.settings["first layer moved"]) for r in rows]
        middle = [r.value for r in rows]
        spread = [[r.value - r.low for r in rows], [r.high - r.value for r in rows]]
        axes.errorbar(
            drifts, middle, yerr=spread, marker="o", capsize=3, label=f"NTEs for the {name}"
        )
    rows = [
        r for r in records if r.condition == "clean" and r.settings["release for"] == "public model"
    ]
    drifts = [100 * float(r.settings["first layer moved"]) for r in rows]
    axes.plot(drifts, [r.value for r in rows], color="0.5", ls="--", label="clean pictures")
    axes.set(xlabel="drift of the first layer, %", ylabel="accuracy", ylim=(-0.02, 1.02))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


STUDY = Study(
    name="siblings",
    title="Drift of weights against transfer, with and without a personalised copy",
    source="ours",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"release for": setting("release for"), "sibling": lambda r: r.model},
        column=lambda r: r.condition,
        caption="accuracy of the public model and of siblings fine-tuned from it, deep recoding",
    ),
    draw=draw,
    minutes=10,
)
