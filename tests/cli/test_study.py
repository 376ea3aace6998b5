import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.cli import app
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.studies.frame import Study

runner = CliRunner()


def test_list_names_every_study() -> None:
    from catch11.studies.frame import studies

    result = runner.invoke(app, ["study", "list", "--json"])
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in json.loads(result.stdout)["studies"]] == list(studies())


def test_a_study_from_end_to_end(tmp_path: Path) -> None:
    words = ["study", "table5", "--digits", "--out", str(tmp_path), "--json"]
    first = runner.invoke(app, words)
    assert first.exit_code == 0, first.output
    facts = json.loads(first.stdout)["studies"]["table5"]
    assert {record["metric"] for record in facts["records"]} >= {"P95", "P99"}
    assert Path(facts["figure"]).stat().st_size > 1000
    assert runner.invoke(app, words).stdout == first.stdout, "taken up from its file"


@pytest.mark.parametrize(("n", "told"), [(24, True), (100, False)])
def test_a_table_of_few_pictures_says_so(
    n: int, told: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = Record(
        model="m", role="ga", condition="nte", metric="accuracy", value=0.5, low=0.4, high=0.6, n=n
    )
    study = Study(
        name="s", title="A study", source="here", view=lambda records: "the table",
        cells=lambda scale, place: [Cell(name="a", settings={})], work=lambda cell, place: [row],
    )  # fmt: skip
    monkeypatch.setattr("catch11.studies.frame.study_of", lambda name: study)
    words = ["study", "s", "--digits", "--out", str(tmp_path)]
    shown = runner.invoke(app, words).output
    assert shown.index("the table") < shown.index("records:")
    assert ("fewer than 100 items" in " ".join(shown.split())) is told
    facts = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    assert len(facts["studies"]["s"]["warnings"]) == told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["table99"], "study: expected one of"),
        (["table5", "--hub", "--digits"], "expected one of --hub and --digits"),
        (["table5"], "the folder of assets is not at hand"),
    ],
    ids=repr,
)
def test_refusals(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CATCH11_ASSETS", raising=False)
    result = runner.invoke(app, ["study", *words, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
