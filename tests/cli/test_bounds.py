import json
from pathlib import Path

from typer.testing import CliRunner

from catch11.cli import app

runner = CliRunner()
PATCH = "py:catch11.studies.digits:patch"


def test_the_chain_over_depth_stands_beside_what_was_measured(tmp_path: Path) -> None:
    key = str(tmp_path / "patch.key")
    made = runner.invoke(app, ["key", PATCH, "-o", key])
    assert made.exit_code == 0, made.output
    words = ["bounds", key, "--psnr", "10", "--model", PATCH]
    told = runner.invoke(app, words)
    assert told.exit_code == 0, told.output
    assert "at most" in told.output
    rows = json.loads(runner.invoke(app, [*words, "--json"]).stdout)["depth"]
    assert rows[0]["ceiling"] == 1.0
    for row in rows:
        assert max(row["moved"]) <= row["bound"] * (1 + 1e-5), row["name"]


def test_another_model_than_the_key_s_is_refused(tmp_path: Path) -> None:
    key = str(tmp_path / "patch.key")
    assert runner.invoke(app, ["key", PATCH, "-o", key]).exit_code == 0
    result = runner.invoke(app, ["bounds", key, "--model", "py:catch11.studies.digits:patch_twin"])
    assert result.exit_code == 2
    assert "the key was built from another model" in " ".join(result.output.split())
