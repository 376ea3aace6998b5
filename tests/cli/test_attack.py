"""The doors of attack and bounds: options reach the library, tables show what it found."""

import json
import math
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

from catch11.cli import app
from catch11.cli.attack import strongest
from catch11.evaluation.record import Record
from catch11.keys.file import save_key
from tests.world import World, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=12)


@pytest.fixture
def key(world: World, tmp_path: Path) -> str:
    """The key's file."""
    path = tmp_path / "my.key"
    save_key(world.key, path)
    return str(path)


def test_attack(world: World, key: str, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = [
        "attack", world.released, "--rival", world.theirs, "--model", world.ours, "--source", world.source,
        "--labels", world.labels, "--key", key, "--attack", "none", "--attack", "project-out",
        "--limit", 6, "--json", out,
    ]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert "project-out" in done.output
    assert "it favours the attacker" in done.output
    assert "strongest of 2, accuracy: theirs by" in done.output
    found = json.loads(out.read_text())
    assert {(r["attack"], r["model"]) for r in found["records"]} == {
        (attack, model) for attack in ("none", "project-out") for model in ("ours", "theirs")
    }
    assert all(row["n"] == 6 and row["command"] for row in found["records"])


def test_attack_says_what_is_missing(world: World, key: str) -> None:
    words = ["attack", str(world.released), "--rival", world.theirs, "--attack", "probe"]
    done = CliRunner().invoke(app, [*words, "--labels", str(world.labels)])
    assert done.exit_code == 2
    assert "without key-queries, public" in " ".join(done.output.split())


def test_bounds(world: World, key: str) -> None:
    done = CliRunner().invoke(
        app, ["bounds", key, "--psnr", "9", "--rival", world.theirs, "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["psnr"] == 9.0
    rows = {(row["of"], row["name"]): row for row in found["bounds"]}
    assert rows["authorized", "sphere"]["high"] < rows["theirs", "sphere"]["low"]
    shown = CliRunner().invoke(app, ["bounds", key])
    assert "certificate" in shown.output


def record(
    model: str, role: Literal["authorized", "ga", "ta"], attack: str, value: float
) -> Record:
    return Record(
        model=model, role=role, condition="attack", metric="accuracy", value=value,
        low=0.0, high=1.0, n=9, attack=attack,
    )  # fmt: skip


def test_the_strongest_attack_is_that_of_a_stranger_and_no_unknown_value() -> None:
    rows = [
        record("ours", "authorized", "none", 0.9), record("theirs", "ga", "blur", 0.2),
        record("twin", "ta", "average", 0.3), record("theirs", "ga", "broken", math.nan),
    ]  # fmt: skip
    assert strongest(rows) == [
        "strongest of 3, accuracy: twin by average at 0.30 [0.00, 1.00]",
    ]
    assert strongest(rows[:1]) == []
