"""Trainings that ran out of time say so: in the setting that was tried, the finding and the record."""

import re
from typing import NamedTuple

import pytest
import torch

from catch11.attacks.adaptation import FineTune, LearnedFront, Sweep, steps_of
from catch11.attacks.counter import Counter, CounterTrain
from catch11.attacks.frame import Attack
from catch11.attacks.nets import Clock, Training
from catch11.attacks.optimisation import TunedPreprocessor, Tuning
from catch11.attacks.restoration import NoiseToClean, NoiseToNoise, WhiteBoxRestoration
from catch11.attacks.training_use import TrainingUse
from tests.attacks.conftest import Scene

torch.set_num_threads(1)
LITTLE = 1e-9  # seconds: one step runs and the next does not
ONE = Sweep(rates=(1e-3,), epochs=(1, 2), starts=("pretrained",))
NONE = Sweep(rates=(1e-3,), epochs=(1, 2), starts=("pretrained",), seconds=LITTLE)
NET, NO_NET = (
    Training(steps=2, batch=2, width=4),
    Training(steps=2, batch=2, width=4, seconds=LITTLE),
)


class Row(NamedTuple):
    """An attack in time and out of it; steps that it says it was asked for."""

    whole: Attack
    cut: Attack
    asked: int

    def __repr__(self) -> str:
        return self.whole.name


# 60 labelled windows are four batches of 16, 150 public ones ten.
ROWS = [
    Row(FineTune(ONE), FineTune(NONE), 8),
    Row(LearnedFront(ONE), LearnedFront(NONE), 8),
    Row(TrainingUse(ONE), TrainingUse(NONE), 8),
    Row(CounterTrain(Counter(epochs=2)), CounterTrain(Counter(epochs=2, seconds=LITTLE)), 20),
    Row(TunedPreprocessor(Tuning(steps=4)), TunedPreprocessor(Tuning(steps=4, seconds=LITTLE)), 4),
    Row(NoiseToClean(NET), NoiseToClean(NO_NET), 2),
    Row(NoiseToNoise(NET), NoiseToNoise(NO_NET), 2),
    Row(WhiteBoxRestoration(NET), WhiteBoxRestoration(NO_NET), 2),
]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_a_cut_training_says_what_ran(scene: Scene, row: Row) -> None:
    material = scene.material.cut(row.whole.knowledge)
    found = list(row.cut.run(material, generator=torch.Generator().manual_seed(0)))
    cut = [attempt for attempt in found if attempt.cut]
    assert cut
    assert all(f"ran 1 of {row.asked} steps, cut at 1e-09 s" in attempt.setting for attempt in cut)
    assert not any("cut" in attempt.setting for attempt in found if not attempt.cut)
    for attempt in row.whole.run(material, generator=torch.Generator().manual_seed(0)):
        assert not attempt.cut
        assert "cut" not in attempt.setting
        assert re.search(r"\d+ steps", attempt.setting)


def test_cut_tries_are_counted_whichever_is_the_best(scene: Scene) -> None:
    """Of none, a quarter and all steps, the first is whole and the third is not."""
    attack = TunedPreprocessor(Tuning(steps=8, seconds=LITTLE))
    (found,) = attack(scene.material, scene.jury)
    assert (found.tries, found.cut) == (3, 2)
    (found,) = TunedPreprocessor(Tuning(steps=8))(scene.material, scene.jury)
    assert (found.tries, found.cut) == (3, 0)


def test_a_cut_training_is_not_tried_again_at_more_epochs(scene: Scene) -> None:
    attempts = list(FineTune(NONE).run(scene.material, generator=torch.Generator().manual_seed(0)))
    assert len(attempts) == 1
    assert "2 epochs, ran 1 of 8 steps" in attempts[0].setting


def test_the_last_step_is_not_cut() -> None:
    clock = Clock(LITTLE, asked=1)
    assert clock.step()
    assert str(clock) == "1 steps"
    assert str(Clock(5.0)) == "0 steps"


@pytest.mark.parametrize(
    ("count", "batch", "steps"), [(60, 16, 4), (33, 16, 2), (34, 16, 3), (5, 1, 5), (1, 16, 0)]
)
def test_steps_of_an_epoch(count: int, batch: int, steps: int) -> None:
    assert steps_of(count, batch) == steps
