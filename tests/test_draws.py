"""Tests of the tests: what a test draws hangs on its name alone."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import draws, shapes

pytest_plugins = ("pytester",)

# Each test and fixture notes what it draws, the secret as `build_key` takes it.
PROBE = """
import json, random, secrets
from pathlib import Path

import numpy as np
import pytest
import torch

FILE = Path("drawn.json")


def draw():
    return [secrets.token_bytes(8).hex(), secrets.token_bytes().hex(), random.random(),
            float(np.random.rand()), float(torch.rand(()))]


def note(name, values):
    held = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(held | {name: values}))


@pytest.fixture(scope="module")
def shared():
    note("shared", draw())


@pytest.fixture(scope="module", params=["a", "b"])
def each(request):
    note(f"each {request.param}", draw())


def test_plain():
    note("plain", draw())


def test_other():
    note("other", draw())


def test_twice():
    note("first", draw())
    note("second", draw())


def test_fixture(shared):
    note("behind a fixture", draw())


def test_interrupted(request):
    before = draw()
    request.getfixturevalue("shared")
    note("interrupted", [before, draw()])


def test_each(each):
    pass
"""
Drawn = dict[str, list[object]]
Draw = Callable[..., Drawn]


@pytest.fixture
def drawn(pytester: pytest.Pytester) -> Iterator[Draw]:
    """What the probe notes when the named tests run in this order."""

    def run(*names: str) -> Drawn:
        pytester.makepyfile(test_probe=PROBE)
        file = Path(pytester.path, "drawn.json")
        file.unlink(missing_ok=True)
        words = [f"test_probe.py::test_{name}" for name in names]
        result = pytester.runpytest_inprocess("-q", "-p", "tests.draws", "-p", "no:cacheprovider", *words)  # fmt: skip
        assert result.ret == 0
        found: Drawn = json.loads(file.read_text())
        return found

    yield run
    draws.pytest_configure()  # a run inside has set hypothesis up by the seed it saw


def test_nothing_that_ran_before_changes_a_draw(drawn: Draw) -> None:
    one, other = drawn("plain", "other", "twice", "fixture"), drawn("fixture", "other", "plain")
    for name in other:
        assert one[name] == other[name], name
    assert drawn("other") == {"other": one["other"]}


def test_every_test_and_every_draw_is_another(drawn: Draw) -> None:
    found = drawn("plain", "other", "twice", "fixture", "each")
    assert len(found) == 8
    for place in range(5):
        assert len({values[place] for values in found.values()}) == len(found)
    assert all(len(str(values[0])) == 16 for values in found.values())
    assert all(len(str(values[1])) == 64 for values in found.values())


def test_a_fixture_draws_the_same_for_whoever_asks_and_takes_nothing_from_him(drawn: Draw) -> None:
    first = drawn("fixture", "interrupted")
    late = drawn("interrupted")
    assert first["interrupted"] == late["interrupted"]
    assert first["shared"] == late["shared"]


def test_another_seed_draws_others(drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn("plain")
    with monkeypatch.context() as patch:
        patch.setattr(draws, "SEED", f"{draws.SEED}7")
        after = drawn("plain")
    assert all(a != b for a, b in zip(before["plain"], after["plain"], strict=True))


def test_hypothesis_draws_the_same_examples_unless_a_seed_is_given() -> None:
    assert settings().derandomize is not bool(draws.SEED)
    assert settings().deadline is None


def test_the_shape_checks_leave_the_global_generator_alone() -> None:
    """A server's threads are checked while hypothesis draws beside them."""

    @shapes.check
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    before = random.getstate()
    assert total(list(range(100))) == 4950
    assert random.getstate() == before
