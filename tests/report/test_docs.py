"""The cards and attack tables in docs/ are the ones that the records beside them give."""

import re
from pathlib import Path

import pytest

from catch11.evaluation.groups import preferred
from catch11.report import load_records
from catch11.report.card.threats import cards, knows
from catch11.report.card.words import markdown
from catch11.report.words import interval

DOCS = Path(__file__).parents[2] / "docs"
FILES = sorted((DOCS / "records").glob("*.jsonl"))


def test_there_are_records() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cards_are_generated(path: Path) -> None:
    text = (DOCS / "threats.md").read_text(encoding="utf-8")
    for card in cards(load_records([path])):
        head, *_ = markdown(card).split("\n\n    ")  # the commands stand once, with the records
        assert head.strip() in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_hold_every_attack(path: Path) -> None:
    """One line an attack, with what it knows, what each rival gets and the number of files."""
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    marks = f"<!-- attacks: {path.stem} -->(.*?)<!-- /attacks: {path.stem} -->"
    (table,) = re.findall(marks, text, re.DOTALL)
    lines = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    found = [
        record
        for record in preferred(load_records([path]))
        if record.condition == "attack" and record.metric == "accuracy" and record.attack != "none"
        and record.role != "authorized"
    ]  # fmt: skip
    assert set(lines) == {record.attack for record in found}
    for record in found:
        cells = lines[str(record.attack)].strip(" |").split(" | ")
        assert cells[1] == knows(record)
        assert any(cell.strip("*").startswith(interval(record)) for cell in cells[2:-1])
        assert cells[-1] == str(record.n)
