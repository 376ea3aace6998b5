"""The doors of attack and bounds: options reach the library, tables show what it found."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.cli import app
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
