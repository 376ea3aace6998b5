"""The commands from end to end on tiny vision-language models, as a person runs them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from catch11.models.vlm.load import ask
from catch11.studies.nets.tiny_vlm import Family
from tests.cli.test_commands import run
from tests.models.vlm.tiny import FAMILIES, folder, pictures, tiny

COUNT = 4
PROMPT = "What is this?"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources of a size that no model reads, and one that is no picture."""
    home = tmp_path_factory.mktemp("vlm")
    (home / "source").mkdir()
    for number, picture in enumerate(pictures(COUNT, height=60, width=90)):
        picture.save(home / "source" / f"{number}.jpg", quality=95)
    (home / "source" / "notes.png").write_bytes(b"no picture")
    return home


@pytest.mark.parametrize(("owner", "rival"), [FAMILIES, FAMILIES[::-1]], ids=FAMILIES)
def test_either_model_from_key_to_verdict(owner: Family, rival: Family, place: Path) -> None:
    model = f"hf:{folder(owner)}?size=56x56&tokens=4"
    home = place / owner
    home.mkdir()
    seen = run("inspect", model, "--json")
    assert seen.status == 0, seen.err
    assert seen.json["geometry"] == "patch"
    assert run("key", model, "-o", home / "my.key").status == 0
    asked = (place / "source", home / "out", "--key", home / "my.key", "--psnr", 12)
    done = run("recode", *asked, "--check", "--model", model, "--json")
    assert done.status == 0, done.err
    assert done.json["written"] + done.json["withheld"] == COUNT
    assert done.json["written"] >= COUNT // 2
    assert done.json["skipped"] == 1
    others = ("--rival", f"hf:{folder(owner, 1)}?size=56x56", "--rival", f"hf:{folder(rival)}")
    judged = run(
        "verify", home / "out", "--model", model, *others, "--source", place / "source",
        "--key", home / "my.key", "--prompt", PROMPT, "--json",
    )  # fmt: skip
    assert judged.status == 0, judged.err
    every = [row for row in judged.json["records"] if row["condition"] == "nte"]
    assert {row["metric"] for row in every} == {"agreement", "KL, nats"}
    released = [row for row in every if row["metric"] == "agreement"]
    assert [row["role"] for row in released] == ["authorized", "ta", "ga"]
    assert {row["settings"]["prompt"] for row in released} == {PROMPT}
    own, *rest = (row["value"] for row in released)
    assert own >= 0.6
    assert max(rest) <= 0.3
    # The licensee's own pipeline, without any of this.
    entries = [
        json.loads(line) for line in (home / "out" / "manifest.jsonl").read_text().splitlines()
    ]
    files = [row["file"] for row in entries if "file" in row]
    for file in files:
        with Image.open(home / "out" / file) as image:
            assert image.size == (56, 56)
            assert ask(tiny(owner), [image], PROMPT, tokens=2) is not None


def test_deep_matches_the_vision_side(place: Path) -> None:
    model = f"hf:{folder('qwen2_5_vl')}?size=56x56&tokens=4"
    home = place / "deep"
    home.mkdir()
    assert run("key", model, "-o", home / "my.key").status == 0
    asked = (place / "source", home / "out", "--key", home / "my.key", "--method", "deep")
    how = (
        "--at",
        "tower",
        "--agreement",
        "match<0.1",
        "--margin",
        0,
        "--radius",
        128,
        "--steps",
        80,
    )
    done = run("recode", *asked, *how, "--model", model, "--json")
    assert done.status == 0, done.err
    assert done.json["written"] >= 1
    assert done.json["written"] + done.json["withheld"] == COUNT


def test_what_goes_wrong_is_one_sentence(place: Path) -> None:
    model = f"hf:{folder('internvl')}"
    key = place / "wrong.key"
    assert run("key", model, "-o", key).status == 0
    out = place / "wrong"
    assert run("recode", place / "source", out, "--key", key, "--psnr", 12).status == 0
    labels = place / "labels.csv"
    labels.write_text("file,label\n0,1\n1,0\n2,0\n3,1\n")
    cases = (
        (("key", f"{model}?size=10x10", "-o", place / "no.key"), "no whole tiles of 56"),
        (("key", f"{model}?colour=red", "-o", place / "no.key"), "found colour"),
        (("verify", out, "--model", model, "--labels", labels), "answers in words"),
        (("verify", out, "--model", f"hf:{folder('qwen2_5_vl')}"), "built from another model"),
        (("verify", out, "--model", model, "--prompt", " "), "prompt: expected a question"),
    )
    for words, sentence in cases:
        done = run(*words)
        assert done.status == 2, done.out
        assert sentence in " ".join(done.err.split())
        assert "Traceback" not in done.err
