"""Attacks tried one by one, on answers written by hand: what is run, and what a record says of it."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import wilson
from catch11.evaluation.record import Record, Role
from catch11.modalities.tries import Tries, chosen, tried


class Net(NamedTuple):
    """A model that adds its shift to what it is shown, and says how much of the original it reads."""

    fingerprint: str
    shift: int


class Held(NamedTuple):
    key: str = "key of the release"
    method: str = "spectral"


NAMED = {"own": Net("f0", 0), "twin": Net("f1", 1)}
ORIGINALS = (0, 1, 2, 3)
RELEASED = (0, 1, 9, 9)
RESTORED = (0, 1, 2, 9)
TRIES = {"": ((), lambda: RELEASED), "filter": (("public",), lambda: RESTORED)}


def answers(net: Net, items: Sequence[int]) -> list[int]:
    return [item + net.shift for item in items]


def role(net: Net) -> Role:
    return "authorized" if net.shift == 0 else "ta"


def records(truth: Sequence[int | None], told: list[tuple[str, int, int]]) -> list[Record]:
    return tried(
        TRIES, NAMED, restored=answers, own=lambda net: answers(net, ORIGINALS), role=role,
        truth=truth, release=Held(), seed=3, command="catch11 attack x",
        progress=lambda *facts: told.append(facts),
    )  # fmt: skip


def test_without_classes_a_models_own_clean_answer_is_the_truth() -> None:
    told: list[tuple[str, int, int]] = []
    found = records([None] * 4, told)
    assert [(r.model, r.attack, r.condition) for r in found] == [
        ("own", None, "nte"), ("twin", None, "nte"),
        ("own", "filter", "attack"), ("twin", "filter", "attack"),
    ]  # fmt: skip
    assert [r.value for r in found] == [0.5, 0.5, 0.75, 0.75]
    assert {(r.metric, r.n) for r in found} == {("agreement", 4)}
    assert [r.knowledge for r in found] == [(), (), ("public",), ("public",)]
    assert told == [("no attack", 0, 2), ("filter", 1, 2)]


def test_with_classes_the_items_that_have_one_count() -> None:
    found = records([0, None, 2, 3], [])
    assert [r.value for r in found] == pytest.approx([1 / 3, 0.0, 2 / 3, 0.0])
    assert {(r.metric, r.n) for r in found} == {("accuracy", 3)}
    for r in found:
        share = wilson(round(3 * r.value), 3)
        assert (r.low, r.high) == (share.low, share.high)


def test_a_record_names_the_model_the_release_and_the_run() -> None:
    for r in records([None] * 4, []):
        assert r.model_fingerprint == NAMED[r.model].fingerprint
        assert r.role == role(NAMED[r.model])
        assert (r.key_fingerprint, r.settings["method"]) == Held()
        assert (r.seed, r.command) == (3, "catch11 attack x")


def test_nothing_is_made_that_was_not_asked_for() -> None:
    def fail() -> tuple[int, ...]:
        raise AssertionError

    tries: Tries[tuple[int, ...]] = dict.fromkeys(("", "a", "b"), ((), fail))
    assert list(chosen(tries, None)) == ["", "a", "b"]
    assert list(chosen(tries, ["b", "a"])) == ["a", "b"]
    with pytest.raises(InvalidArgument, match=r"--attack: expected among a, b, .*found c"):
        chosen({"a": tries["a"], "b": tries["b"]}, ["a", "c"])
    with pytest.raises(InvalidArgument, match="expected among none"):
        chosen({}, ["a"])
