"""Table 4 from end to end on a few questions; and what it needs at a hub."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from catch11.evaluation.record import Record
from catch11.studies.frame import run_study, study_of
from catch11.studies.place import Place, Unavailable
from catch11.studies.table4 import release as table4_release
from catch11.studies.table4 import study as table4

TINY = Place(config="digits")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table4, "QUESTIONS", {"quick": 4, "full": 4})
        patch.setattr(table4, "METHODS", ("spectral",))
        patch.setattr(table4, "LAYOUTS", {})
        return run_study(study_of("table4"), TINY, out=tmp_path_factory.mktemp("study")).records


def of(records: tuple[Record, ...], **wanted: str) -> list[Record]:
    """Records whose fields or settings are these."""
    return [
        record
        for record in records
        if all(getattr(record, k, record.settings.get(k)) == v for k, v in wanted.items())
    ]


def test_the_authorized_model_says_the_same_and_nobody_else(records: tuple[Record, ...]) -> None:
    for owner in tuple(table4.TINY)[:2]:
        rows = of(records, authorized=owner, metric="agreement", condition="nte")
        assert [row.model for row in rows] == list(table4.TINY)
        kept = {row.model: row.value for row in rows}
        assert kept.pop(owner) >= 0.75
        assert max(kept.values()) <= 0.5
        (twin,) = of(records, authorized=owner, metric="agreement", condition="nte", role="ta")
        assert twin.model == f"{owner} twin"
    assert all(row.low <= row.value <= row.high for row in records)


def test_the_table_says_that_the_models_are_untrained(records: tuple[Record, ...]) -> None:
    console = Console(width=400, record=True, file=StringIO())
    console.print(study_of("table4").view(records))
    text = " ".join(console.export_text().split())
    assert "THE MODELS ARE UNTRAINED" in text
    for head in ("agreement, released", "agreement, Gaussian", "tiny InternVL (authorized)"):
        assert head in text
    assert "Overall" not in text
    trained = [replace(one, settings={**one.settings, "trained": True}) for one in records]
    console.print(study_of("table4").view(trained))
    text = console.export_text()
    assert "UNTRAINED" not in text
    for head in ("Overall, clean", "Overall, released", "AR, released", "FP-S, clean"):
        assert head in text
    assert not any(record.settings["trained"] for record in records)


def test_at_a_hub_it_asks_for_the_questions(tmp_path: Path) -> None:
    cells = table4.cells("full", Place(config="paper"))
    assert {cell.settings["authorized"] for cell in cells} == {"InternVL3-8B", "Qwen2.5-VL-7B"}
    for assets in (None, tmp_path):
        with pytest.raises(Unavailable, match="mmbench/MMBench_DEV_EN"):
            table4.work(cells[0], Place(config="paper", assets=assets))


def test_prompts_of_other_shapes_and_known_prompts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A few steps only: nothing is met, so nothing is released, and the counts say so."""
    monkeypatch.setattr(table4, "QUESTIONS", {"quick": 2, "full": 2})
    monkeypatch.setattr(table4, "STEPS", 2)
    monkeypatch.setattr(table4, "METHODS", ("deep, asked",))
    size, families, _ = table4.LAYOUTS["two pictures"]
    monkeypatch.setattr(table4, "LAYOUTS", {"two pictures": (size, families, ("spectral",))})
    made = run_study(study_of("table4"), TINY, out=tmp_path).records
    for owner in tuple(table4.TINY)[:2]:
        asked = of(made, authorized=owner, method="deep, asked", metric="agreement")
        assert {row.settings["withheld"] for row in asked} == {2}
        pairs = of(
            made, authorized=owner, layout="two pictures", condition="nte", role="authorized"
        )
        assert pairs[0].n == 2
    text = Console(width=400, record=True, file=StringIO())
    text.print(study_of("table4").view(made))
    assert "spectral, two pictures" in text.export_text()


@pytest.mark.parametrize("there", [True, False])
def test_films_are_asked_of_where_they_can_be_cut(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table4, "find_spec", lambda name: object() if there else None)
    names = [cell.name for cell in table4.cells("quick", TINY)]
    assert any("film" in name for name in names) is there
    assert "tiny InternVL, two pictures, deep" in names


def test_a_film_shows_each_frame_and_its_follower() -> None:
    pictures = [Image.new("RGB", (2, 2), (level, 0, 0)) for level in (1, 2, 3)]
    assert table4_release.shown_of(pictures, 2, "two pictures") == [pictures[2], pictures[0]]
    twice = table4_release.shown_of(pictures, 0, "film, frames twice")
    assert twice == [pictures[0], pictures[0], pictures[1], pictures[1]]
    assert table4_release.shown_of(pictures, 1, table4_release.ONE) == [pictures[1]]
