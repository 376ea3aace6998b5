"""Juries on predictions written by hand: what counts as right, and what a record says of it."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from catch11.attacks.frame import Attempt
from catch11.attacks.jury import ClassJury, truths
from catch11.evaluation.interval import wilson
from catch11.evaluation.metrics import auc


class Net(NamedTuple):
    """Says what it is shown, moved by its shift."""

    shift: int


NAMED = {"own": Net(0), "twin": Net(1)}
ORIGINALS = torch.tensor([0, 1, 2, 3])
RELEASED = torch.tensor([0, 1, 9, 9])
RESTORED = torch.tensor([0, 1, 2, 9])


def jury(truth: dict[str, Tensor], **metric: str) -> ClassJury:
    return ClassJury(
        rivals=NAMED, truth=truth, predict=lambda net, items: items + net.shift,
        released=RELEASED, metric=metric, batch=3,
    )  # fmt: skip


def test_each_model_is_held_against_its_own_truth() -> None:
    own = {name: ORIGINALS + net.shift for name, net in NAMED.items()}
    judge = jury(own, own="agreement", twin="agreement")
    for items, share in ((RELEASED, 0.5), (RESTORED, 0.75)):
        for name in NAMED:
            (found,) = judge.measures(name, Attempt(setting="x", restored=items))
            assert (found.metric, found.n, found.value.estimate) == ("agreement", 4, share)


def test_labels_are_one_truth_for_all() -> None:
    judge = jury(dict.fromkeys(NAMED, ORIGINALS))
    attempt = Attempt(setting="x", restored=RESTORED)
    (own,), (twin,) = (judge.measures(name, attempt) for name in NAMED)
    assert own.hits == (True, True, True, False)
    assert twin.hits == (False, False, False, False)
    share = wilson(3, 4)
    assert (own.metric, own.value) == ("accuracy", share)


class Names(NamedTuple):
    labels: tuple[str, ...]


def test_labels_hold_for_the_same_names_in_any_order() -> None:
    models = {
        "first": Names(("cat", "dog", "owl")), "turned": Names(("Owl", "Dog", "Cat")),
        "numbered": Names(("0", "1", "2")), "other": Names(("a", "b", "c")),
    }  # fmt: skip
    truth, metric = truths(models, torch.tensor([0, 1, 0]), lambda one: torch.tensor([9, 9, 9]))
    assert {name: found.tolist() for name, found in truth.items()} == {
        "first": [0, 1, 0], "turned": [2, 1, 2], "numbered": [0, 1, 0], "other": [9, 9, 9],
    }  # fmt: skip
    assert metric == {
        "first": "accuracy", "turned": "accuracy", "numbered": "accuracy", "other": "agreement",
    }  # fmt: skip


def test_a_classifier_is_judged_on_what_it_says_it_reads() -> None:
    judge = ClassJury(
        rivals=NAMED, truth={"own": ORIGINALS}, predict=lambda net, items: items,
        released=RELEASED, clean=ORIGINALS,
    )  # fmt: skip

    def classify(items: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(items, 10).float()

    hits = [
        judge.hits("own", Attempt(setting="x", classify=classify, on=on))
        for on in ("released", "clean")
    ]
    assert hits == [(True, True, False, False), (True,) * 4]


def test_what_a_detector_says_is_an_area() -> None:
    scores = ([3.0, 1.0, 2.0], [0.0, 1.5])
    (found,) = jury({}).measures("detector", Attempt(setting="x", read=scores))
    assert (found.metric, found.n, found.value) == ("auc", 3, auc(*scores))
    assert found.value.estimate == pytest.approx(5 / 6)
