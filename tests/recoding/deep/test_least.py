"""The least change: its ball, and a search that the real changes judge at every step."""

import pytest
import torch
from torch import Tensor, nn

from catch11.crypto.stream import KeyedStream
from catch11.keys.key import Key, build_key
from catch11.recoding.deep.agreement import parse_agreement
from catch11.recoding.deep.descent import LEVEL
from catch11.recoding.deep.question import Change, Question
from catch11.recoding.deep.recoder import DeepRecoder, schedule_of
from catch11.recoding.deep.target import Target
from tests.recoding.deep.test_deep import CANVAS, OTHERS, WINDOWS, Dim, lead_over_others, small_net

ROWS = torch.arange(len(OTHERS))


class Milder(Dim):
    """Nothing at full severity; below it, black."""

    name = "milder"

    def real(self, images: Tensor, severity: float) -> Tensor:
        return images if severity == 1.0 else torch.zeros_like(images)


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    return small_net()


@pytest.fixture(scope="module")
def key(net: nn.Sequential) -> Key:
    return build_key(net, canvas=CANVAS, secret=bytes(32))


def streams(key: Key, count: int, purpose: str = "test") -> list[KeyedStream]:
    return [key.stream(bytes([i]), purpose=purpose) for i in range(count)]


def asked(
    net: nn.Module, key: Key, *survive: Change, exact: bool = True, purpose: str = "test"
) -> Question:
    """About the answers to the first of WINDOWS, one for each of OTHERS."""
    return Question(
        WINDOWS[: len(OTHERS)], streams(key, len(OTHERS), purpose), targets=[Target(net, CANVAS, {"logits": 1.0})],
        agreement=parse_agreement("top1", margin=0.25), survive=survive, canvas=CANVAS, exact=exact,
    )  # fmt: skip


def after(change: Change, images: Tensor, severity: float = 1.0) -> Tensor:
    whole = CANVAS.place(images, torch.full((len(images), *CANVAS.size), 0.5))
    return CANVAS.window(change.real(whole, severity))


def leads(net: nn.Module, made: Tensor) -> Tensor:
    return lead_over_others(net, made, WINDOWS[: len(OTHERS)]) - 0.25


def test_the_gap_is_the_least_over_the_file_and_its_real_changes(
    net: nn.Sequential, key: Key
) -> None:
    """Whatever the streams hold: nothing of it is drawn."""
    points = torch.cat([OTHERS[:2], WINDOWS[2:4]]).requires_grad_(True)
    gap, _ = asked(net, key, Dim()).gap(points, ROWS)
    held = points.detach()
    assert torch.allclose(gap, torch.minimum(leads(net, held), leads(net, after(Dim(), held))), atol=1e-4)  # fmt: skip
    again, _ = asked(net, key, Dim(), purpose="another").gap(points, ROWS)
    assert torch.equal(gap, again)


def test_the_pull_is_that_of_what_fails_most(net: nn.Sequential, key: Key) -> None:
    """Where the change is worse than the file the slope is the one through it, else the file's own."""
    kinds = set()
    for held in (OTHERS, WINDOWS[: len(OTHERS)]):
        points = held.clone().requires_grad_(True)
        changed = leads(net, after(Dim(), held)) < leads(net, held)
        own, worst = slopes(asked(net, key), points), slopes(asked(net, key, Dim()), points)
        for i, other in enumerate(changed.tolist()):
            assert torch.allclose(own[i], worst[i], rtol=1e-3, atol=1e-4) != other
        kinds |= set(changed.tolist())
    assert kinds == {True, False}


def slopes(question: Question, points: Tensor) -> Tensor:
    _, pull = question.gap(points, ROWS)
    (slope,) = torch.autograd.grad(pull.sum(), points)
    return slope


def test_only_the_severity_asked_for_is_judged(net: nn.Sequential, key: Key) -> None:
    gap = leads(net, OTHERS)
    assert torch.allclose(asked(net, key, Milder()).confirm(OTHERS, ROWS, gap), gap, atol=1e-4)
    all_of_them = asked(net, key, Milder(), exact=False).confirm(WINDOWS[:4], ROWS, leads(net, WINDOWS[:4]))  # fmt: skip
    assert (all_of_them < leads(net, WINDOWS[:4])).any()


def test_short_steps_without_momentum_in_a_ball_that_opens_to_eight_levels() -> None:
    least = schedule_of(160, "least")
    assert (least.norm, least.momentum) == ("mean", 0.0)
    assert least.radius(0) == pytest.approx(1 * LEVEL)
    assert least.radius(160) == pytest.approx(8 * LEVEL)
    assert all(0.0 < least.length(n) <= 0.1 * least.radius(n) + 1e-12 for n in range(160))


def test_where_nothing_answers_the_change_still_stays_within_its_ball(
    net: nn.Sequential, key: Key
) -> None:
    recoder = DeepRecoder(net, key, radius="least", steps=40, margin=500.0, survive=(Dim(),))
    held = streams(key, len(WINDOWS))
    starts = [recoder.begin.at(key, w, s) for w, s in zip(WINDOWS, streams(key, 6), strict=True)]
    found = recoder.search(WINDOWS, held)
    assert (found.gaps < 0).all()
    moved = (found.points - torch.stack(starts)).square().mean((1, 2, 3)).sqrt() / LEVEL
    # Rounding to the grid adds at most half a level.
    assert moved.max() <= 8.5
    assert moved.min() >= 4.0


def test_a_recoder_of_least_asks_that_way(net: nn.Sequential, key: Key) -> None:
    gaps = {}
    for radius, steps in (("least", 160), ("auto", 8)):
        recoder = DeepRecoder(net, key, radius=radius, steps=steps, margin=0.0, survive=(Milder(),))  # type: ignore[arg-type]
        gaps[radius] = recoder.search(WINDOWS, streams(key, len(WINDOWS))).gaps
    assert (gaps["least"] >= 0.0).all()
    assert (gaps["auto"] < 0.0).any()
