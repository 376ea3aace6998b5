"""Sealed copies of a real model in both formats: recoded for its owner's secret, read by nobody else."""

import json
from pathlib import Path
from typing import Any

import pytest

from catch11.studies.place import Place
from tests.cli.test_commands import Done, run

pytestmark = pytest.mark.real
COUNT = 24
CHANCE = 10 / COUNT  # ten classes; so many or more are hit by chance once in 10,000


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Path:
    """ResNet-20, sealed twice for one licensee, and thumbnails released for them."""
    folder = tmp_path_factory.mktemp("owner")
    model = _model(assets)
    taken = Place(assets=assets).pictures("thumbnails", COUNT)
    (folder / "source").mkdir()
    rows = ["file,label"]
    for number, (image, label) in enumerate(zip(taken.images, taken.labels.tolist(), strict=True)):
        image.save(folder / "source" / f"{number:02}.png")
        rows.append(f"{number:02}.png,{label}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    for suffix in ("onnx", "pt2"):
        _done(
            "seal", model, "-o", folder / f"copy-{suffix}.{suffix}", "--secret", folder / "a.secret"
        )
    _done("key", model, "-o", folder / "my.key")
    _done(
        "recode", folder / "source", folder / "out", "--key", folder / "my.key", "--secret",
        folder / "a.secret", "--model", model, "--method", "deep", "--keep", "scores", "--check",
    )  # fmt: skip
    return folder


def _model(assets: Path) -> str:
    return f"torch:{assets / 'models' / 'cifar10_resnet20.safetensors'}"


def _done(*words: object) -> Done:
    done = run(*words)
    assert done.status == 0, done.err or done.out
    return done


def _verified(owner: Path, kind: str, *more: object) -> dict[str, Any]:
    copy = f"{kind}:{owner / {'onnx': 'copy-onnx.onnx', 'torch': 'copy-pt2.pt2'}[kind]}"
    leave = ["--allow-code"] if kind == "torch" else []
    found = json.loads(_done("verify", owner / "out", "--model", copy, *leave, *more, "--json").out)
    assert found["problems"] == []
    return {f"{r['role']} {r['condition']} {r['metric']}": r for r in found["records"]}


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_the_owner_verifies_through_the_copy(kind: str, owner: Path, assets: Path) -> None:
    found = _verified(
        owner, kind, "--source", owner / "source", "--secret", owner / "a.secret", "--key",
        owner / "my.key", "--rival", _model(assets),
    )  # fmt: skip
    answered = found["authorized nte agreement"]
    assert (answered["value"], answered["n"] > COUNT / 2) == (1.0, True)
    kept = found["authorized nte KL, nats"]
    assert kept["n"] == answered["n"]
    assert 0 < kept["value"] <= 0.01
    (rival,) = (r for name, r in found.items() if "nte agreement" in name and r is not answered)
    assert rival["value"] < CHANCE


@pytest.mark.parametrize("kind", ["onnx", "torch"])
def test_the_licensee_verifies_without_the_secret(kind: str, owner: Path, assets: Path) -> None:
    labels = ("--labels", owner / "labels.csv")
    found = _verified(owner, kind, *labels, "--rival", _model(assets))
    assert found["authorized nte accuracy"]["value"] > 0.6
    (rival,) = (
        r for name, r in found.items() if "nte accuracy" in name and "authorized" not in name
    )
    assert rival["value"] < CHANCE
