"""Rates and seeds of a step, losses against their closed forms."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from catch11.errors import InvalidArgument
from catch11.training.loss import class_weights, step_loss
from catch11.training.recipe import FLOOR, Recipe, rate_at, seed_of


def test_the_rate_rises_then_falls_as_a_cosine() -> None:
    rates = [rate_at(step, 100, top=2.0, warmup=0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == max(rates) == 2.0
    assert all(a >= b for a, b in pairwise(rates[10:]))
    middle = 10 + 45
    assert rates[middle] == pytest.approx(2.0 * (FLOOR + (1 - FLOOR) / 2))


@given(st.integers(1, 400), st.floats(0, 1))
def test_no_step_has_a_rate_of_none(steps: int, warmup: float) -> None:
    assert all(0 < rate_at(step, steps, top=1.0, warmup=warmup) <= 1.0 for step in range(steps))


def test_places_have_seeds_of_their_own() -> None:
    seeds = {seed_of(0, epoch, step) for epoch in range(20) for step in range(20)}
    assert len(seeds | {seed_of(1, 0, 0), seed_of(0, 0)}) == 402


def test_rare_classes_weigh_more_and_the_mean_is_one() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights(labels, 3)
    torch.testing.assert_close(weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))
    torch.testing.assert_close(weights[labels].mean(), torch.tensor(1.0))


def test_without_a_teacher_the_loss_is_the_labels() -> None:
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    loss = step_loss((logits,), labels, None, Recipe(smoothing=0.2))
    goal = 0.8 * functional.one_hot(labels, 4) + 0.05
    by_hand = -(goal * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, by_hand)


def test_a_net_of_one_head_moves_to_the_teachers_softened_answers() -> None:
    logits, taught = torch.randn(5, 4), torch.randn(5, 4)
    recipe = Recipe(teach=1.0, heat=3.0)
    loss = step_loss((logits,), torch.zeros(5, dtype=torch.int64), taught, recipe)
    soft = (taught / 3).softmax(1)
    by_hand = 9 * (soft * (soft.log() - (logits / 3).log_softmax(1))).sum(1).mean()
    torch.testing.assert_close(loss, by_hand)
    same = step_loss((taught,), torch.zeros(5, dtype=torch.int64), taught, recipe)
    assert float(same) == pytest.approx(0.0, abs=1e-6)


def test_a_net_of_two_heads_learns_the_teachers_class_with_the_second() -> None:
    first, second, taught = torch.randn(3, 5, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    loss = step_loss((first, second), labels, taught, Recipe(teach=0.25, smoothing=0.0))
    told = functional.cross_entropy(first, labels)
    shown = functional.cross_entropy(second, taught.argmax(1))
    torch.testing.assert_close(loss, 0.75 * told + 0.25 * shown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 0},
        {"held": 1.0},
        {"rate": -1.0},
        {"rate": math.inf},
        {"teach": 2.0},
    ],
)
def test_a_recipe_refuses_what_is_none(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(wrong))):
        Recipe(**wrong)  # type: ignore[arg-type]
