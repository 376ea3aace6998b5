"""The families' nets: trained once, found by name, and what is said where they are not there."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from catch11.baselines import published
from catch11.errors import EmptySubspace
from catch11.studies import families
from catch11.studies.nets import families as nets
from catch11.studies.place import Place, Unavailable, trained_net

DIGITS, LOCAL = Place(config="digits"), Place(config="local")
COUNTS = {"train": 80, "test": 20}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_nets_are_trained_once_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One family of two seeds, an epoch each, with digits for thumbnails."""
    monkeypatch.setattr(nets, "FAMILIES", ("vit",))
    before, said = families.weights(LOCAL), list[str]()
    for seeds in ((0,), (0, 1)):
        nets.train_families(DIGITS, epochs=1, seeds=seeds, say=said.append, counts=COUNTS)  # type: ignore[arg-type]
    assert [line for line in said if "seed" in line] == ["vit, seed 0", "vit, seed 1"]
    assert families.at_hand(LOCAL) == ("vit", "vit-twin")
    assert families.owners(LOCAL) == ("vit",)
    assert families.weights(LOCAL) != before
    assert {cell.settings["authorized"] for cell in families.cells("full", LOCAL)} == {"vit"}
    one, other = (LOCAL.model(families.FAMILY, name) for name in families.at_hand(LOCAL))
    assert one.fingerprint != other.fingerprint
    assert one.canvas.shape == (3, 32, 32)
    facts = json.loads((trained_net("vit-0") / "training.json").read_text())
    assert (facts["learned"], facts["held"], facts["views"]) == (80, 20, 8)


def test_without_nets_the_study_says_how_to_make_them() -> None:
    cell = families.cells("quick", LOCAL)[0]
    assert cell.settings["authorized"] == "resnet"
    with pytest.raises(Unavailable, match=r"the net resnet-0 is not at hand; train it: python -m catch11\.studies"):  # fmt: skip
        families.work(cell, LOCAL)


def test_the_strength_borne_is_the_strongest_that_costs_a_point_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    families.borne.cache_clear()
    lost = {7.0: 9, 8.0: 3, 10.0: 1, 12.0: 0}

    def hits(trial: families.Trial, name: str, condition: str) -> tuple[bool, ...]:
        wrong = 0 if condition == "clean" else lost[trial.psnr or 0.0]
        return (False,) * wrong + (True,) * (trial.n - wrong)

    monkeypatch.setattr(families.Trial, "hits", hits)
    assert families.borne(DIGITS, "patch", 100) == 10.0
    families.borne.cache_clear()


def test_the_public_code_takes_the_last_vector_where_none_is_null() -> None:
    """48 values seen by 48 features: nothing at the threshold, and the least seen one if asked."""
    layer = nn.Conv2d(3, 48, 4, stride=4)
    with pytest.raises(EmptySubspace):
        published.insensitive(layer)
    (row,) = published.insensitive(layer, least=1)
    weight = layer.weight.detach().double().flatten(1)
    seen = float((weight @ row).norm())
    assert seen == pytest.approx(float(torch.linalg.svdvals(weight)[-1]))
    assert seen > 0
    wide = published.insensitive(nn.Conv2d(3, 40, 4, stride=4), least=1)
    assert len(wide) == 8  # those that are null, and no further
