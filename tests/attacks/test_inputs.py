"""A record is taken up again where everything that decided it is the same, and only there."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image

from catch11.attacks import Assault, Attack, Effort, Jury, Material, attack_names, attack_release
from catch11.attacks.adaptation import FineTune, Sweep
from catch11.attacks.frame import Finding, attack_of
from catch11.evaluation.score import share_of
from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from tests.world import World, build_world

COUNT = 16
FEW = Effort(judged=6, training=4, public=5)
EVERY = ("none", "mean-patch", "average", "fine-tune", "linear-reconstruction", "project-out",
         "probe", "collude")  # fmt: skip
Given = dict[str, Any]


class Home(NamedTuple):
    """What every attack is given at first, and a folder to put other things in."""

    world: World
    given: Given
    root: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("inputs")
    world = build_world(root, count=COUNT)
    _noise(root / "public", seed=1)
    release(world.source, root / "second", SpectralRecoder(world.key, psnr=9.0, tag="b"))
    given = {
        "rivals": [world.rival], "model": world.model, "source": world.source,
        "labels": world.labels, "key": world.key, "public": root / "public",
        "others": [root / "second"], "effort": FEW,
    }  # fmt: skip
    return Home(world, given, root)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the attacks that were worked out; their answers are not asked for."""
    seen: list[str] = []

    def call(self: Attack, material: Material, jury: Jury, *, seed: int) -> tuple[Finding, ...]:
        seen.append(self.name)
        made = (share_of("accuracy", (True,) * len(material.released)),)
        known = tuple(sorted(self.knowledge))
        return tuple(
            Finding(
                attack=self.name, knowledge=known, rival=name, setting="", measures=made, tries=1
            )
            for name in jury.rivals
        )

    monkeypatch.setattr(Attack, "__call__", call)
    return seen


def _noise(folder: Path, *, seed: int) -> Path:
    """Eight pictures of the same names whatever the seed."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(seed)
    for number in range(8):
        pixels = torch.randint(256, (28, 28, 3), generator=generator, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")
    return folder


def _public(home: Home, folder: Path) -> Given:
    return {"public": _noise(folder / "public", seed=2)}


def _less_public(home: Home, folder: Path) -> Given:
    return {"effort": replace(FEW, public=4)}


def _others(home: Home, folder: Path) -> Given:
    release(home.world.source, folder / "b", SpectralRecoder(home.world.key, psnr=20.0, tag="b"))
    return {"others": [folder / "b"]}


def _labels(home: Home, folder: Path) -> Given:
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        table.writerows([f"{i:02}.png", (i + 1) % 4] for i in range(COUNT))
    return {"labels": path}


def _changed(home: Home, folder: Path, place: tuple[int, int]) -> Given:
    """The sources again, a pixel of each another."""
    source = folder / "photos"
    source.mkdir()
    for path in sorted(home.world.source.iterdir()):
        picture = Image.open(path)
        picture.putpixel(place, (255, 0, 255))
        picture.save(source / path.name)
    return {"source": source, "ledger": Path(f"{home.world.released}.ledger.jsonl")}


def _source(home: Home, folder: Path) -> Given:
    return _changed(home, folder, (12, 12))


def _margin(home: Home, folder: Path) -> Given:
    return _changed(home, folder, (0, 0))


def _key(home: Home, folder: Path) -> Given:
    return {"key": build_key(home.world.model, energy=1e-6, secret=bytes(range(1, 33)))}


def _recoder(home: Home, folder: Path) -> Given:
    return {"recoder": SpectralRecoder(home.world.key, psnr=12.0)}


def _authorized(home: Home, folder: Path) -> Given:
    return {"rivals": [home.world.model], "model": home.world.rival}


def _pipeline(home: Home, folder: Path) -> Given:
    return {"rivals": [replace(home.world.rival, spec="onnx:theirs")]}


Change = Callable[[Home, Path], Given]
# What is given otherwise, and the attacks (and the same files without one) whose numbers it decides.
CHANGES: tuple[tuple[Change, set[str]], ...] = (
    (_public, {"mean-patch", "probe", "collude"}),
    (_less_public, {"mean-patch", "probe", "collude"}),
    (_others, {"average", "collude"}),
    (_labels, {*EVERY, "conditions"}),
    (_source, {*EVERY, "conditions"}),
    (_margin, {"conditions"}),
    (_key, {"project-out", "probe"}),
    (_recoder, {"probe"}),
    (_authorized, {*EVERY, "conditions"}),
    (_pipeline, {*EVERY, "conditions"}),
)


def _run(home: Home, path: Path, **changed: Any) -> tuple[Assault, set[str]]:
    """The assault, and the cells whose records it added to the file."""
    before = len(path.read_text().splitlines()) if path.exists() else 0
    given = {**home.given, **changed}
    rivals = given.pop("rivals")
    names = given.pop("attacks", EVERY)
    found = attack_release(home.world.released, rivals, attacks=names, records=path, **given)
    added = path.read_text().splitlines()[before:]
    return found, {
        name.removeprefix("attack ")
        for line in added
        for name in re.findall(r'"cell name": "([^"]*)"', line)
    }


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_changed_input_is_worked_out_again(
    change: Change, expected: set[str], home: Home, tmp_path: Path, ran: list[str]
) -> None:
    path = tmp_path / "records.jsonl"
    _, first = _run(home, path)
    assert first == {*EVERY, "conditions"}
    assert sorted(ran) == sorted(EVERY)
    ran.clear()
    assert _run(home, path)[1] == set()
    assert ran == []
    changed = change(home, tmp_path)
    found, again = _run(home, path, **changed)
    assert again == expected
    assert set(ran) == expected - {"conditions"}
    ran.clear()
    assert _run(home, path, **changed)[0].records == found.records
    assert ran == []
    assert home.world.key.secret.hex() not in path.read_text()


def test_other_lessons_are_learned_again(home: Home, tmp_path: Path, ran: list[str]) -> None:
    path = tmp_path / "records.jsonl"
    lessons = tmp_path / "lessons"
    given = {"learn": lessons, "attacks": ("none", "fine-tune")}
    release(home.world.source, lessons, SpectralRecoder(home.world.key, psnr=9.0, tag="c"))
    _run(home, path, **given)
    lessons.rename(tmp_path / "old")
    Path(f"{lessons}.ledger.jsonl").rename(tmp_path / "old.ledger.jsonl")
    release(home.world.source, lessons, SpectralRecoder(home.world.key, psnr=9.0, tag="d"))
    assert _run(home, path, **given)[1] == {"fine-tune"}


def test_another_role_is_another_record(home: Home, tmp_path: Path, ran: list[str]) -> None:
    """A key says that a rival descends from its model."""
    given: Given = {"rivals": [home.world.model], "model": None, "attacks": ("none",)}
    path = tmp_path / "records.jsonl"
    found, _ = _run(home, path, **given, key=None)
    assert {record.role for record in found.records} == {"ga"}
    found, again = _run(home, path, **given)
    assert again == {"none"}
    assert {record.role for record in found.records} == {"sibling"}


def test_an_attack_set_otherwise_is_another_cell(
    home: Home, tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "records.jsonl"
    _run(home, path)
    once = Sweep(epochs=(1,))
    monkeypatch.setattr(FineTune, "__init__", lambda self: setattr(self, "sweep", once))
    assert _run(home, path)[1] == {"fine-tune"}


@pytest.mark.parametrize("name", attack_names())
def test_settings_of_attacks_read_the_same_in_any_process(name: str) -> None:
    assert " at 0x" not in repr(vars(attack_of(name)()))
