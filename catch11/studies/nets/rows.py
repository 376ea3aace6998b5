"""Three tables that scikit-learn carries, and the perceptrons that read them.

breast: 569 tumours by 30 measures, 2 classes. wine: 178 wines by 13 measures, 3 classes. digits: 1,797
digits by 64 counts, 10 classes. Split 2 : 1, stratified, once and for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.lab import needed
from catch11.modalities.table.model import Column, TableModel, table_model
from catch11.modalities.table.net import Perceptron
from catch11.studies.nets.descent import train_classes

TABLES = ("breast", "wine", "digits")
# Hidden units of the first layer: fewer than columns, so that there is an exact null space.
HIDDEN: Mapping[str, int] = {"breast": 8, "wine": 5, "digits": 24}
EPOCHS, BATCH, RATE = 40, 32, 5e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Standardised rows and their classes."""

    columns: tuple[Column, ...]
    classes: tuple[str, ...]
    train: Float[Tensor, "train column"]
    train_labels: Int[Tensor, " train"]
    test: Float[Tensor, "test column"]
    test_labels: Int[Tensor, " test"]


@cache
def load_rows(name: str) -> Rows:
    """One of `TABLES`; columns that never vary are left out."""
    datasets = needed("sklearn.datasets")
    train_test_split = needed("sklearn.model_selection").train_test_split

    bunch = {
        "breast": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "digits": datasets.load_digits,
    }[name]()
    values, labels = np.asarray(bunch.data, dtype=np.float64), np.asarray(bunch.target)
    one, other, ones, others = train_test_split(
        values, labels, test_size=1 / 3, random_state=1, stratify=labels
    )
    varies = one.std(0) > 0
    one, other = one[:, varies], other[:, varies]
    mean, std = one.mean(0), one.std(0)
    names = [str(n) for n, v in zip(bunch.feature_names, varies, strict=True) if v]
    columns = tuple(
        Column(name=n, mean=float(m), std=float(s))
        for n, m, s in zip(names, mean, std, strict=True)
    )
    return Rows(
        columns=columns,
        classes=tuple(map(str, bunch.target_names)),
        train=torch.from_numpy((one - mean) / std),
        train_labels=torch.from_numpy(ones).long(),
        test=torch.from_numpy((other - mean) / std),
        test_labels=torch.from_numpy(others).long(),
    )


def row_net(name: str, *, seed: int, hidden: int | None = None) -> TableModel:
    """A perceptron with two hidden layers, trained from scratch: the same whenever it is asked for."""
    rows = load_rows(name)
    first = HIDDEN[name] if hidden is None else hidden
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Perceptron([len(rows.columns), first, 32, len(rows.classes)])
    generator = torch.Generator().manual_seed(seed)
    train_classes(
        module, rows.train.float(), rows.train_labels, generator=generator,
        epochs=EPOCHS, batch=BATCH, rate=RATE,
    )  # fmt: skip
    title = f"{name}-{first}-{seed}"
    spec = f"py:catch11.studies.nets.rows:{name}"
    return table_model(spec, module, rows.columns, name=title, labels=lambda count: rows.classes)


@cache
def trained(name: str, seed: int, hidden: int | None) -> TableModel:
    return row_net(name, seed=seed, hidden=hidden)


# By spec, so that every command can be tried on them: py:catch11.studies.nets.rows:breast; a twin has
# another seed, a wide one four times the hidden units.
breast, wine, digits = (partial(trained, name, 1, None) for name in TABLES)
breast_twin, wine_twin, digits_twin = (partial(trained, name, 2, None) for name in TABLES)
breast_wide, wine_wide, digits_wide = (
    partial(trained, name, 3, 4 * HIDDEN[name]) for name in TABLES
)
for _function in (
    breast, wine, digits, breast_twin, wine_twin, digits_twin, breast_wide, wine_wide, digits_wide
):  # fmt: skip
    _function.modality = "table"  # type: ignore[attr-defined]
