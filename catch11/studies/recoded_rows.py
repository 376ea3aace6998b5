"""Recoded tables: what perceptrons, a forest and a linear model get from them, before and after attacks.

Three tables of scikit-learn (see `rows`); the authorized perceptron has fewer hidden units than the
table has columns. Strength: dB with peak one standard deviation.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from catch11.attacks.frame import Attempt, Material
from catch11.attacks.jury import ClassJury
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.score import Run, to_record
from catch11.keys.key import Key, build_key
from catch11.lab import needed
from catch11.modalities.table.attacks import WholeRows
from catch11.modalities.table.deep import DeepRowRecoder
from catch11.modalities.table.model import TableModel
from catch11.modalities.table.recoder import SpectralRowRecoder
from catch11.recoding.frame import Recoded, Recoder
from catch11.studies.assault import every_finding
from catch11.studies.frame import Scale, Study
from catch11.studies.nets import rows as tables
from catch11.studies.place import Place
from catch11.studies.tables import released_table
from catch11.studies.trial import SECRET

STRENGTHS = (0.0, -10.0, -20.0, -30.0)
ENERGY = 1e-6  # of the front, that may be unseen

Answer = Callable[[Tensor], Tensor]


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Every table at four strengths and deep; quick: the wines alone."""
    names = ("wine",) if scale == "quick" else tables.TABLES
    return [
        Cell(
            name=f"{name} deep" if strength is None else f"{name} spectral {strength:g} dB",
            settings={"table": name, "psnr": strength},
        )
        for name in names
        for strength in (*STRENGTHS, None)
    ]  # fmt: skip


@cache
def rivals(name: str) -> Mapping[str, tuple[Role, Answer]]:
    """What answers rows of a table, the authorized perceptron first."""
    RandomForestClassifier = needed("sklearn.ensemble").RandomForestClassifier
    LogisticRegression = needed("sklearn.linear_model").LogisticRegression

    data = tables.load_rows(name)
    authorized = tables.trained(name, 1, None)
    twin = tables.trained(name, 2, None)
    wide = tables.trained(name, 3, 4 * tables.HIDDEN[name])
    given, labels = data.train.numpy(), data.train_labels.numpy()
    forest = RandomForestClassifier(200, random_state=0).fit(given, labels)
    linear = LogisticRegression(max_iter=2000).fit(given, labels)
    return {
        "perceptron": ("authorized", _answers(authorized)),
        "twin": ("ta", _answers(twin)),
        "wide": ("ga", _answers(wide)),
        "forest": ("ga", _predicts(forest)),
        "logistic": ("ga", _predicts(linear)),
    }


def work(cell: Cell, place: Place) -> Sequence[Record]:
    name, strength = str(cell.settings["table"]), cell.settings["psnr"]
    data, model = tables.load_rows(name), tables.trained(name, 1, None)
    key = build_key(model, energy=ENERGY, secret=SECRET)
    front = key.front
    recoder = _recoder(model, key, strength)
    made = recoder(data.test)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(data.test.shape, generator=generator, dtype=torch.float64)
    rms = (made.items - data.test).square().mean(1, keepdim=True).sqrt()
    noisy = data.test + noise * rms / noise.square().mean(1, keepdim=True).sqrt()
    half = len(data.train) // 2
    public, others = data.train[:half], data.train[half:]
    pairs = others, recoder(others).items
    readers = rivals(name)
    jury = ClassJury(
        rivals={rival: answer for rival, (_, answer) in readers.items()},
        truth=dict.fromkeys(readers, data.test_labels), released=made.items,
        predict=lambda answer, given: answer(given),
    )  # fmt: skip
    rows: list[tuple[Condition, Tensor]] = [
        ("clean", data.test), ("nte", made.items), ("gaussian", noisy)
    ]  # fmt: skip
    withheld = len(made.reasons) - made.reasons.count(None)
    run = Run(key=key.fingerprint, settings={"release": cell.name, "withheld": withheld})
    found = [
        to_record(
            measured, run, model=rival, role=role, condition=condition,
            psnr=None if condition == "clean" else _mean(made),
        )
        for rival, (role, _) in readers.items()
        for condition, given in rows
        for measured in jury.measures(rival, Attempt(setting=condition, restored=given))
    ]  # fmt: skip
    material = Material(
        canvas=model.canvas, released=made.items, public=public, front=front, pairs=pairs,
        pieces=lambda size: WholeRows(),
    )  # fmt: skip
    return found + [
        to_record(
            measured, run, model=one.rival, role=readers[one.rival][0], condition="attack",
            attack=one.attack, knowledge=one.knowledge, psnr=_mean(made),
        )
        for one in every_finding("table", material, jury)
        for measured in one.measures
    ]  # fmt: skip


def _recoder(model: TableModel, key: Key, strength: object) -> Recoder[Tensor]:
    if strength is None:
        return DeepRowRecoder(model, key)
    assert isinstance(strength, float)
    return SpectralRowRecoder(model, key, psnr=strength)


def _answers(model: TableModel) -> Answer:
    return lambda rows: model.logits(rows).argmax(1)


def _predicts(fitted: Any) -> Answer:
    return lambda rows: torch.from_numpy(fitted.predict(rows.numpy()))


def _mean(made: Recoded[Tensor]) -> float:
    return sum(made.psnr) / len(made.psnr)


STUDY = Study(
    name="rows",
    title="Recoded tables",
    source="beyond the paper: dense fronts",
    cells=cells,
    work=work,
    view=partial(released_table, strength="dB with peak one standard deviation"),
)
