"""To add an attack: a file with it, a row among the imports of its kind of data, a row of a test.

The toy attack here is outside the package; the session runs, judges and records it as any other.
"""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

from catch11.attacks import Assault, Effort, attack_release, frame
from catch11.attacks.frame import attack_names, attack_of
from catch11.errors import InvalidArgument
from catch11.kinds import KINDS
from tests.world import World, build_world

FEW = Effort(judged=8, training=4, public=4)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=16)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the attack, imported anew: its decorator registers it, for this test alone."""
    for kind in KINDS:  # imports what the package itself registers
        frame.attack_names(kind)
    monkeypatch.setattr(frame, "_ATTACKS", dict(frame._ATTACKS))
    monkeypatch.delitem(sys.modules, "tests.extending.halfway", raising=False)
    return importlib.import_module("tests.extending.halfway")


def run(world: World, folder: Path, *attacks: str) -> Assault:
    """With everything given that an attacker may have."""
    public = folder / "public"
    if not public.exists():
        public.mkdir()
        generator = torch.Generator().manual_seed(1)
        for number in range(4):
            pixels = torch.randint(256, (28, 28, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(public / f"{number}.png")
    return attack_release(
        world.released, [world.rival], attacks=attacks or None, model=world.model, key=world.key,
        source=world.source, labels=world.labels, public=public, effort=FEW,
        records=folder / "records.jsonl",
    )  # fmt: skip


def test_a_toy_attack_goes_all_the_way(world: World, tmp_path: Path, toy: ModuleType) -> None:
    found = run(world, tmp_path, "none", "halfway")
    rows = {(r.attack, r.model): r for r in found.records if r.attack is not None}
    assert set(rows) == {(a, m) for a in ("none", "halfway") for m in ("ours", "theirs")}
    own, plain = rows["halfway", "ours"], rows["none", "ours"]
    assert own.value >= plain.value == 1.0  # its first setting is the release itself
    assert own.settings["tries"] == 2
    assert own.knowledge == ("public", "released")
    assert (own.role, own.metric, own.n) == ("authorized", "accuracy", 8)
    assert json.loads(own.to_line())["settings"]["setting"] == "0% of the way"
    held = len(toy.SEEN)
    assert run(world, tmp_path, "none", "halfway").records == found.records
    assert len(toy.SEEN) == held  # taken from the file


def test_it_sees_nothing_beyond_its_knowledge(
    world: World, tmp_path: Path, toy: ModuleType
) -> None:
    run(world, tmp_path, "halfway")
    (material,) = toy.SEEN
    assert material.knowledge == {"released", "public"}
    for place in ("front", "subspace", "labelled", "pairs", "query", "others", "weights", "table"):
        assert getattr(material, place) is None


def test_it_is_listed_where_it_works(toy: ModuleType) -> None:
    assert "halfway" in attack_names("image")
    assert "halfway" in attack_names("audio")
    assert "halfway" not in attack_names("table")
    with pytest.raises(InvalidArgument, match="attack: expected one of none, Wiener"):
        attack_of("halfway", "table")


def test_it_is_unknown_without_its_module() -> None:
    with pytest.raises(InvalidArgument, match="attack: expected one of none"):
        attack_of("halfway")
