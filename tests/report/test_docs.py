"""The cards in docs/threats.md are the ones that the records beside them give."""

from pathlib import Path

import pytest

from catch11.card import cards, markdown
from catch11.report import load_records

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs" / "records").glob("*.jsonl"))


def test_there_are_records() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cards_are_generated(path: Path) -> None:
    text = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
    for card in cards(load_records([path])):
        head, *_ = markdown(card).split("\n\n    ")  # the commands stand once, with the records
        assert head.strip() in text
