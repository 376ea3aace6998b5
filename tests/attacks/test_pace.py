"""Cheap attacks first, what is left, a budget of minutes: by a clock of the test's own."""

from dataclasses import replace
from pathlib import Path

import pytest

from catch11.attacks import (
    Assault,
    Attack,
    Effort,
    Finding,
    Jury,
    Material,
    attack_names,
    attack_release,
)
from catch11.attacks.frame import attack_of
from catch11.attacks.pace import COSTS, Step, remaining
from catch11.errors import InvalidArgument
from catch11.evaluation.score import Measured, share_of
from catch11.kinds import KINDS
from tests.world import World, build_world

EVERY = [(kind, name) for kind in KINDS for name in attack_names(kind)]
TOOK = {"plain": 2.0, "untrained": 10.0, "trained": 300.0}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=12)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the attacks that begin: each finds nothing, and takes what its cost says."""
    seen: list[str] = []
    now = [0.0]

    def call(self: Attack, material: Material, jury: Jury, *, seed: int) -> tuple[Finding, ...]:
        seen.append(self.name)
        now[0] += TOOK[self.cost]
        return tuple(
            Finding(
                attack=self.name, knowledge=("released",), rival=name, setting="x", tries=1, cut=0,
                measures=(_measured(),),
            )
            for name in jury.rivals
        )  # fmt: skip

    monkeypatch.setattr(Attack, "__call__", call)
    for room in ("session", "course"):  # one sets the end, the other looks at the clock
        monkeypatch.setattr(f"catch11.attacks.{room}.monotonic", lambda: now[0])
    return seen


def _measured() -> Measured:
    return share_of("accuracy", (True, False))


def assault(world: World, effort: Effort, *names: str, **given: object) -> Assault:
    return attack_release(
        world.released, [world.rival], attacks=names or None, source=world.source,
        labels=world.labels, effort=effort, **given,  # type: ignore[arg-type]
    )  # fmt: skip


FEW = Effort(judged=4, training=4)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_attack_says_what_it_costs(kind: str, name: str) -> None:
    assert attack_of(name, kind).cost in COSTS


def test_the_cheap_ones_run_first_unless_they_are_named(world: World, begun: list[str]) -> None:
    assault(world, FEW)
    costs = [attack_of(name).cost for name in begun]
    assert begun[0] == "none"
    assert costs == sorted(costs, key=list(COSTS).index)
    assert {"untrained", "trained"} < set(costs)
    begun.clear()
    assault(world, FEW, "fine-tune", "blur", "none")
    assert begun == ["fine-tune", "blur", "none"]


def test_quick_trains_nothing(world: World, begun: list[str]) -> None:
    found = assault(world, replace(FEW, quick=True))
    assert "trained" not in {attack_of(name).cost for name in begun}
    assert dict(found.skipped)["fine-tune"] == "trains, which quick leaves out"
    with pytest.raises(InvalidArgument, match=r"quick: expected no names, .* found fine-tune"):
        assault(world, replace(FEW, quick=True), "blur", "fine-tune")


def test_no_attack_begins_after_the_minutes(world: World, begun: list[str], tmp_path: Path) -> None:
    """What ran stands, and what a file holds is taken up however late it is."""
    path = tmp_path / "records.jsonl"
    named = ("none", "codec", "blur", "resize")
    found = assault(world, replace(FEW, minutes=0.2), *named, records=path)
    assert begun == ["none", "codec"]  # at 0 and 2 s; at 12 s the minutes are over
    assert [record.attack for record in found.records] == begun
    late = "not begun in the 0.2 minutes there were"
    assert found.skipped == (("blur", late), ("resize", late))
    again = assault(world, replace(FEW, minutes=0.1), *reversed(named), records=path)
    assert begun == ["none", "codec", "resize"]
    assert [record.attack for record in again.records] == ["resize", "codec", "none"]
    assert again.skipped[0][0] == "blur"
    with pytest.raises(InvalidArgument, match="minutes: expected above 0"):
        Effort(minutes=0.0)


def test_each_end_says_what_is_left(world: World, begun: list[str], tmp_path: Path) -> None:
    steps: list[Step] = []
    path = tmp_path / "records.jsonl"
    names = ("none", "blur", "resize", "fine-tune")
    assault(world, FEW, *names, progress=steps.append, records=path)
    ends = [step for step in steps if step.records]
    assert [step.attack for step in steps if step.attack] == list(names)
    assert [step.seconds for step in ends] == [2.0, 10.0, 10.0, 300.0]
    assert [step.untrained for step in ends] == [2, 1, 0, 0]
    first, second, third, last = ends
    assert first.quick == 2 * COSTS["untrained"] * 2.0
    assert first.left == first.quick + COSTS["trained"] * 2.0
    assert second.quick == 10.0
    assert third.left == COSTS["trained"] * 22.0 / (1 + 2 * COSTS["untrained"])
    assert (last.left, last.done, last.total) == (0, 4, 4)
    assert steps[-1] == Step(done=4, total=4)
    steps.clear()
    assault(world, FEW, *names, progress=steps.append, records=path)
    assert {(step.seconds, step.left) for step in steps} == {(None, None)}


def test_nothing_ran_and_nothing_is_known() -> None:
    assert remaining(["trained"], []) is None
