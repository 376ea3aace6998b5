"""The paper's configuration, from a local cache in the hub's layout and without any network."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from catch11.studies import table7
from catch11.studies.place import FAMILIES
from tests.text_world import save_text_model

CONFIG = ViTConfig(
    hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
    patch_size=4, id2label={i: str(i) for i in range(10)}, label2id={str(i): i for i in range(10)},
)  # fmt: skip
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}, "do_resize": True,
    "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3,
}  # fmt: skip
DATASETS = """
import random
from PIL import Image

class Rows(list):
    def shuffle(self, *, seed, buffer_size):
        return self
    def take(self, count):
        return self[:count]

def load_dataset(name, *, split, streaming):
    draw = random.Random(split)
    return Rows(
        {"image": Image.frombytes("RGB", (20, 18), draw.randbytes(1080)), "label": i % 10}
        for i in range(40)
    )
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every model of the paper's photographs and families under its id, each a tiny one with weights of its own."""
    home = tmp_path_factory.mktemp("hub")
    families = (FAMILIES["paper"][name].values() for name in ("photographs", "families"))
    specs = dict.fromkeys(spec for family in families for spec in family if spec[:3] == "hf:")
    for seed, spec in enumerate(specs):
        folder = snapshot(home, spec.removeprefix("hf:"))
        torch.manual_seed(seed)
        ViTForImageClassification(CONFIG).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return home


def snapshot(home: Path, name: str) -> Path:
    """A new folder where a cache has the files of that id."""
    folder = home / ("models--" + name.replace("/", "--"))
    made = folder / "snapshots" / "0123"
    made.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123")
    return made


def run(words: list[str], cache: Path, out: Path, path: Path) -> subprocess.CompletedProcess[str]:
    asked = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, "-m", "catch11", "study", *words, "--hub", "--out", str(out), "--json"],
        env={**os.environ, **asked}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_from_a_cache(cache: Path, tmp_path: Path) -> None:
    """Models by their ids, pictures from a stand-in for the data set's library."""
    (tmp_path / "datasets.py").write_text(DATASETS)
    made = run(["table1", "--only", "vit-base, spectral"], cache, tmp_path / "out", tmp_path)
    assert made.returncode == 0, made.stderr
    records = json.loads(made.stdout)["studies"]["table1"]["records"]
    assert {record["model"] for record in records} == set(FAMILIES["paper"]["photographs"])
    assert {record["n"] for record in records} == {40}
    assert {record["command"] for record in records} == {"catch11 study table1 --quick --hub"}


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm would ask for its own weights")
def test_the_families_from_a_cache(cache: Path, tmp_path: Path) -> None:
    """Those of timm are left out where it is not installed."""
    (tmp_path / "datasets.py").write_text(DATASETS)
    made = run(["families", "--only", "vit, spectral, 10"], cache, tmp_path / "out", tmp_path)
    assert made.returncode == 0, made.stderr
    records = json.loads(made.stdout)["studies"]["families"]["records"]
    wanted = [name for name, spec in FAMILIES["paper"]["families"].items() if spec[:3] == "hf:"]
    assert {record["model"] for record in records} == set(wanted)
    assert len(wanted) == 8
    assert {record["command"] for record in records} == {"catch11 study families --quick --hub"}


GLUE = """
def load_dataset(name, task, *, split):
    assert (name, task, split) == ("nyu-mll/glue", "sst2", "validation")
    words = ["the man plays in the house .", "the dog eats with food ."] * 4
    return {"sentence": words, "label": [0, 1] * 4}
"""


def test_both_families_of_texts_from_a_cache(tmp_path: Path) -> None:
    """Table 7 as the paper has it, BERT authorized and RoBERTa a rival, tiny ones under the hub's ids."""
    home = tmp_path / "hub"
    for kind, name in table7.HUB.items():
        save_text_model(snapshot(home, name.format(table7.HUB_NAMES["sst2"])), kind, labels=2)
    (tmp_path / "datasets.py").write_text(GLUE)
    made = run(["table7", "--only", "sst2"], home, tmp_path / "out", tmp_path)
    assert made.returncode == 0, made.stderr
    records = json.loads(made.stdout)["studies"]["table7"]["records"]
    assert {record["settings"]["recoder"] for record in records} == set(table7.RECODERS)
    assert len({record["model"] for record in records}) == 2
    own = [r for r in records if r["condition"] == "clean" and r["role"] != "authorized"]
    assert [record["n"] for record in own] == [8]  # RoBERTa through its own embeddings and head
    released = [r for r in records if r["condition"] == "nte" and r["role"] == "authorized"]
    assert all(record["n"] + record["settings"]["withheld"] == 8 for record in released)


def test_without_network_and_cache(tmp_path: Path) -> None:
    words = ["table5", "--only", "vit-base"]
    made = run(words, tmp_path / "empty", tmp_path / "out", tmp_path)
    assert made.returncode == 2
    assert made.stdout == ""
    assert made.stderr.strip().count("\n") == 0, "one sentence"
    assert "not in the local cache and the hub cannot be reached" in made.stderr
