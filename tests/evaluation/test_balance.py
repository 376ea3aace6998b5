"""Shares class by class, against counts by hand."""

import math

import pytest
import torch

from catch11.evaluation.balance import balance_of
from catch11.evaluation.interval import wilson
from catch11.evaluation.metrics import balanced_accuracy


def test_what_always_answers_the_most_frequent_class() -> None:
    truth = torch.tensor([0] * 8 + [1, 2])
    found = balance_of(torch.tensor([[1.0, 0.0, 0.0]]).expand(10, 3), truth, ("nv", "mel", "bcc"))
    assert {name: share.estimate for name, share in found.recalls.items()} == {
        "nv": 1.0, "mel": 0.0, "bcc": 0.0,
    }  # fmt: skip
    assert found.majority == 0.8
    assert found.balanced.estimate == pytest.approx(1 / 3)
    assert found.auc is not None
    assert found.auc.estimate == 0.5


def test_classes_that_nothing_has_are_left_out() -> None:
    truth = torch.tensor([0, 0, 2])
    logits = torch.nn.functional.one_hot(truth, 3).float()
    found = balance_of(logits, truth, ("a", "b", "c"))
    assert set(found.recalls) == {"a", "c"}
    assert found.auc is not None
    assert found.auc.estimate == found.balanced.estimate == 1.0
    assert balance_of(logits[:2], truth[:2], ("a", "b", "c")).auc is None


def test_the_ends_are_wilsons_squared_and_added() -> None:
    one, other = wilson(3, 4), wilson(1, 2)
    found = balanced_accuracy([[True] * 3 + [False], [True, False]])
    assert found.estimate == pytest.approx((0.75 + 0.5) / 2)
    below = math.hypot(one.estimate - one.low, other.estimate - other.low) / 2
    assert found.low == pytest.approx(found.estimate - below)
    assert found.low < found.estimate < found.high <= 1.0
