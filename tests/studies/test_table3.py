"""Table 3 from end to end on a few digits, its rows where a library is missing, and its view."""

import io
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from catch11.attacks.frame import Attack
from catch11.baselines import dp_head, library
from catch11.baselines.fhe_cost import Constants
from catch11.baselines.fhe_memory import Memory
from catch11.baselines.fhe_net import NET_PARAMETERS
from catch11.cli import app
from catch11.errors import MissingExtra, ModelRefused
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies.frame import study_of
from catch11.studies.place import Place
from catch11.studies.table3 import rows as table3_rows
from catch11.studies.table3 import study as table3
from catch11.studies.table3.tasks import Task, features, head, task
from catch11.studies.table3.view import view

DIGITS = Place(config="digits")
TINY = table3.Size(n=10, attacked=6, taught=12, lessons=80, heads=2, nets=1)
FEW = (
    "clean",
    "aes",
    "scramble",
    "nte-spectral",
    "dp-head",
    "diffprivlib",
    "fhe head",
    "polynomials",
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick study with a dozen pictures, and without the cells that take seconds each."""
    cells = table3._cells

    def few(scale: table3.Scale, name: str) -> list[Cell]:
        found = [c for c in cells(scale, name) if c.settings["way"] in FEW]
        return [c for c in found if c.settings.get("epsilon", 8.0) == 8.0]

    monkeypatch.setitem(table3.SIZES["quick"], "digits", TINY)
    monkeypatch.setattr(table3, "_cells", few)
    monkeypatch.setattr(table3.compute, "memory", lambda *asked: Memory(keys=10, peak=20))
    monkeypatch.setattr(table3.release, "UNTRAINED", ("blur",))
    monkeypatch.setattr(table3.release, "TRAINED", ())


def shown(records: list[Record]) -> str:
    console = Console(width=220, record=True, file=io.StringIO())
    console.print(view(records))
    return console.export_text()


@pytest.mark.usefixtures("tiny")
def test_the_command_prints_one_table_and_is_taken_up(tmp_path: Path) -> None:
    words = ["study", "table3", "--quick", "--digits", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, words, env={"COLUMNS": "220"})
    assert first.exit_code == 0, first.output
    for text in (
        "clean files", "AES-256-GCM", "block scrambling", "NTE, spectral", "DP-SGD head, ε = 8",
        "diffprivlib head, ε = 8", "CKKS, last layer", "polynomials, degree 3", "known pairs",
        "quoted, not measured here", "about 4 hours", "ratio", "secret key, never sent", "1,800 s",
    ):  # fmt: skip
        assert text in first.output, text
    (row,) = [
        line
        for line in first.output.splitlines()
        if "DP-SGD head, ε = 8" in line and "[" in line and "nothing" not in line
    ][:1]
    assert "training members, against whoever" in row, "what it protects stands beside the number"
    lines = (tmp_path / "table3.jsonl").read_text(encoding="utf-8")
    again = CliRunner().invoke(app, [*words, "--json"], env={"COLUMNS": "220"})
    assert (tmp_path / "table3.jsonl").read_text(encoding="utf-8") == lines
    records = json.loads(again.output)["studies"]["table3"]["records"]
    assert all("study table3 --quick --digits" in record["command"] for record in records)
    by = {(r["settings"]["method"], r["settings"]["quantity"], r["model"]): r for r in records}
    assert by["CKKS, last layer", "fact", "encrypted"]["value"] == 1.0
    restored = by["block scrambling", "attacked", "dense"]
    assert restored["value"] == by["clean files", "rival", "dense"]["value"]
    private = by["DP-SGD head, ε = 8", "authorized", "DP-SGD head of digits"]["settings"]
    assert 7.0 < private["spent"] <= 8.0
    assert private["delta"] == 1e-5


@pytest.mark.usefixtures("tiny")
def test_a_missing_library_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    here = table3._cells("quick", "digits")
    cell = next(c for c in here if c.settings["way"] == "diffprivlib")
    monkeypatch.setattr(dp_head, "installed", lambda name: False)
    (record,) = table3.work(cell, DIGITS)
    assert math.isnan(record.value)
    assert "diffprivlib is needed here" in record.settings["reason"]
    assert "not run" in shown([record])
    monkeypatch.setattr(table3, "installed", lambda name: False)
    gone = table3._cells("quick", "digits")
    both = _ids(here, gone)
    changed = {both[one].settings["way"] for one in set(_ids(here)) ^ set(_ids(gone))}
    assert changed == {"dp-head", "diffprivlib", "fhe head"}, "installed later, they are run"
    assert not library.installed("no_such_library_anywhere")


def _ids(*cells: list[Cell]) -> dict[str, Cell]:
    return {cell.id: cell for part in cells for cell in part}


@pytest.mark.parametrize(
    ("way", "package", "extra"),
    [
        ("dp-sgd", "opacus", "dp"),
        ("dp-head", "opacus", "dp"),
        ("fhe head", "tenseal", "fhe"),
        ("fhe net", "tenseal", "fhe"),
    ],
)
def test_every_library_is_optional(
    way: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table3.SIZES["quick"], "digits", TINY)
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    cell = next(c for c in table3._cells("quick", "digits") if c.settings["way"] == way)
    (record,) = table3.work(cell, DIGITS)
    assert f"{package} is needed here" in record.settings["reason"]
    assert f"catch11[{extra}]" in record.settings["reason"]


def test_every_task_is_there_where_its_data_are() -> None:
    for scale in ("quick", "full"):
        alone = {c.settings["task"] for c in table3.cells(scale, DIGITS)}
        whole = table3.cells(scale, Place(config="local"))
        assert alone == {"digits"}
        assert {c.settings["task"] for c in whole} == {"digits", "thumbnails", "photographs"}
        assert len({c.id for c in whole}) == len(whole)
        for name in ("digits", "thumbnails"):
            held = {
                c.settings.get("epsilon")
                for c in whole
                if c.settings["task"] == name and c.settings["way"] == "dp-head"
            }
            assert held == {1.0, 3.0, 8.0}
    for name in ("digits", "thumbnails", "photographs"):
        fitted = [
            c.settings["degree"]
            for c in table3.cells("full", Place(config="local"))
            if c.settings["task"] == name
            and c.settings.get("fit") == "least-squares"
            and c.settings["follow"]
        ]
        assert fitted == list(range(2, 10))
    assert study_of("table3") is table3.STUDY


def test_features_are_what_the_head_reads() -> None:
    on = task(DIGITS, "digits", 6, 6)
    for model in on.models.values():
        values = features(model, on.windows)
        logits = model.logits(model.canvas.normalise(on.windows))
        assert torch.allclose(head(model)(values), logits, atol=1e-5)


def test_a_model_without_a_dense_head_is_refused() -> None:
    model = task(DIGITS, "digits", 6, 6).authorized
    with pytest.raises(ModelRefused, match="does not end in a dense layer"):
        head(replace(model, module=torch.nn.ReLU()))


def test_ratios_are_seconds_over_seconds() -> None:
    def made(method: str, seconds: float) -> Record:
        return Record(
            model="m", role="authorized", condition="control", metric="CPU seconds an input",
            value=seconds, low=seconds, high=seconds, n=1,
            settings={"task": "digits", "method": method, "quantity": "cost", "guarantee": "g"},
        )  # fmt: skip

    text = shown([made("NTE, spectral", 0.5), made("CKKS, last layer", 100.0)])
    assert ["100", "0.5", "200"] in [line.split()[-3:] for line in text.splitlines()]


def test_an_error_without_end_is_shown_as_one() -> None:
    """Infinity is null in a file of records, and not a number when it is read back."""
    made = Record(
        model="m", role="authorized", condition="control", metric="error after activation",
        value=math.nan, low=math.nan, high=math.nan, n=1,
        settings={"task": "digits", "method": "p", "quantity": "fact", "lost": 1.0, "outside": 0.1},
    )  # fmt: skip
    assert "no end" in shown([made])


def test_the_longer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command's test leaves out: noise, deep NTEs, training rows, a net under encryption."""
    monkeypatch.setitem(table3.SIZES["quick"], "digits", TINY)
    monkeypatch.setattr(table3.release, "UNTRAINED", ("blur", "no-such-library"))
    monkeypatch.setattr(table3.release, "TRAINED", ())
    constants = Constants(
        parameters=NET_PARAMETERS, diagonal=0.01, square=0.01, encrypt=0.1, decrypt=0.1
    )
    monkeypatch.setattr(table3.compute, "measure_constants", lambda parameters: constants)
    monkeypatch.setattr(table3.compute, "memory", lambda *a: Memory(keys=10, peak=20))
    monkeypatch.setattr(table3_rows, "_attack", _refusing(table3_rows._attack))
    ways = ("gaussian", "nte-deep", "unlearnable", "dp-sgd", "fhe net")
    records: list[Record] = []
    for cell in table3.cells("quick", DIGITS):
        if cell.settings["way"] in ways and cell.settings.get("epsilon", 8.0) == 8.0:
            records += table3.work(cell, DIGITS)
    methods = {r.settings["method"] for r in records}
    assert len(methods) == len(ways)
    trained = [r for r in records if r.settings["quantity"] == "trained"]
    assert {r.model for r in trained} == {"dense", "convolution", "patch-twin"}
    reasons = [r for r in records if r.metric == "attack no-such-library"]
    assert len(reasons) == 2
    floors = [r.value for r in records if r.metric == "extrapolated seconds, ResNet-50"]
    assert floors[0] == pytest.approx((4.1e9 + 9_608_704) * 0.01 / 4096)
    agreement = [r for r in records if r.metric == "agreement"]
    assert [r.value for r in agreement] == [1.0]
    (spent,) = [r.settings for r in records if "spent" in r.settings]
    assert spent["replaced"].count("BatchNorm2d → GroupNorm") == 2
    read = {(r.model, r.settings["asked"]) for r in records if "asked" in r.settings}
    assert read == {(m, w) for m in ("private", "without privacy") for w in ("members", "others")}
    text = shown(records)
    assert "BatchNorm2d → GroupNorm" in text
    assert "CPU seconds of one square" in text


def _refusing(attack: Callable[[str, Task], Attack]) -> Callable[[str, Task], Attack]:
    def of(name: str, on: Task) -> Attack:
        if name == "no-such-library":
            raise MissingExtra("nothing", "attacks")
        return attack(name, on)

    return of
