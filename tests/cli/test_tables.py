"""The commands on tables, end to end, with a perceptron from a file; gaps, strengths, pairings."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from catch11.modalities.table.model import load_table
from catch11.modalities.table.net import Perceptron
from catch11.releases.ledger import read_ledger
from tests.calls import run, said

WIDTH = 10
NAMES = [f"c{index}" for index in range(WIDTH)]


def save_model(path: Path, *, seed: int, hidden: int = 4, nudge: float = 0.0) -> str:
    torch.manual_seed(seed)
    weights = Perceptron([WIDTH, hidden, 3]).state_dict()
    save_file({name: value + nudge for name, value in weights.items()}, path)
    columns = [{"name": name, "mean": 5.0, "std": 2.0} for name in NAMES]
    path.with_suffix(".json").write_text(
        json.dumps({"columns": columns, "classes": ["x", "y", "z"]})
    )
    return f"torch:{path}"


def write_table(path: Path, rows: np.ndarray, labels: Sequence[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *reversed(NAMES), "class"])
        for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
            writer.writerow([f"p{index}", *map(repr, reversed(row.tolist())), label])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    spec = save_model(root / "net.safetensors", seed=0)
    save_model(root / "rival.safetensors", seed=1, hidden=6)
    save_model(root / "sibling.safetensors", seed=0, nudge=1e-4)
    model = load_table(spec)
    rows = 5.0 + 2.0 * np.random.default_rng(0).standard_normal((40, WIDTH))
    answers = model.logits(model.standardise(rows)).argmax(1).tolist()
    labels = [model.labels[answer] for answer in answers]
    (root / "src").mkdir()
    write_table(root / "src" / "one.csv", rows[:25], labels[:25])
    write_table(root / "src" / "two.csv", rows[25:], labels[25:])
    with (root / "src" / "two.csv").open("a") as file:
        file.write("p99" + ",nan" * WIDTH + ",x\n")
    (root / "src" / "note.md").write_text("no table")
    (root / "src" / "other.csv").write_text("a,b\n1,2\n")
    status, text = run("key", spec, "-o", root / "t.key")
    assert status == 0, text
    assert "6 of 10 directions" in text
    return root


def recode(world: Path, dst: str, *more: object, src: str = "src") -> tuple[int, str]:
    net = world / "net.safetensors"
    return run(
        "recode", world / src, world / dst, "--key", world / "t.key", "--model", net, *more
    )  # fmt: skip


def test_recode_and_verify(world: Path) -> None:
    status, text = recode(world, "out", "--check")
    assert status == 0, text
    assert "2 written (40 rows), 2 skipped as unreadable, 1 rows withheld" in " ".join(text.split())
    assert "withheld  two.csv#16: column 'c0' holds 'nan', which is no number" in text
    assert "skipped   other.csv: the column 'c0' is missing" in text
    rows = {row.source: row for row in read_ledger(Path(f"{world / 'out'}.ledger.jsonl"))}
    assert rows["two.csv#16"].reason == "column 'c0' holds 'nan', which is no number"
    assert rows["two.csv#15"].outcome == "released"
    assert rows["other.csv"].reason == "the column 'c0' is missing"
    assert rows["note.md"].reason == "this release is of .csv files"
    assert rows["one.csv"].psnr == pytest.approx(-30.0, abs=0.01)
    released, source = (
        (world / place / "one.csv").read_text().splitlines() for place in ("out", "src")
    )
    assert released[0] == source[0]
    assert [line.split(",")[0] for line in released] == [line.split(",")[0] for line in source]
    status, text = run(
        "verify", world / "out", "--model", world / "net.safetensors", "--rival",
        world / "rival.safetensors", "--source", world / "src", "--target", "class", "--max-drop", "0",
        "--json", "-",
    )  # fmt: skip
    assert status == 0, text
    found = json.loads(text[text.index("{") :])
    shares = {(r["model"], r["condition"], r["metric"]): r["value"] for r in found["records"]}
    assert shares["net", "nte", "accuracy"] == shares["net", "clean", "accuracy"] == 1.0
    assert shares["net", "gaussian", "accuracy"] < 0.7
    assert shares["rival", "nte", "agreement"] < 0.7
    # A sibling of the authorized model reads on, whatever the key.
    status, text = run(
        "verify", world / "out", "--model", world / "net.safetensors", "--rival",
        world / "sibling.safetensors", "--max-rival", "0",
    )  # fmt: skip
    assert status == 1, text
    assert "failed:" in text


def test_nothing_released_is_a_finding_with_its_reason(world: Path) -> None:
    (world / "commas").mkdir()
    cells = ";".join(["7,25"] * WIDTH)
    (world / "commas" / "one.csv").write_text(f"{';'.join(NAMES)}\n{cells}\n{cells}\n")
    status, text = recode(world, "none", src="commas")
    assert status == 1, text
    assert "one.csv#1 and 1 more: " in text
    assert "holds '7,25', which is no number" in " ".join(text.split())


def test_verify_holds_the_release_against_the_key(world: Path) -> None:
    words = ("verify", world / "out", "--model", world / "net.safetensors", "--key")
    assert (world / "out").is_dir() or recode(world, "out")[0] == 0
    status, text = run(*words, world / "t.key")
    assert status == 0, text
    assert run("key", world / "net.safetensors", "-o", world / "other.key")[0] == 0
    assert "expected" in (told := said(*words, world / "other.key"))
    assert "signed by" in told
    assert "give the key that it was released under" in told


def test_a_second_run_changes_nothing_and_a_second_strength_is_refused(world: Path) -> None:
    assert recode(world, "again")[0] == 0
    before = (
        (world / "again" / "one.csv").read_bytes(),
        (world / "again" / "manifest.jsonl").read_bytes(),
    )
    status, text = recode(world, "again")
    assert status == 0
    assert "2 already there" in " ".join(text.split())
    after = (
        (world / "again" / "one.csv").read_bytes(),
        (world / "again" / "manifest.jsonl").read_bytes(),
    )
    assert before == after
    sentence = said(
        "recode", world / "src", world / "third", "--key", world / "t.key", "--model",
        world / "net.safetensors", "--psnr", "-3", "--ledger", world / "again.ledger.jsonl",
    )  # fmt: skip
    assert "the ledger knows its content" in sentence
    part = world / "part.csv"
    lines = (world / "src" / "one.csv").read_text().splitlines()
    part.write_text("\n".join([lines[0], lines[3]]))
    sentence = said(
        "recode", part, world / "fourth", "--key", world / "t.key", "--model",
        world / "net.safetensors", "--psnr", "-3", "--ledger", world / "again.ledger.jsonl",
    )  # fmt: skip
    assert "part.csv#1: the ledger knows its content" in sentence


def test_deep_rows(world: Path) -> None:
    status, text = recode(
        world, "deep", "--method", "deep", "--margin", "0.05", "--check", "--workers", 2
    )
    assert status == 0, text
    assert "written" in text


def _verified(world: Path, dst: str, model: str) -> tuple[int, dict]:
    status, text = run(
        "verify", world / dst, "--model", world / f"{model}.safetensors", "--source", world / "src",
        "--json", "-",
    )  # fmt: skip
    return status, json.loads(text[text.index("{") :])


def test_what_rows_keep_is_measured_again(world: Path) -> None:
    """By a net of three times the scores, which says the same classes, they are farther off than listed."""
    status, text = recode(
        world, "kept", "--method", "deep", "--keep", "scores", "--margin", "0.05", "--check"
    )
    assert status == 0, text
    status, found = _verified(world, "kept", "net")
    kept = {r["metric"]: r for r in found["records"] if r["condition"] == "nte"}
    assert (status, found["problems"]) == (0, [])
    assert kept["KL, nats"]["n"] == kept["agreement"]["n"] > 0
    assert 0 < kept["KL, nats"]["value"] <= 0.01

    state = load_file(world / "net.safetensors")
    last = max(name for name in state if name.endswith("weight")).removesuffix("weight")
    sharp = {name: value * (3 if name.startswith(last) else 1) for name, value in state.items()}
    save_file(sharp, world / "sharp.safetensors")
    (world / "sharp.json").write_text((world / "net.json").read_text())
    status, found = _verified(world, "kept", "sharp")
    assert status == 1
    name, reason = found["problems"][0]
    assert name.split("#")[0] in ("one.csv", "two.csv")
    assert "(scores within 0.01); the list says that it keeps scores within 0.01" in reason


def test_a_changed_file_is_told(world: Path) -> None:
    assert recode(world, "bad")[0] == 0
    with (world / "bad" / "one.csv").open("a") as file:
        file.write("p1" + ",1" * WIDTH + ",x\n")
    assert "not the ones listed" in said(
        "verify", world / "bad", "--model", world / "net.safetensors"
    )


def test_wrong_pairings_are_one_sentence(world: Path) -> None:
    key, net = world / "t.key", world / "net.safetensors"
    (world / "words").mkdir(exist_ok=True)
    (world / "words" / "a.wav").write_bytes(b"RIFF")
    sentence = said("recode", world / "src" / "one.csv", world / "x", "--key", key)
    assert "--model: expected the model, which names the columns" in sentence
    rival = world / "rival.safetensors"
    sentence = said("recode", world / "src", world / "x", "--key", key, "--model", rival)
    assert "the key was built from another model" in sentence
    sentence = said("recode", world / "words", world / "x", "--key", key, "--model", net)
    assert "found .wav files" in sentence
    assert "go with a model of sounds" in sentence
    sentence = said(
        "recode", world / "src", world / "x", "--key", key, "--model", net, "--format", "png8"
    )
    assert "--format: expected no such option for tables" in sentence
    sentence = said(
        "recode", world / "src" / "other.csv", world / "x", "--key", key, "--model", net
    )
    assert "the column 'c0' is missing" in sentence
    sentence = said("recode", world / "none.csv", world / "x", "--key", key, "--model", net)
    assert "there is no such source" in sentence
    assert not (world / "x").exists()


BAD_FACTS = [
    ({"columns": []}, "its 0 columns are none"),
    ({"columns": [{"name": "a"}]}, "a column states"),
    ({"columns": [{"name": "a", "mean": 0, "std": 1}] * 2}, "named twice"),
    ({"columns": [{"name": "a", "mean": 0, "std": 1}]}, "does not run on its own input"),
    ({"columns": "all"}, "states no"),
]


@pytest.mark.parametrize(("facts", "match"), BAD_FACTS, ids=lambda v: str(v)[:30])
def test_hostile_settings_beside_a_model(tmp_path: Path, facts: object, match: str) -> None:
    save_model(tmp_path / "net.safetensors", seed=0)
    (tmp_path / "net.json").write_text(json.dumps({"modality": "table", **dict(facts)}))  # type: ignore[call-overload]
    assert match in said("key", tmp_path / "net.safetensors", "-o", tmp_path / "k.key")


def test_attack_undoes_a_table(world: Path) -> None:
    recode(world, "hit")
    words = (
        "attack",
        world / "hit",
        "--rival",
        world / "rival.safetensors",
        "--source",
        world / "src",
    )
    full = (*words, "--model", world / "net.safetensors", "--key", world / "t.key", "--public",
            world / "src" / "one.csv", "--limit", 15, "--target", "class")  # fmt: skip
    status, text = run(*full, "--json", "-")
    assert status == 0, text
    found = json.loads(text[text.index("{") :])["records"]
    by = {(r["model"], r["attack"]): r for r in found}
    assert {attack for _, attack in by} == {None, "regression", "Wiener", "front known"}
    assert by["net", None]["value"] == by["net", "front known"]["value"] == 1.0
    assert by["net", None]["metric"] == "accuracy"
    assert {r["n"] for r in found} == {15}
    status, text = run(*words, "--limit", 15, "--attack", "regression")
    assert status == 0, text
    assert "agreement" in text


def test_attack_says_what_a_table_lacks(world: Path) -> None:
    recode(world, "miss")
    words: tuple[object, ...] = ("attack", world / "miss", "--rival", world / "rival.safetensors")
    assert "--source: expected the originals, to attack tables" in said(*words)
    words = (*words, "--source", world / "src", "--limit", 15)
    lacks = "attack Wiener: expected an attacker who holds public, released, found without public"
    assert lacks in said(*words, "--attack", "Wiener")
    assert "attack: expected one of none, Wiener, front known, regression, found blur" in said(
        *words, "--attack", "blur"
    )
    assert "--labels: expected no such option for tables" in said(*words, "--labels", world / "x")
    (world / "none").mkdir(exist_ok=True)
    assert "--public: expected a table or some" in said(*words, "--public", world / "none")
