"""What the documentation says of records is what the records say."""

import re

import pytest
from PIL import Image

from catch11.errors import InvalidArgument
from catch11.report import load_records
from catch11.report.numbers import filled, number
from catch11.report.results import pages
from catch11.studies.tables import interval_text
from tests.conftest import ROOT
from tests.report.rows import rows

RECORDS = sorted((ROOT / "docs" / "records").glob("*.jsonl"))
STUDIES = sorted((ROOT / "docs" / "records" / "studies").glob("*.jsonl"))
FILES = {"one": [r for r in rows() if r.settings.get("release") == "0a1b2c3d"]}


def test_every_page_stands_as_its_records_would_have_it() -> None:
    made = pages(ROOT)
    shown = {ROOT / "docs" / "results" / f"{path.stem}.md" for path in (*RECORDS, *STUDIES)}
    assert shown <= set(made)
    stale = [path for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run make pages"


def test_a_page_of_results_names_every_attack_with_what_it_knows_and_its_score() -> None:
    for path in RECORDS:
        text = (ROOT / "docs" / "results" / f"{path.stem}.md").read_text(encoding="utf-8")
        lines = re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)
        held = [r for r in load_records([path]) if r.metric == "accuracy"]
        tried = [r for r in held if r.condition == "attack" and r.role != "authorized"]
        assert sorted(lines) == sorted({str(r.attack) for r in tried} - {"none"})


def test_nothing_else_stands_among_the_generated_pages() -> None:
    names = {path.stem for path in (*RECORDS, *STUDIES)} | {"index"}
    assert {path.stem for path in (ROOT / "docs" / "results").iterdir()} == names


def test_a_page_of_a_study_has_every_number_of_its_records() -> None:
    for path in STUDIES:
        text = (ROOT / "docs" / "results" / f"{path.stem}.md").read_text(encoding="utf-8")
        cells = {cell.strip() for line in text.splitlines() for cell in line.split("|")}
        held = load_records([path])
        # Whole pages show all there is; of families the clean answers stand once, and not for each file's share.
        shown = [r for r in held if path.stem == "keep" or (r.condition == "nte" and r.n)]
        assert len(shown) > 50
        assert {interval_text(record) for record in shown} <= cells
        assert {str(record.command) for record in held} <= set(text.splitlines())


def test_a_mark_of_a_study_is_a_cell_of_its_table() -> None:
    for path in (one for one in STUDIES if one.stem == "keep"):  # the one that prose quotes
        studied = {path.stem: load_records([path])}
        (first, *_) = studied[path.stem]
        mark = " ".join(str(first.settings[name]) for name in ("family", "keep", "shown"))
        assert number(f"{path.stem} {mark}", {}, studied) == interval_text(first)
        with pytest.raises(InvalidArgument, match="mark: expected a file of records"):
            number(f"{path.stem} {mark} of nobody", {}, studied)


def test_the_documentation_quotes_records() -> None:
    marks = [
        mark
        for path in pages(ROOT)
        for mark in re.findall(r"<!-- n: (.*?) -->", path.read_text(encoding="utf-8"))
    ]
    assert len(marks) > 60


@pytest.mark.parametrize(
    ("mark", "shown"),
    [
        ("one authorized nte", ".86 [.78, .91]"),
        ("one authorized nte share", ".86"),
        ("one mobile clean n", "100"),
        ("one rival nte clean", ".84"),  # the twin reads most of it
        ("one ta nte model", "twin"),
        ("one rival knows:public", ".58 [.48, .67]"),
        ("one rival knows:public attack", "`blind-wiener`"),
        ("one rival knows: share", ".12"),
        ("one attacks", "10"),
    ],
)
def test_a_mark_stands_for(mark: str, shown: str) -> None:
    assert number(mark, FILES) == shown


@pytest.mark.parametrize(
    "mark", ["two authorized nte", "one nobody nte", "one authorized", "one ta nte colour", "one"]
)
def test_a_mark_that_no_record_answers_is_refused(mark: str) -> None:
    with pytest.raises(InvalidArgument, match="mark: expected a file of records"):
        number(mark, FILES)


def test_a_page_is_filled_and_stays() -> None:
    text = "It gets <!-- n: one ta nte share -->.99<!-- /n --> and\n<!-- no mark --> more.\n"
    found = filled(text, FILES)
    assert found == text.replace(".99", ".30")
    assert filled(found, FILES) == found


def test_a_mark_may_not_begin_a_line() -> None:
    """Markdown would take it for a block, and end the paragraph there."""
    with pytest.raises(InvalidArgument, match="words of the sentence before it"):
        filled("It gets\n<!-- n: one ta nte -->.3<!-- /n -->.\n", FILES)


@pytest.mark.parametrize("name", ["report-wide.png", "report-phone.png"])
def test_the_pictures_of_the_report_show_all_records(name: str) -> None:
    """Whoever takes them anew writes into the file how many measurements the page names."""
    with Image.open(ROOT / "docs" / "pictures" / name) as picture:
        assert picture.info["measurements"] == str(len(load_records(RECORDS)))
