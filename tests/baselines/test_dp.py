import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from catch11.baselines.dp import (
    PrivateTraining,
    train_open,
    train_private,
    validated,
)
from catch11.baselines.dp_head import private_head
from catch11.errors import InvalidArgument, MissingExtra, ModelRefused

torch.set_num_threads(1)


def test_batch_norm_becomes_group_norm() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    made, replaced = validated(module)
    assert isinstance(made[1], nn.GroupNorm)  # type: ignore[index]
    assert replaced == ("1: BatchNorm2d → GroupNorm",)
    assert isinstance(module[1], nn.BatchNorm2d), "the original is left alone"


def test_what_has_no_single_gradients_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from opacus.validators import ModuleValidator

    monkeypatch.setattr(
        ModuleValidator, "validate", lambda module, strict: [ValueError("no\nsingle gradients")]
    )
    with pytest.raises(ModelRefused, match="no per-picture gradients: no single gradients"):
        validated(nn.Linear(2, 2))


def _two_clouds(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (count,), generator=generator)
    noise = 0.3 * torch.randn(count, 4, generator=generator)
    return noise + (2.0 * labels[:, None] - 1.0), labels


def test_a_private_net_learns_and_spends_what_it_says() -> None:
    inputs, labels = _two_clouds(400)
    settings = PrivateTraining(epsilon=3.0, epochs=5, batch=64, rate=0.05, accountant="rdp")
    start = nn.Linear(4, 2)
    before = start.weight.clone()
    made = train_private(
        start, inputs, labels, settings, generator=torch.Generator().manual_seed(0)
    )
    assert 2.5 < made.epsilon <= 3.0
    assert made.noise > 0.5
    assert float((made.module(inputs).argmax(1) == labels).float().mean()) > 0.9
    assert torch.equal(start.weight, before)
    assert not any(p.requires_grad for p in made.module.parameters())
    again = train_private(
        start, inputs, labels, settings, generator=torch.Generator().manual_seed(0)
    )
    for one, other in zip(made.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, other)


class Bad(NamedTuple):
    settings: dict[str, Any]
    match: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad({"epsilon": 0.0}, "epsilon: expected a finite number above 0, found 0.0"),
        Bad({"epsilon": -1.0}, "epsilon"),
        Bad({"epsilon": math.inf}, "epsilon"),
        Bad({"epsilon": math.nan}, "epsilon"),
        Bad({"epsilon": 1.0, "delta": 0.0}, "delta: expected a number between 0 and 1"),
        Bad({"epsilon": 1.0, "delta": 1.0}, "delta"),
        Bad({"epsilon": 1.0, "epochs": 0}, "epochs"),
        Bad({"epsilon": 1.0, "clip": -1.0}, "clip"),
        Bad({"epsilon": 1.0, "delta": math.nan}, "delta"),
        Bad({"epsilon": 1.0, "delta": -1e-5}, "delta"),
        Bad({"epsilon": 1.0, "clip": math.nan}, "clip"),
        Bad({"epsilon": 1.0, "rate": math.inf}, "rate"),
    ],
    ids=repr,
)
def test_bad_settings_are_refused(bad: Bad) -> None:
    with pytest.raises(InvalidArgument, match=bad.match):
        PrivateTraining(**bad.settings)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    inputs, labels = _two_clouds(10)
    settings = PrivateTraining(epsilon=1.0, batch=64)
    with pytest.raises(InvalidArgument, match="batch: expected 1 to the 10 pictures"):
        train_private(nn.Linear(4, 2), inputs, labels, settings, generator=torch.Generator())


def test_numbers_that_are_none_are_refused() -> None:
    inputs, labels = _two_clouds(10)
    inputs[3, 1] = math.nan
    settings = PrivateTraining(epsilon=1.0, batch=5)
    with pytest.raises(InvalidArgument, match="inputs: expected finite numbers"):
        train_private(nn.Linear(4, 2), inputs, labels, settings, generator=torch.Generator())
    with pytest.raises(InvalidArgument, match="features: expected finite numbers"):
        private_head(inputs, labels, epsilon=1.0, classes=2)


def test_the_same_net_without_privacy() -> None:
    inputs, labels = _two_clouds(200)
    start = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 2, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(36, 2),
    )  # fmt: skip
    settings = PrivateTraining(epsilon=1.0, epochs=5, batch=50, rate=0.05)
    made = train_open(start, inputs, labels, settings, generator=torch.Generator().manual_seed(0))
    kinds = [type(layer) for layer in made.children()]
    assert nn.BatchNorm2d not in kinds, "its layers are replaced as the private one's are"
    assert float((made(inputs).argmax(1) == labels).float().mean()) > 0.9
    assert not made.training


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opacus.validators", None)
    with pytest.raises(MissingExtra, match=r"pip install 'catch11\[dp\]'"):
        validated(nn.Linear(4, 2))


# --- diffprivlib -------------------------------------------------------------------------------


def test_without_need_of_noise_the_head_is_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    inputs, labels = _two_clouds(200)
    inputs = nn.functional.normalize(inputs)
    head = private_head(inputs, labels, epsilon=1e12, classes=2)
    oracle = LogisticRegression(C=1.0, tol=1e-10).fit(inputs.double().numpy(), labels.numpy())
    assert head.weight[1].numpy() == pytest.approx(oracle.coef_[0], abs=2e-3)
    assert float(head.bias[1]) == pytest.approx(float(oracle.intercept_[0]), abs=2e-3)
    assert head.weight[0].numpy() == pytest.approx(-oracle.coef_[0], abs=2e-3)


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "diffprivlib.json").read_text())


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda r: f"{r['epsilon']} {r['seed']}")
def test_the_head_is_diffprivlibs_seed_by_seed(row: dict[str, Any]) -> None:
    """Against diffprivlib's own class, run where it still runs: see tests/diffprivlib/original.py."""
    head = private_head(
        torch.tensor(GOLDEN["values"]), torch.tensor(GOLDEN["labels"]),
        epsilon=row["epsilon"], classes=3, seed=row["seed"],
    )  # fmt: skip
    weight, bias = (np.array(row[name]) for name in ("weight", "bias"))
    size = np.abs(weight).max()
    assert np.abs(head.weight.numpy() - weight).max() < 1e-3 * size
    assert np.abs(head.bias.numpy() - bias).max() < 2e-3 * max(size, np.abs(bias).max())


def test_less_budget_is_more_noise() -> None:
    inputs, labels = _two_clouds(300)
    truth = private_head(inputs, labels, epsilon=1e12, classes=2).weight

    def apart(epsilon: float) -> float:
        made = [private_head(inputs, labels, epsilon=epsilon, classes=2, seed=s) for s in range(8)]
        return float(np.median([float((one.weight - truth).norm()) for one in made]))

    assert apart(1000.0) < apart(10.0) < apart(1.0)


def test_long_features_are_shortened() -> None:
    inputs, labels = _two_clouds(100)
    unit = nn.functional.normalize(inputs)
    far = unit * torch.linspace(1, 9, 100)[:, None]
    one, other = (private_head(f, labels, epsilon=5.0, classes=2) for f in (unit, far))
    assert torch.allclose(one.weight, other.weight, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"classes": 1}, "head"),
        ({"norm": 0.0}, "head"),
        ({"norm": math.inf}, "head"),
        ({"strength": math.nan}, "head"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"strength": -1.0}, "head"),
    ],
)
def test_bad_heads_are_refused(changes: dict[str, Any], match: str) -> None:
    inputs, labels = _two_clouds(20)
    with pytest.raises(InvalidArgument, match=match):
        private_head(inputs, labels, **{"epsilon": 1.0, "classes": 2, **changes})
    with pytest.raises(InvalidArgument, match="labels: expected 0 to 1"):
        private_head(inputs, labels + 5, epsilon=1.0, classes=2)


def test_missing_diffprivlib_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from catch11.baselines import dp_head

    monkeypatch.setattr(dp_head, "installed", lambda name: False)
    inputs, labels = _two_clouds(20)
    with pytest.raises(MissingExtra, match="diffprivlib is needed here"):
        private_head(inputs, labels, epsilon=1.0, classes=2)
