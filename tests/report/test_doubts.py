"""What the records themselves give reason to doubt, at the door, on the page and on the card."""

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.attacks import Effort, attack_release
from catch11.cli import app
from catch11.evaluation.record import Record, write_records
from catch11.report import load_warnings
from catch11.report.card.threats import card_of, cards
from catch11.report.card.words import markdown
from tests.report.rows import make, rows
from tests.world import World, build_world

FIRST = [r for r in rows() if r.settings.get("release") == "0a1b2c3d"]
Change = Callable[[Record], Record | None]


def names(**found: object) -> Change:
    """Drops the records whose fields have one of these values."""
    return lambda r: None if any(getattr(r, k) == v for k, v in found.items()) else r


def prints(**found: str) -> Change:
    """Gives models fingerprints."""
    return lambda r: replace(r, model_fingerprint=found.get(r.model, r.model))


def of_mobile(r: Record, condition: str, hits: int) -> Record:
    if (r.model, r.condition) != ("mobile", condition):
        return r
    return make(r.model, r.role, hits, condition=r.condition, settings=r.settings)


def two_files(r: Record) -> Record:
    return replace(r, model_fingerprint=f"{r.model} {r.condition == 'attack'}")


def without(*conditions: str) -> Change:
    return lambda r: None if r.condition in conditions else r


def attacked_only(r: Record) -> Record | None:
    """What `catch11 attack` writes without --model."""
    return r if r.condition == "attack" else None


def noisy(r: Record) -> Record:
    own = r.condition == "gaussian" and r.role == "authorized"
    return make(r.model, r.role, 84, condition="gaussian", settings=r.settings) if own else r


LABELS = "whether a rival is any good on clean images is unknown"
ROWS: list[tuple[str, Change, str]] = [
    ("few", lambda r: replace(r, n=60), "only 60 images were scored: below 100"),
    ("few for one", lambda r: replace(r, n=40) if r.attack == "blur" else r,
     "only 40 images were scored for blur: below 100"),
    ("weak", lambda r: of_mobile(r, "clean", 30),
     "mobile scores 0.30 on clean images: too weak a rival"),
    ("handling", lambda r: of_mobile(r, "control", 50),
     "mobile loses 0.32 on clean pictures brought to the canvas"),
    ("noise", noisy, "this evaluation shows no specificity"),
    ("authorized", prints(mobile="deit"), "mobile is the authorized model itself, listed as a rival"),
    ("twins", prints(squeeze="mobile"), "squeeze has the same weights as mobile"),
    ("two files", two_files, "mobile stands for 2 files of different fingerprints"),
    ("sibling", lambda r: replace(r, role="sibling") if r.model == "twin" else r,
     "twin descends from the authorized weights"),
    ("withheld", lambda r: replace(r, settings={**r.settings, "withheld": 3}),
     "3 sources were withheld"),
    ("labels", lambda r: replace(r, metric="agreement") if r.metric == "accuracy" else r, LABELS),
    ("no model", names(role="authorized"), "give catch11 attack or verify the option --model"),
    ("no rival", lambda r: r if r.role == "authorized" else None, "no rival was run"),
    ("no clean", without("clean"), "no score on the originals, so shares of a clean score are unknown"),
    ("one not clean", lambda r: None if (r.model, r.condition) == ("twin", "clean") else r,
     "no score on the originals by twin, so"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "sentence"), ROWS, ids=[row[0] for row in ROWS])
def test_a_doubt_stands_on_the_card_and_on_the_page(
    name: str, change: Change, sentence: str, tmp_path: Path
) -> None:
    assert not any(sentence in text for text in card_of(FIRST).doubts)
    held = [made for r in FIRST if (made := change(r)) is not None]
    write_records(tmp_path / "a.jsonl", held)
    card, page = tmp_path / "card.md", tmp_path / "page.html"
    for words in (["--card", "-o", str(card)], ["-o", str(page)]):
        done = CliRunner().invoke(app, ["report", str(tmp_path / "a.jsonl"), *words])
        assert done.exit_code == 0, done.output
    (line,) = (text for text in card.read_text().splitlines() if sentence in text)
    assert line.startswith("- ")
    article = html.unescape(page.read_text()).split("<article", 1)[1].split("</article>", 1)[0]
    assert article.count(line[2:]) == 1


def test_sound_records_raise_no_doubt() -> None:
    assert card_of(FIRST).doubts == ()
    assert "Mind:" not in markdown(card_of(FIRST))


def test_doubts_stand_with_their_own_release() -> None:
    weak = [of_mobile(r, "clean", 30) for r in FIRST]
    other = [replace(r, settings={**r.settings, "release": "ffff0000"}) for r in FIRST]
    first, second = cards([*weak, *other])
    assert any("too weak" in text for text in first.doubts)
    assert second.doubts == ()


def test_a_card_without_the_authorized_model_has_no_empty_column() -> None:
    bare = [r for r in FIRST if attacked_only(r)]
    card = card_of(bare)
    text = markdown(card)
    assert card.authorized is None
    assert "| who | knows | best attack | model | gets | n |" in text
    assert "|  |" not in text.split("\n", 5)[2]
    assert "give catch11 attack or verify the option --model" in text
    assert "catch11 attack with --model, --source and --records" in text
    assert all(row.recovered is None for row in card.rows)
    plain = [r for r in FIRST if r.condition != "attack"]
    assert "| who | knows | model | gets | clean | n |" in markdown(card_of(plain))


def test_no_column_of_the_page_is_empty(tmp_path: Path) -> None:
    write_records(tmp_path / "a.jsonl", [r for r in FIRST if attacked_only(r)])
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["report", str(tmp_path / "a.jsonl"), "-o", str(page)])
    assert done.exit_code == 0, done.output
    head = page.read_text().split("<thead>", 1)[1].split("</thead>", 1)[0]
    assert "clean" not in head
    assert "gets" in head


def test_the_authorized_model_beside_attacks_is_on_the_card() -> None:
    """`catch11 attack --model` without --records has it under the attack `none` alone."""
    own = make("deit", "authorized", 86, condition="attack", attack="none", psnr=8.6,
               settings=FIRST[0].settings)  # fmt: skip
    card = card_of([*(r for r in FIRST if attacked_only(r)), own])
    assert card.authorized is not None
    assert card.authorized.record == own
    assert card_of([own]).psnr == 8.6


def test_what_a_run_warned_of_is_on_the_page_and_the_card(tmp_path: Path) -> None:
    held = {
        "records": [json.loads(r.to_line()) for r in FIRST],
        "warnings": ["the released folders give the labels away: <names>"] * 2,
    }
    path, page, card = (tmp_path / name for name in ("a.json", "page.html", "card.md"))
    path.write_text(json.dumps(held))
    for words in (["-o", str(page)], ["--card", "-o", str(card)]):
        done = CliRunner().invoke(app, ["report", str(path), *words])
        assert done.exit_code == 0, done.output
    assert page.read_text().count("give the labels away: &lt;names&gt;") == 1
    assert "Warnings of the runs:\n\n- the released folders" in card.read_text()
    write_records(tmp_path / "a.jsonl", FIRST)
    assert load_warnings([tmp_path / "a.jsonl"]) == ()


@pytest.mark.parametrize("told", ["one", [3], {"a": "b"}])
def test_warnings_that_are_no_sentences_are_refused(told: object, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"records": [json.loads(FIRST[0].to_line())], "warnings": told}))
    done = CliRunner().invoke(app, ["report", str(path), "-o", str(tmp_path / "p.html")])
    assert done.exit_code == 2
    assert "`warnings` of sentences" in " ".join(done.output.split())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("world"), count=8)


@pytest.mark.parametrize("whole", [True, False])
def test_the_recipe_of_the_docs_makes_a_whole_card(
    whole: bool, world: World, root: Path, tmp_path: Path
) -> None:
    """With --model, --source and --records; without --model the card says what it lacks."""
    page = (root / "docs" / "howto" / "attack.md").read_text(encoding="utf-8")
    (recipe,) = (
        line for line in page.replace("\\\n", " ").splitlines()
        if line.startswith("$ catch11 attack ") and "--records" in line
    )  # fmt: skip
    assert all(f" {option} " in recipe for option in ("--model", "--source", "--rival"))
    path = tmp_path / "released.records.jsonl"
    attack_release(
        world.released, [world.rival], model=world.model if whole else None, source=world.source,
        labels=world.labels, attacks=["none"], effort=Effort(judged=8, training=0), records=path,
    )  # fmt: skip
    done = CliRunner().invoke(app, ["report", str(path), "--card", "-o", str(tmp_path / "c.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "c.md").read_text()
    assert ("| the licensee |" in text) == whole
    assert ("the option --model" in text) != whole
