"""One folder of everything: each kind of key takes what is its own and says why not the rest."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.data.sounds import encode_clip
from catch11.keys.file import save_key
from catch11.keys.key import build_key
from catch11.modalities.audio.nets import Keywords
from catch11.modalities.table.net import Perceptron
from catch11.releases.ledger import read_ledger
from tests.calls import run
from tests.text_world import save_text_model

# The content of pictures and sounds decides, not the suffix.
OWN = {
    "image": {"a.png", "deep/b.jpg", "picture.wav"},
    "audio": {"a.wav", "deep/b.wav", "wave.csv"},
    "table": {"a.csv"},
    "text": {"a.txt"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixed")
    src = root / "src"
    (src / "deep").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in ("a.png", "deep/b.jpg"):
        Image.fromarray(draw.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(src / name)
    for name in ("a.wav", "deep/b.wav"):
        (src / name).write_bytes(encode_clip(0.1 * draw.standard_normal(300), 4000))
    with (src / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["c0", "c1", "c2", "c3"])
        writer.writerows(draw.standard_normal((5, 4)).tolist())
    (src / "a.txt").write_text("one small text\n")
    (src / "empty.png").write_bytes(b"")
    (src / "empty.wav").write_bytes(b"")
    (src / "empty.csv").write_bytes(b"")
    (src / "empty.txt").write_bytes(b"")
    (src / "wave.csv").write_bytes((src / "a.wav").read_bytes())
    (src / "picture.wav").write_bytes((src / "a.png").read_bytes())
    (src / "\udcff.bin").write_bytes(b"\xff\xfe")
    (src / "loop").symlink_to(src)
    torch.manual_seed(0)
    front = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(), nn.Linear(32, 3))
    save_key(build_key(front, canvas=plain_canvas(8, 8)), root / "image.key")
    save_file(
        Keywords(classes=3, first=4, kernel=20, wide=4, framed=True).state_dict(),
        root / "audio.safetensors",
    )
    (root / "audio.json").write_text(json.dumps({"sample_rate": 4000, "samples": 400}))
    save_file(Perceptron([4, 2, 3]).state_dict(), root / "table.safetensors")
    columns = [{"name": f"c{i}", "mean": 0.0, "std": 1.0} for i in range(4)]
    (root / "table.json").write_text(json.dumps({"columns": columns}))
    save_text_model(root / "text", seed=0)
    for kind in ("audio", "table"):
        status, text = run("key", root / f"{kind}.safetensors", "-o", root / f"{kind}.key")
        assert status == 0, text
    status, text = run("key", root / "text", "--rank", "4", "-o", root / "text.key")
    assert status == 0, text
    return root


MODELS = {
    "image": (),
    "audio": (),
    "table": ("--model", "table.safetensors"),
    "text": ("--model", "text"),
}


@pytest.mark.parametrize("kind", OWN)
def test_each_key_takes_its_own(world: Path, kind: str) -> None:
    option = [word if word.startswith("--") else str(world / word) for word in MODELS[kind]]
    dst = world / f"out-{kind}"
    status, text = run("recode", world / "src", dst, "--key", world / f"{kind}.key", *option)
    assert status == 0, text
    rows = read_ledger(Path(f"{dst}.ledger.jsonl"))
    released = {
        row.source.partition("#")[0].partition(":")[0] for row in rows if row.outcome == "released"
    }
    assert released == OWN[kind]
    told = {row.source: row.reason for row in rows if row.outcome == "skipped"}
    assert all(told.values())
    own = {"image": "empty.png", "audio": "empty.wav", "table": "empty.csv", "text": "empty.txt"}
    assert any(own[kind] in source for source in told)


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("other", OWN)
def test_a_key_with_a_model_of_another_kind(world: Path, kind: str, other: str) -> None:
    spec = {
        "image": f"torch:{world / 'image.safetensors'}", "audio": str(world / "audio.safetensors"),
        "table": str(world / "table.safetensors"), "text": str(world / "text"),
    }[other]  # fmt: skip
    if kind == other:
        return
    status, text = run(
        "recode", world / "src", world / "none", "--key", world / f"{kind}.key", "--model", spec
    )
    sentence = " ".join(text.split())
    assert status == 2, text
    assert f"as the key is for {kind}" in sentence
    assert "unexpected" not in sentence
    assert not (world / "none").exists()
