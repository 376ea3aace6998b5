"""The page and the card: every number with its interval and command, nothing from elsewhere."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catch11.cli import app
from catch11.errors import InvalidArgument
from catch11.evaluation.record import write_records
from catch11.keys.file import save_key
from catch11.report import Extras, load_records, report_page
from catch11.report.card.threats import card_of, cards
from catch11.report.card.words import markdown
from catch11.report.charts import Axis, Point, Series, plot
from catch11.report.reading import beside
from tests.report.rows import rows
from tests.world import World, build_world

FIRST = [r for r in rows() if r.settings.get("release") == "0a1b2c3d"]
VOID = {"meta", "img", "br", "line", "circle", "rect", "path", "polyline"}


class Outline(HTMLParser):
    """Tags that open and close in order, ids, links inside the page, every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(facts)
        if name := facts.get("id"):
            assert name not in self.ids, f"two places are called {name}"
            self.ids.add(name)
        if "href" in facts:
            self.links.add(str(facts["href"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    assert found.open == []
    return found


def test_the_page_stands_alone() -> None:
    page = report_page(rows())
    found = outline(page)
    assert all(link.startswith("#") for link in found.links)
    assert {link[1:] for link in found.links} <= found.ids
    assert "<script" not in page
    assert not re.search(r"(src|href|url|@import)\s*[=(]?\s*[\"']?(https?:)?//", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page
    assert "width=device-width" in page
    sections = {"cards", "attacks", "matrix", "strength", "drift", "studies", "commands"}
    assert sections <= found.ids
    assert report_page(rows()) == page


def test_every_value_stands_with_its_interval_and_command() -> None:
    page = report_page(FIRST)
    for record in FIRST:
        assert f"[{record.low:.2f}, {record.high:.2f}]".replace("0.", ".") in page
    for command in {record.command for record in FIRST}:
        assert str(command).replace("<", "&lt;").replace(">", "&gt;") in page
    assert "blur &lt;best&gt;" in page  # a stranger's settings are text, not markup
    assert "<best>" not in page
    assert "Not tried: " in page


def test_attacks_are_listed_worst_first() -> None:
    page = report_page(FIRST)
    shares = [int(s) for s in re.findall(r"(\d+)\u00a0%\u00a0of\u00a0clean", page)]
    assert len(shares) > 10
    assert shares == sorted(shares, reverse=True)


def test_few_records_make_a_small_page() -> None:
    page = report_page(FIRST[:1], Extras(title="one & only", warnings=("mind <this>",)))
    found = outline(page)
    assert "one &amp; only" in page
    assert "mind &lt;this&gt;" in page
    assert not {"cards", "attacks", "strength", "drift", "spectrum", "samples"} & found.ids


def test_a_card_ranks_attackers_by_what_they_know() -> None:
    (card,) = cards(FIRST)
    assert card.psnr == 8.6
    assert card.authorized is not None
    assert card.authorized.record.model == "deit"
    known = [(row.who, row.attack) for row in card.rows]
    assert known[0] == ("any other model", "none, as it is")
    assert card.rows[0].record.model == "twin"
    assert known[1] == ("an attacker", "blur")
    assert known[-1] == ("an attacker", "project-inpaint")
    assert ("a trainer of models", "training-use") in known
    assert ("a detector", "detection") in known
    worst = card.worst
    assert worst is not None
    assert worst.attack == "project-inpaint"
    assert worst.recovered == pytest.approx(1.0)
    assert card.attacks[0] == "blur"


def test_a_descendant_has_a_row_and_is_no_attack() -> None:
    attacked = next(r for r in FIRST if r.attack == "blur" and r.model == "mobile")
    facts: dict[str, Any] = {"model": "child", "role": "sibling", "value": 0.99, "high": 1.0}
    plain = replace(attacked, condition="nte", attack=None, knowledge=(), **{**facts, "value": 0.9})
    card = card_of([*FIRST, plain, replace(attacked, **facts)])
    assert (card.rows[-1].who, card.rows[-1].record.value) == ("a descendant", 0.99)
    assert card.worst is not None
    assert card.worst.record.model != "child"


def test_a_card_names_the_best_over_all_rivals_and_settings() -> None:
    card = card_of(FIRST)
    blind = next(row for row in card.rows if row.knows == "public pictures")
    assert blind.attack == "blind-wiener"
    assert blind.tries == 32
    assert blind.record.model == "mobile"
    assert blind.clean is not None
    assert blind.clean.value == 0.82


def test_the_control_is_on_no_card() -> None:
    control = [replace(r, settings={**r.settings, "control": True}) for r in FIRST]
    assert cards(control) == ()
    assert cards([]) == ()
    assert cards([r for r in FIRST if r.condition == "clean"]) == ()


def test_markdown_of_a_card() -> None:
    text = markdown(cards(FIRST)[0])
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert len({line.count("|") for line in table}) == 1
    assert "| the licensee | the authorized model |  | deit | .86 [.78, .91] | .87 | 100 |" in lines
    assert any("`blind-wiener`" in line and ".58 [.48, .67]" in line for line in table)
    assert "    catch11 attack released" in text


def test_a_card_says_what_is_kept_and_that_files_are_sealed() -> None:
    facts = {"keep": "features within 0.1", "sealed": "665cef4a95805b8b65b9876811a92ce4"}
    sealed = [replace(r, settings={**r.settings, **facts}) for r in FIRST]
    plain, shown = (markdown(cards(records)[0]) for records in (FIRST, sealed))
    assert "sealed" not in plain
    assert "(release 0a1b2c3d), keeps features within 0.1, sealed: uniform noise" in shown
    assert "| the licensee | its sealed copy, which opens the files |" in shown
    assert facts["sealed"] not in shown  # a number for lists, not for readers
    assert "keeps features within 0.1" in report_page(sealed)


def test_releases_are_kept_apart() -> None:
    assert len(cards(rows())) == 5  # one a strength, and the siblings' study
    assert len({card.release for card in cards(rows())}) == 5


def test_records_from_files(tmp_path: Path) -> None:
    lines, whole = tmp_path / "a.jsonl", tmp_path / "b.json"
    write_records(lines, FIRST)
    whole.write_text(json.dumps({"records": [json.loads(r.to_line()) for r in FIRST[:2]]}))
    assert [r.to_line() for r in load_records([lines, whole])] == [r.to_line() for r in FIRST]
    folder = tmp_path / "released"
    folder.mkdir()
    write_records(beside(folder), FIRST[:3])
    assert len(load_records([folder])) == 3


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("none.jsonl", None, "found no file .*none.jsonl"),
        ("none.json", None, "expected JSON in"),
        ("list.json", "[]", "expected an object with `records` in list.json"),
        ("deep.json", "[" * 100_000, "expected JSON in"),
        ("odd.json", '{"records": [3]}', "record: expected an object"),
        ("odd.jsonl", "{}\n", "model: expected a value"),
        ("bytes.jsonl", b"\xff\xfe\n", "expected JSON lines"),
        ("empty.jsonl", "", "records: expected one record or more"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, name: str, content: str | bytes | None, match: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(InvalidArgument, match=match):
        load_records([path])


def test_charts_hold_their_points() -> None:
    point = Point(x=2.0, y=0.5, low=0.25, high=0.75, says="here")
    one = Series(name="a<b", points=[point])
    axis = Axis(label="y", range=(0.0, 1.0))
    text = str(plot([one], x=Axis(label="x", range=(0.0, 4.0)), y=axis, title='t"'))
    outline(text)
    assert "a&lt;b: here" in text
    assert 'aria-label="t&quot;"' in text
    assert 'x="371" y="164"' in text  # the middle of 78 to 664 and of 14 to 314
    assert "metadata" not in text
    assert "#0000" not in text
    assert text == str(plot([one], x=Axis(label="x", range=(0.0, 4.0)), y=axis, title='t"'))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=8)


def _run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in ("report", *words)])
    return done.exit_code, " ".join(done.output.split())


def test_a_report_with_pictures_and_spectrum_holds_no_secret(world: World, tmp_path: Path) -> None:
    write_records(tmp_path / "a.jsonl", FIRST)
    save_key(world.key, tmp_path / "my.key")
    page = tmp_path / "page.html"
    status, told = _run(
        tmp_path / "a.jsonl", "-o", page, "--release", world.released, "--source", world.source,
        "--key", tmp_path / "my.key", "--public", world.source,
    )  # fmt: skip
    assert status == 0, told
    text = page.read_text()
    found = outline(text)
    assert {"spectrum", "samples"} <= found.ids
    assert len(found.images) == 16
    assert all(image["alt"] for image in found.images)
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in found.images)
    secret = world.key.secret
    assert secret.hex() not in text
    assert repr(secret)[2:-1] not in text


def test_the_card_at_the_door(world: World, tmp_path: Path) -> None:
    write_records(beside(world.released), FIRST)
    status, told = _run(world.released, "--card", "-o", tmp_path / "card.md")
    assert status == 0, told
    assert "project-inpaint" in told
    assert (tmp_path / "card.md").read_text().startswith("**spectral, 8.6 dB**")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["a.jsonl"], "--output: expected a file for the page"),
        (["b.jsonl", "-o", "c.html"], "no file b.jsonl"),
        (["clean.jsonl", "--card"], "expected released or attacked files"),
    ],
)
def test_refusals_at_the_door(
    words: list[str], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_records("a.jsonl", FIRST)
    write_records("clean.jsonl", FIRST[:1])
    status, told = _run(*words)
    assert status == 2
    assert match in told
