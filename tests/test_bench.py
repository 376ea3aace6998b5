"""The page of speed says what its records say, and every script of benchmarks/ that a page names is there."""

import importlib
import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BENCHMARKS = ROOT / "benchmarks"


def test_the_page_of_speed_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    speed_page = importlib.import_module("speed_page")
    records = (BENCHMARKS / "records" / "speed.jsonl").read_text()
    rows = [json.loads(line) for line in records.splitlines()]
    assert speed_page.PAGE.read_text(encoding="utf-8") == speed_page.page(rows)
    sys.modules.pop("speed_page")


def test_one_command_lists_and_runs_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    entry = runpy.run_path(str(BENCHMARKS / "__main__.py"))
    assert entry["main"]([]) == 0
    told = capsys.readouterr().out
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    named = set(re.findall(r"python benchmarks/(\w+)\.py", pages))
    assert {line.split()[0] for line in told.splitlines() if line[:1].strip()} >= named
    assert len(named) > 12
    assert max(map(len, told.splitlines())) <= 80
    assert all(about[0].isupper() for about in entry["parts"]().values())
    assert entry["main"](["nothing"]) == 2
    assert "expected one of suite, averaging" in capsys.readouterr().err


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.stem)
def test_scripts_on_the_pages_exist(page: Path) -> None:
    named = re.findall(r"benchmarks/(\w+\.py)", page.read_text(encoding="utf-8"))
    missing = [name for name in named if not (BENCHMARKS / name).exists()]
    assert not missing, f"{page.name} names {missing}"
