"""Questions of no or yes: which classes mean yes, what pictures look like, and how answers are judged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import auc, balanced
from catch11.evaluation.questions import QUESTIONS, question_of
from catch11.models.grouped import Grouped, grouped
from tests.attacks.conftest import classifier, pictures

_CALLED = {"cab", "canoe", "fire engine", "jeep", "limousine", "sports car", "warplane", "yawl"}


@pytest.mark.real
def test_super_classes_are_those_of_wordnet(assets: Path) -> None:
    rows = (assets / "images" / "synset_words.txt").read_text(encoding="utf-8").splitlines()
    numbers = [row.split()[0] for row in rows]
    first = [row.split(" ", 1)[1].split(",")[0] for row in rows]
    meant = {name: sorted(one.classes[1000]) for name, one in QUESTIONS.items() if one.classes}
    assert numbers == sorted(numbers)
    assert (first[meant["animal"][0]], first[meant["animal"][-1]]) == ("tench", "puffer")
    assert first[len(meant["animal"])] == "abacus"
    assert (first[meant["dog"][0]], first[meant["dog"][-1]]) == ("Chihuahua", "Mexican hairless")
    vehicles = {first[place] for place in meant["vehicle"]}
    assert vehicles >= _CALLED
    assert not vehicles & {"car mirror", "car wheel", "grille", "lawn mower", "crane", "boathouse"}
    assert not set(meant["vehicle"]) & set(meant["animal"])


def test_classes_decide_what_follows_from_an_answer() -> None:
    cifar = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    labels = torch.arange(10)
    animals, vehicles = (QUESTIONS[name].follows(labels, cifar) for name in ("animal", "vehicle"))
    assert [cifar[i] for i in vehicles.nonzero()] == ["airplane", "automobile", "ship", "truck"]
    assert torch.equal(animals, ~vehicles)
    with pytest.raises(InvalidArgument, match="expected 1000 or 10 classes"):
        QUESTIONS["dog"].meant(("a", "b"))
    with pytest.raises(InvalidArgument, match="one of animal, dog, vehicle, warm, bright, busy"):
        question_of("indoor")


@pytest.mark.parametrize(
    ("name", "colour"), [("warm", (0.6, 0.5, 0.4)), ("bright", (0.6, 0.6, 0.6))], ids=repr
)
def test_looks_of_plain_pictures(name: str, colour: tuple[float, ...]) -> None:
    yes = torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    assert QUESTIONS[name].seen(torch.cat([yes, 1 - yes])).tolist() == [True, False]
    assert not QUESTIONS["busy"].seen(yes).any()
    checks = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).float().expand(1, 3, 8, 8)
    assert QUESTIONS["busy"].seen(checks).all()


def test_a_grouped_model_says_the_sum_of_its_chances() -> None:
    model, windows = classifier(1, name="ours"), pictures(6, seed=3)
    values = model.canvas.normalise(windows)
    chances = model.logits(values).softmax(1)
    asked = grouped(model, {0, 3})
    assert asked.labels == ("no", "yes")
    assert torch.allclose(
        asked.logits(values).softmax(1)[:, 1], chances[:, [0, 3]].sum(1), atol=1e-6
    )
    for few in ((), (0, 1, 2, 3)):
        with pytest.raises(InvalidArgument, match="not none and not all"):
            grouped(model, few)


def test_a_grouped_module_learns() -> None:
    inner = nn.Linear(3, 4)
    Grouped(inner, {1})(torch.ones(1, 3))[0, 1].backward()
    assert inner.weight.grad is not None
    assert inner.weight.grad.abs().sum(1).gt(0).tolist() == [False, True, False, False]


def test_balanced_accuracy_in_closed_form() -> None:
    """Two of four found, and so two of six others called wrongly: (1/2 + 2/3) / 2."""
    scores = [9, 8, 1, 0, 7, 6, 2, 2, 2, 2]
    found = balanced(scores, [True] * 4 + [False] * 6)
    assert found.estimate == pytest.approx((0.5 + 4 / 6) / 2)
    assert found.low < found.estimate < found.high
    with pytest.raises(InvalidArgument, match="both answers"):
        balanced([1.0, 2.0], [True, True])


def test_intervals_of_balanced_accuracy_hold_chance() -> None:
    drawn, inside = np.random.default_rng(0), 0
    truth = [True] * 20 + [False] * 80
    for _ in range(200):
        found = balanced(drawn.normal(size=100), truth)
        inside += found.low <= 0.5 <= found.high
    assert inside >= 180
    assert auc([1.0, 2.0], [0.0]).estimate == 1.0
