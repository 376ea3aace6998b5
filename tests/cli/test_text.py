"""The text commands end to end, with tiny saved encoders; and wrong pairings."""

import json
from pathlib import Path

import pytest

from catch11.modalities.text.similarity import READINGS
from tests.calls import run, said
from tests.text_world import pairs_csv, save_text_model, sentence_transformer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    sentence_transformer(root / "model")
    save_text_model(root / "rival", seed=9)
    save_text_model(root / "wide", seed=3, width=64)
    pairs_csv(root / "pairs.csv")
    status, text = run("key", root / "model", "--rank", 8, "-o", root / "text.key")
    assert status == 0, text
    status, text = run(
        "recode", root / "pairs.csv", root / "out", "--key", root / "text.key", "--model", root / "model",
        "--column", "first", "--column", "second", "--check",
    )  # fmt: skip
    assert status == 0, text
    assert "12 written" in text
    return root


def test_verify_scores_models_and_reads_no_words(world: Path) -> None:
    status, text = run(
        "verify", world / "out", "--model", world / "model", "--source", world / "pairs.csv",
        "--target", "score", "--rival", world / "rival", "--rival", world / "wide", "--json", "-",
    )  # fmt: skip
    found = json.loads(text[text.index("{") :])
    rows = {(r["model"], r["condition"], r["metric"]): r["value"] for r in found["records"]}
    assert status == 0
    # Six pairs: a rank that changes moves Spearman a lot.
    assert -1.0 <= rows["model", "nte", "spearman"] <= 1.0
    assert rows["model", "clean", "token recovery"] == 1.0
    blind = {r["attack"]: r["n"] for r in found["records"] if r["knowledge"] == ["released"]}
    assert blind == dict.fromkeys(READINGS, 6)
    assert ("wide", "nte", "spearman") not in rows
    assert any("wide takes 64 features" in warning for warning in found["warnings"])
    assert ("rival", "control", "spearman") in rows
    assert 0 < rows["model", "nte", "distance of features"] <= 0.142  # a cosine of .99
    assert found["problems"] == []


def test_embeddings_that_another_model_reads_are_not_what_is_kept(world: Path) -> None:
    status, text = run(
        "verify", world / "out", "--model", world / "rival", "--source", world / "pairs.csv", "--json", "-",
    )  # fmt: skip
    found = json.loads(text[text.index("{") :])
    assert status == 1
    assert len(found["problems"]) > 0
    assert all(
        "the list says that it keeps features within 0.141" in reason
        for _, reason in found["problems"]
    )


def test_verify_holds_the_release_against_the_key(world: Path, tmp_path: Path) -> None:
    words = ("verify", world / "out", "--model", world / "model", "--source", world / "pairs.csv")
    status, text = run(*words, "--key", world / "text.key", "--json", "-")
    assert status == 0, text
    other = tmp_path / "other.key"
    assert run("key", world / "model", "--rank", 8, "-o", other)[0] == 0
    told = said(*words, "--key", other)
    assert "signed by" in told
    assert "give the key that it was released under" in told


def test_verify_without_truth_holds_against_own_answers(world: Path) -> None:
    status, text = run(
        "verify", world / "out", "--model", world / "model", "--source", world / "pairs.csv",
        "--max-drop", "0.02",
    )  # fmt: skip
    assert status == 0, text
    assert "cosine" in text
    status, text = run(
        "verify", world / "out", "--model", world / "model", "--source", world / "pairs.csv",
        "--max-drop", "0.001",
    )  # fmt: skip
    assert status == 1
    assert "failed: the authorized model lost" in text


def test_attack_reads_words_back(world: Path, tmp_path: Path) -> None:
    lines = [f"{a} {b} {c}" for a in ("a man", "the dog", "two cat") for b in ("plays", "eats", "sees", "sings")
             for c in ("guitar", "food", "the house", "a piano", "in red")]  # fmt: skip
    (tmp_path / "s.txt").write_text("\n".join(lines))
    status, text = run(
        "recode", tmp_path / "s.txt", tmp_path / "out", "--key", world / "text.key", "--model",
        world / "model", "--method", "spectral", "--psnr", 20,
    )  # fmt: skip
    assert status == 0, text
    where = ("--model", world / "model", "--source", tmp_path / "s.txt", "--limit", 10)
    status, text = run("attack", tmp_path / "out", *where, "--training", 50, "--json", "-")
    assert status == 0, text
    found = {
        (r["attack"], r["knowledge"][0], r["settings"]["of"], r["metric"]): r["value"]
        for r in json.loads(text[text.index("{") :])["records"]
    }
    assert found["nearest tokens", "table", "clean", "token recovery"] == 1.0
    assert found["inverter", "embeddings", "clean", "token F1"] > 0.5
    assert ("inverter", "sentence embedding", "released", "bag-of-words F1") in found
    status, text = run("attack", tmp_path / "out", *where, "--training", 20)
    assert status == 2
    assert "training: expected 40 documents or more" in " ".join(text.split())


def test_attack_ranks_pairs_without_a_model(world: Path, tmp_path: Path) -> None:
    """Rows of equal documents are equal, and equal ones score highest here."""
    ways = [f"{a} {b} {c}" for a in ("a man", "the dog", "two cat") for b in ("plays", "eats", "sings")
            for c in ("guitar", "food", "the house")]  # fmt: skip
    rows = [f"{x},{ways[(i * j) % len(ways)]},{5 if j == 1 else 1}"
            for j in (1, 5) for i, x in enumerate(ways)]  # fmt: skip
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,score", *rows]))
    status, text = run(
        "recode", tmp_path / "pairs.csv", tmp_path / "out", "--key", world / "text.key", "--model",
        world / "model", "--column", "first", "--column", "second", "--method", "spectral",
        "--psnr", 40,
    )  # fmt: skip
    assert status == 0, text
    status, text = run(
        "attack", tmp_path / "out", "--model", world / "model", "--source", tmp_path / "pairs.csv",
        "--limit", 10, "--training", 50, "--target", "score", "--json", "-",
    )  # fmt: skip
    assert status == 0, text
    records = json.loads(text[text.index("{") :])["records"]
    found = {(r["attack"], r["settings"]["of"]): r for r in records if r["metric"] == "spearman"}
    assert set(found) == {(name, of) for name in READINGS for of in ("clean", "released")}
    assert all(r["n"] == len(rows) and r["knowledge"] == ["released"] for r in found.values())
    assert found["rows by place", "clean"]["value"] > 0.8
    status, text = run(
        "recode", tmp_path / "pairs.csv", tmp_path / "single", "--key", world / "text.key",
        "--model", world / "model", "--column", "first", "--method", "spectral", "--psnr", 40,
    )  # fmt: skip
    assert status == 0, text
    assert "--target: expected a release of pairs" in said(
        "attack", tmp_path / "single", "--model", world / "model", "--source",
        tmp_path / "pairs.csv", "--target", "score",
    )  # fmt: skip


def test_a_spectral_release(world: Path) -> None:
    status, text = run(
        "recode", world / "pairs.csv", world / "spectral", "--key", world / "text.key", "--model",
        world / "model", "--column", "first", "--method", "spectral", "--psnr", 6, "--half",
    )  # fmt: skip
    assert status == 0, text
    assert "6 written" in text


WRONG = {
    "pictures": (["recode", "{pictures}", "{new}", "--key", "{key}", "--model", "{model}"], "SRC: expected a .csv"),
    "model": (["recode", "{csv}", "{new}", "--key", "{key}", "--model", "{vision}"], "--model: expected a text encoder"),
    "no model": (["recode", "{csv}", "{new}", "--key", "{key}"], "--model: expected the text model"),
    "option": (["recode", "{csv}", "{new}", "--key", "{key}", "--model", "{model}", "--look", "faint"],
               "--look: expected no such option for text"),
    "format": (["recode", "{csv}", "{new}", "--key", "{key}", "--model", "{model}", "--format", "png8", "--column", "first"],
               "--format: expected tensor"),
    "rival": (["verify", "{out}", "--model", "{model}", "--rival", "{vision}", "--source", "{csv}"],
              "--model: expected a text encoder"),
    "source": (["verify", "{out}", "--model", "{model}"], "--source: expected the originals"),
    "target": (["verify", "{out}", "--model", "{model}", "--source", "{csv}", "--target", "first"],
               "--target: expected numbers"),
    "other weights": (["recode", "{csv}", "{new}", "--key", "{key}", "--model", "{rival}", "--column", "first"],
                      "the key was built from another model"),
    "radius": (["recode", "{csv}", "{new}", "--key", "{key}", "--model", "{model}", "--radius", "auto"],
               "radius: expected a number"),
    "attack": (["attack", "{out}", "--model", "{model}"], "--source: expected it, to attack texts"),
    "layer": (["key", "{model}", "-o", "{new}", "--layer", "pooler"], "layer: expected attention"),
    "probe": (["key", "{model}", "-o", "{new}", "--probe", "."], "--probe: expected no such option"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_pairing_is_one_sentence(name: str, world: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"")
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "config.json").write_text('{"model_type": "vit", "image_size": 224}')
    places = {
        "pictures": tmp_path / "p", "vision": tmp_path / "v", "new": tmp_path / "new",
        "key": world / "text.key", "model": world / "model", "csv": world / "pairs.csv",
        "out": world / "out", "rival": world / "rival",
    }  # fmt: skip
    words, sentence = WRONG[name]
    status, text = run(*(word.format(**places) for word in words))
    told = " ".join(text.split())
    assert status == 2, told
    assert sentence in told
    assert told.startswith("catch11:")
    assert told.count("catch11:") == 1
    assert "Traceback" not in told
