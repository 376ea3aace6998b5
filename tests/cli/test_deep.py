"""Deep releases by the command: for two models, against one, a file a client, the precision of the search."""

import json
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from PIL import Image

from catch11.releases.ledger import read_ledger
from catch11.studies.nets import digits
from tests.cli.test_commands import DENSE, PATCH, run

COUNT = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources and a key."""
    folder = tmp_path_factory.mktemp("owner")
    digits.write_pictures(digits.load_digits(), folder / "source", count=COUNT)
    assert run("key", PATCH, "-o", folder / "my.key").status == 0
    return folder


def deep(place: Path, out: Path, *words: object) -> int:
    """Files written by a deep release; the reasons of the others are in the ledger."""
    done = run(
        "recode", place / "source", out, "--key", place / "my.key", "--method", "deep",
        "--model", PATCH, "--radius", 32, "--json", *words,
    )  # fmt: skip
    assert done.status == 0, done.err
    return int(done.json["written"])


def scores(place: Path, out: Path, *models: str) -> dict[str, float]:
    """Agreement with the clean answers, by model, as verify prints it."""
    found = {}
    for model in models:
        done = run("verify", out, "--model", model, "--source", place / "source", "--json")
        assert done.out, done.err
        found[model] = float(json.loads(done.out)["verdict"]["retention"])
    return found


def test_two_models_read_one_release(place: Path, tmp_path: Path) -> None:
    assert deep(place, tmp_path / "both", "--also", DENSE) >= COUNT - 4
    assert deep(place, tmp_path / "one") >= COUNT - 3
    both, one = (scores(place, tmp_path / name, PATCH, DENSE) for name in ("both", "one"))
    assert both[PATCH] == one[PATCH] == 1.0
    assert both[DENSE] == 1.0
    assert one[DENSE] < 0.8, "made for the patch net alone"


def test_what_is_kept_is_stated_measured_and_verified(place: Path, tmp_path: Path) -> None:
    """The list says what is kept, the ledger and the summary how nearly; verify finds it held, and on
    other sources broken."""
    out = tmp_path / "scores"
    done = run(
        "recode", place / "source", out, "--key", place / "my.key", "--model", PATCH,
        "--keep", "scores", "--tolerance", 0.2, "--radius", 80,
    )  # fmt: skip
    assert done.status == 0, done.err
    rows = [r for r in read_ledger(Path(f"{out}.ledger.jsonl")) if r.outcome == "released"]
    far = [row.distance for row in rows if row.distance is not None]
    assert len(far) == len(rows)
    assert all(0.0 <= one <= 0.2 for one in far)
    assert (
        f"kept      scores within 0.2 (median {median(far):.3g}, worst {max(far):.3g})" in done.out
    )
    header = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert (header["keep"], header["tolerance"]) == ("scores", 0.2)
    words = ("verify", out, "--model", PATCH, "--json", "--source")
    held = run(*words, place / "source")
    assert held.status == 0, held.out
    kept = {r["metric"]: r for r in held.json["records"] if r["condition"] == "nte"}
    assert kept["KL, nats"]["value"] == pytest.approx(sum(far) / len(far), abs=1e-5)
    assert kept["cosine of features"]["n"] == len(rows)
    pictures = sorted((place / "source").rglob("*.png"))
    for picture, twin in zip(pictures, [*pictures[1:], pictures[0]], strict=True):
        swapped = tmp_path / "swapped" / picture.relative_to(place / "source")
        swapped.parent.mkdir(parents=True, exist_ok=True)
        swapped.write_bytes(twin.read_bytes())
    other = run(*words, tmp_path / "swapped")
    assert other.status == 1
    reasons = [why for _, why in other.json["problems"]]
    assert any("the list says that it keeps scores within 0.2" in why for why in reasons)


def test_a_keep_that_nobody_knows(place: Path, tmp_path: Path) -> None:
    done = run(
        "recode", place / "source", tmp_path / "x", "--key", place / "my.key", "--keep", "al"
    )
    assert done.status == 2
    assert "found 'al'; nearest: all" in done.err


@pytest.mark.parametrize(
    ("words", "least"), [((), 5), (("--survive", "jpeg:90"), 0)], ids=["plain", "surviving jpeg"]
)
def test_the_least_change_is_written_or_withheld(
    place: Path, tmp_path: Path, words: tuple[object, ...], least: int
) -> None:
    """Pictures of 192 numbers leave little room within 8/255: some may be withheld, each with what it
    is short by, none may fail."""
    out = tmp_path / "least"
    written = deep(place, out, "--radius", "least", "--steps", 60, "--margin", 0, *words)
    rows = read_ledger(Path(f"{out}.ledger.jsonl"))
    withheld = [row for row in rows if row.outcome == "withheld"]
    assert written >= least
    assert len(list(out.rglob("*.png"))) == written == COUNT - len(withheld)
    assert all("within 8/255 in 60 steps: short by" in row.reason for row in withheld)
    assert written == 0 or scores(place, out, PATCH)[PATCH] == 1.0


def test_a_radius_there_is_not(place: Path, tmp_path: Path) -> None:
    done = run(
        "recode", place / "source", tmp_path / "wide", "--key", place / "my.key",
        "--method", "deep", "--model", PATCH, "--radius", "wide",
    )  # fmt: skip
    assert done.status == 2
    assert "radius: expected auto, least or a number" in " ".join(done.err.split())


def test_a_model_named_against_reads_less(place: Path, tmp_path: Path) -> None:
    assert deep(place, tmp_path / "led", "--against", DENSE) >= COUNT - 4
    found = scores(place, tmp_path / "led", PATCH, DENSE)
    assert found[PATCH] == 1.0
    assert found[DENSE] < 0.5


def test_a_file_a_client(place: Path, tmp_path: Path) -> None:
    """Each client's files are noise of their own, all read by the model and bound to one source."""
    for client in ("acme", "globex"):
        assert deep(place, tmp_path / client, "--client", client) >= COUNT - 3
        assert scores(place, tmp_path / client, PATCH)[PATCH] == 1.0
    names = [
        {p.relative_to(d) for p in d.rglob("*.png")}
        for d in (tmp_path / "acme", tmp_path / "globex")
    ]
    for name in sorted(names[0] & names[1]):
        one, two = (
            np.asarray(Image.open(tmp_path / c / name), float).ravel() for c in ("acme", "globex")
        )
        assert abs(np.corrcoef(one, two)[0, 1]) < 0.5


def test_search_in_bfloat16_is_judged_in_float32(place: Path, tmp_path: Path) -> None:
    assert deep(place, tmp_path / "half", "--precision", "bfloat16") >= COUNT - 3
    assert scores(place, tmp_path / "half", PATCH)[PATCH] == 1.0


@pytest.mark.parametrize("option", ["--also", "--against"])
def test_further_models_need_deep(place: Path, tmp_path: Path, option: str) -> None:
    words = ("recode", place / "source", tmp_path / "out", "--key", place / "my.key")
    done = run(*words, option, DENSE)
    assert (done.status, f"{option}: expected --method deep" in done.err) == (2, True)


def test_a_further_model_that_is_not_there(place: Path, tmp_path: Path) -> None:
    done = run(
        "recode", place / "source", tmp_path / "out", "--key", place / "my.key", "--method", "deep",
        "--model", PATCH, "--also", "no/such/model",
    )  # fmt: skip
    assert done.status == 2
    assert done.err.count("\n") == 1
