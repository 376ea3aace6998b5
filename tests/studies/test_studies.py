"""Every study of the paper from end to end on the digits, and taken up after a stop."""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies import trial
from catch11.studies.frame import Done, run_study, study_of
from catch11.studies.place import Place

DIGITS = Place(config="digits")
STUDIES = (
    "table1", "table2", "table5", "table6", "table8", "table9", "figure1", "figure4", "robustness",
    "crops", "domains", "runtime", "assumption2", "families", "families_adapted", "families_strength",
    "families_swin", "six",
)  # fmt: skip
FIGURES = ("table5", "figure1", "figure4", "families_strength")


class Golden(NamedTuple):
    """A study's columns and rows of it, cells apart by |. within: how far a number may be off."""

    head: str
    rows: tuple[str, ...]
    within: float = 0.17  # one picture of six


READ = "for patch|read by|clean|released|Gaussian|zero noise"
GOLDEN = {
    "table1": Golden(READ, ("spectral, 8.0 dB|patch (authorized)|1.00|1.00|.33|1.00", "dense|1.00|.33|.33|1.00")),
    "table2": Golden(READ, ("spectral, 8.0 dB|patch (authorized)|1.00|1.00|.33|1.00", "patch-twin|1.00|.00|.17|1.00")),
    "table5": Golden("front|directions|null|P95|P99|largest|median", ("dense|192|128|43|58|26|0",), within=0.5),
    "table6": Golden("model|layer|40 dB|20 dB|10 dB|0 dB", ("dense|0|0.0793|0.793|2.51|7.93",), within=0.05),
    "table8": Golden("files|attack|read by|for patch, n = 6", ("spectral|(clean pictures)|patch-twin|1.00", "none|patch-twin|.00")),
    "table9": Golden("attack|read by|spectral|deep|gaussian", ("(clean pictures)|patch-twin|1.00|1.00|1.00", "none|patch-twin|.00|.17|.17")),
    "figure1": Golden("released for|what|read by|20 dB|16 dB|14 dB|12 dB|10 dB|7 dB", ("Gaussian|patch (authorized)|1.00|.67|.67|.67|.67|.33",)),
    "figure4": Golden("files|psnr", ("spectral|8.05", "deep|11.5")),
    "robustness": Golden("for|pictures|read by|as they are|crop:0.9|crop:0.6|jpeg:75|blur:1", ("spectral|patch (authorized)|1.00|.50|.17|.67|.67",)),
    "crops": Golden("for|pictures|read by|as they are|crop:0.5|crop:0.25", ("spectral|patch (authorized)|1.00|.17|.17",)),
    "domains": Golden("pictures|patch (authorized)|dense|convolution", ("own data, 8.0 dB, shift 0.007|1.00|.33|.33",)),
    "runtime": Golden(
        "model|task|ms in all|ms an image|of a published arithmetic|of a forward pass|of a decode and encode", ("patch|key",)
    ),
    "families": Golden(
        "files|released for|what|patch|dense|patch-twin",
        ("dense|released|refused: no null space", "sealed|patch at 9.9 dB|released|1.00|.00|.00"),
    ),
    "families_adapted": Golden("files for|attack|read by|spectral|deep|gaussian", ("none|patch-twin|.00|.17|.17",)),
    "families_strength": Golden(
        "released for|what|read by|20 dB|13.5 dB|10 dB", ("Gaussian|patch (authorized)|1.00|.67|.67",)
    ),
    "families_swin": Golden(
        "files|released for|what|patch|dense|patch-twin", ("published, last vector, as a file, 10 dB|patch at 10.0 dB|released|.83|.83|.67",)
    ),
    "six": Golden(
        "files|released for|what|patch|dense|convolution", ("clean|any|clean|1.00|1.00|1.00",)
    ),
    "assumption2": Golden(
        "front|directions seen|by chance|data variance there|overlap with as many components", ("dense|58|0.302|0.709|0.345",), within=0.02
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Pictures enough to run, not to conclude."""
    patch = pytest.MonkeyPatch()
    patch.setattr(trial, "MOST_DIGITS", 6)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def _text(done: Done) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(done.study.view(done.records))
    return console.export_text()


def _shows(line: str, golden: str, *, within: float) -> bool:
    """Whether a line of a table has these cells; of a number with its range the number is compared."""
    cells = [re.sub(r" \[.*", "", cell) for cell in re.split(r"\s{2,}", line.strip())]
    wanted = golden.split("|")
    return len(cells) >= len(wanted) and all(
        abs(float(cell) - float(want)) <= within if re.fullmatch(r"[\d.]+", want) and re.fullmatch(r"[\d.e+-]+", cell) else cell == want
        for cell, want in zip(cells, wanted, strict=False)
    )  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_runs_and_is_taken_up(name: str, out: Path) -> None:
    study = study_of(name)
    done = run_study(study, DIGITS, out=out)
    cells = study.cells("quick", DIGITS)
    assert len({record.settings["cell"] for record in done.records}) == len(cells)
    assert all(r.low <= r.value <= r.high or math.isnan(r.value) for r in done.records)
    assert all(f"study {name} --quick --digits" in str(r.command) for r in done.records)
    text = _text(done)
    head, *lines = text.splitlines()
    golden = GOLDEN[name]
    assert "|".join(re.split(r"\s{2,}", head.strip())) == golden.head
    for row in golden.rows:
        assert any(_shows(line, row, within=golden.within) for line in lines), f"{row}\n{text}"
    assert (done.figure is not None) == (name in FIGURES)

    def never(cell: Cell, place: Place) -> list[Record]:
        raise AssertionError(f"{cell.name} was worked out twice")

    again = run_study(replace(study, work=never, draw=None), DIGITS, out=out)
    # By line: what nothing is known of is not equal to itself.
    assert [r.to_line() for r in again.records] == [r.to_line() for r in done.records]
    assert _text(again) == text


@pytest.mark.parametrize("scale", ["quick", "full"])
@pytest.mark.parametrize("config", ["digits", "local", "paper"])
@pytest.mark.parametrize("name", STUDIES)
def test_cells_are_listed_without_a_model(name: str, config: str, scale: str) -> None:
    """What a study would do can be counted before anything is loaded."""
    cells = study_of(name).cells(scale, Place(config=config))  # type: ignore[arg-type]
    assert cells
    assert len({cell.id for cell in cells}) == len(cells)


def test_table8_judges_every_attacker_by_both_nets(out: Path) -> None:
    done = run_study(study_of("table8"), DIGITS, out=out)
    tries = {record.attack: record.settings["tries"] for record in done.records if record.attack}
    assert tries == {"noise2clean": 2, "noise2noise": 2, "white-box-restoration": 2}


def test_a_killed_study_gives_the_same_table(tmp_path: Path) -> None:
    whole = run_study(study_of("figure1"), DIGITS, out=tmp_path / "whole")
    study = study_of("figure1")
    left = 3

    def dying(cell: Cell, place: Place) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return study.work(cell, place)

    with pytest.raises(KeyboardInterrupt):
        run_study(replace(study, work=dying), DIGITS, out=tmp_path / "cut")  # type: ignore[arg-type]
    file = tmp_path / "cut" / "figure1.jsonl"
    file.write_bytes(file.read_bytes()[:-40])  # the kill came while a line was written
    done = run_study(study, DIGITS, out=tmp_path / "cut")
    assert [r.to_line() for r in done.records] == [r.to_line() for r in whole.records]
    assert _text(done) == _text(whole)


def test_a_key_is_made_once_whatever_the_pictures(out: Path) -> None:
    done = run_study(study_of("runtime"), DIGITS, out=out)
    whole = {r.settings["task"] for r in done.records if r.metric == "ms in all"}
    each = {r.settings["task"] for r in done.records if r.metric == "ms an image"}
    assert whole == {"key"}
    assert "key" not in each


def test_what_cannot_be_made_is_said(out: Path) -> None:
    """A dense net has no patches for the published recipe: the table gives the reason."""
    from catch11.studies.crossing import METHODS, crossing_cells

    cells = crossing_cells("photographs", [("dense", METHODS[0])], n=6)
    study = replace(study_of("table1"), name="refused", cells=lambda scale, place: cells)
    done = run_study(study, DIGITS, out=out)
    assert [record.n for record in done.records] == [0]
    assert "needs a torch convolution" in _text(done)
