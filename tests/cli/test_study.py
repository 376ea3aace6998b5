import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.cli import app

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
