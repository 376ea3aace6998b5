"""HAM10000's layout: lesions stay whole, and what accuracy hides is said beside it."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.cli import app
from catch11.errors import LabelsRefused
from catch11.training.lesions import TABLE
from catch11.training.lessons import Lessons, read_lessons
from tests.training.worlds import DIAGNOSES, write_lesions


@pytest.fixture(scope="module")
def ham(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lesions(tmp_path_factory.mktemp("ham"))


def whole(found: Lessons) -> bool:
    """Whether no lesion stands in both parts, and some stand there twice."""
    train, held = ([one.group for one in part] for part in (found.train, found.held))
    assert len(train) > len(set(train))
    return not set(train) & set(held)


@pytest.mark.parametrize("seed", range(5))
def test_no_lesion_is_learned_from_and_judged_by(ham: Path, seed: int) -> None:
    found = read_lessons(ham, share=0.34, seed=seed)
    assert found.classes == tuple(sorted(DIAGNOSES))
    assert len(found.train) + len(found.held) == 24
    assert whole(found)
    held = defaultdict(set)
    for one in found.held:
        held[found.classes[one.label]].add(one.group)
    assert {name: len(groups) for name, groups in held.items()} == {"bcc": 1, "mel": 1, "nv": 4}
    assert found.held[0].open().size == (32, 32)


def test_a_saved_data_set_of_lesions_is_split_alike(ham: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra datasets is not installed")
    rows = list(csv.DictReader((ham / TABLE).read_text().splitlines()))
    files = {path.stem: str(path) for path in ham.rglob("*.jpg")}
    table = datasets.Dataset.from_dict(
        {
            "image": [files[row["image_id"]] for row in rows],
            "dx": [row["dx"] for row in rows],
            "lesion_id": [row["lesion_id"] for row in rows],
        }
    ).cast_column("image", datasets.Image())
    table.save_to_disk(str(tmp_path / "one"))
    found = read_lessons(tmp_path / "one", share=0.34, seed=1)
    assert found.classes == tuple(sorted(DIAGNOSES))
    assert whole(found)
    both = datasets.DatasetDict({"train": table, "test": table.select([0, 1])})
    both.save_to_disk(str(tmp_path / "both"))
    with pytest.raises(LabelsRefused, match="1 lesions have pictures in both of its splits, first HAM_nv_0; give its train"):  # fmt: skip
        read_lessons(tmp_path / "both", share=0.34, seed=1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lesion_id,", "lesion,", "found no lesion_id"),
        ("HAM_nv_1,ISIC_0000002,nv", "HAM_nv_1,ISIC_0000002,", "ISIC_0000002 has an empty cell"),
        ("HAM_nv_1,ISIC_0000002,", "HAM_nv_1,ISIC_9,", "its picture ISIC_9 is not below"),
        ("HAM_nv_0,ISIC_0000001,nv", "HAM_nv_0,ISIC_0000001,mel", "HAM_nv_0 is called nv and mel"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = write_lesions(tmp_path / "ham") / TABLE
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(LabelsRefused, match=says):
        read_lessons(tmp_path / "ham", share=0.3, seed=0)
    path.write_text("")
    with pytest.raises(LabelsRefused, match="expected the columns lesion_id, image_id, dx"):
        read_lessons(tmp_path / "ham", share=0.3, seed=0)


def test_trained_protected_and_verified(ham: Path, tmp_path: Path) -> None:
    """The walk of the page: the majority's share is said beside what is found of the rare ones."""

    def run(*words: object) -> dict[str, object]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert done.exit_code == 0, done.output
        found: dict[str, object] = json.loads(done.stdout)
        return found

    net, key, released = tmp_path / "net", tmp_path / "my.key", tmp_path / "released"
    made = run(
        "train", ham, "-o", net, "--arch", "vit", "--epochs", 8, "--rate", 3e-3, "--batch", 8, "--held", 0.34,
        "--balanced",
    )  # fmt: skip
    balance = made["balance"]
    assert isinstance(balance, dict)
    assert set(balance["recalls"]) == set(DIAGNOSES)
    assert balance["majority"] > 0.5
    assert balance["balanced"]["estimate"] > 0.9
    assert balance["auc"]["estimate"] > 0.9
    run("key", f"hf:{net}", "-o", key)
    run("recode", ham, released, "--key", key)
    found = run(
        "verify", released, "--model", f"hf:{net}", "--source", ham, "--labels", net / "held.csv"
    )
    records = found["records"]
    assert isinstance(records, list)
    shares = {r["condition"]: r for r in records if r["metric"] == "balanced accuracy"}
    assert shares["nte"]["value"] > 0.9
    assert shares["nte"]["n"] == made["held"]
