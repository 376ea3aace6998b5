import json
from pathlib import Path

import torch
from PIL import Image
from rich.cells import cell_len
from typer.testing import CliRunner

from catch11.cli import app

runner = CliRunner()
PATCH = "py:catch11.studies.nets.digits:patch"


def test_each_line_names_its_noise_and_rivals_are_compared(tmp_path: Path) -> None:
    """Two patch fronts of one shape: recoded draws, laws, angles, Theorem 2 and Wedin."""
    key = str(tmp_path / "patch.key")
    assert runner.invoke(app, ["key", PATCH, "-o", key, "--energy", "0.1"]).exit_code == 0
    twin = "py:catch11.studies.nets.digits:patch_twin"
    words = ["bounds", key, "--psnr", "9", "--rival", twin]
    told = runner.invoke(app, words, env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.output
    assert max(cell_len(line.rstrip()) for line in told.output.splitlines()) <= 80
    text = " ".join(told.output.split())
    for part in (
        "39 random fields recoded (content, png8)", "inside, no box", "isotropic, no box",
        "so that no certificate is of these files", "angles in one tile:", "Theorem 2 as printed says",
        "W₁ = .01·I, W₂ = diag(1, 5)", "Wedin: bounds the turn of",
    ):  # fmt: skip
        assert part in text, part
    facts = json.loads(
        runner.invoke(app, [*words, "--json"]).stdout, parse_constant=lambda name: 1 / 0
    )
    noises = {(row["of"], row["name"]): row["noise"] for row in facts["bounds"]}
    for name in ("authorized", facts["rivals"][0]["of"]):
        assert noises[name, "recoded"] == "content, png8"
        assert noises[name, "certificate"] == "inside, no box"
        assert noises[name, "sphere"] == "isotropic, no box"
        assert noises[name, "ceiling"] == "any"
    assert facts["files"]["pictures"] == 39
    assert facts["files"]["psnr"]["confidence"] == 0.95
    assert facts["rivals"][0]["angles"]["ours"] > 0
    assert facts["rivals"][0]["directions"]


def test_settings_reach_the_recoder(tmp_path: Path) -> None:
    key = str(tmp_path / "patch.key")
    assert runner.invoke(app, ["key", PATCH, "-o", key]).exit_code == 0
    photos = tmp_path / "photos"
    photos.mkdir()
    generator = torch.Generator().manual_seed(1)
    for i in range(5):
        pixels = (torch.rand(8, 8, 3, generator=generator) * 255).byte().numpy()
        Image.fromarray(pixels).save(photos / f"{i}.png")
    words = ["bounds", key, "--noise", "gaussian", "--format", "tensor", "--source", str(photos)]
    facts = json.loads(runner.invoke(app, [*words, "--count", "4", "--json"]).stdout)
    assert facts["files"]["noise"] == "gaussian, tensor"
    assert facts["files"]["pictures"] == 4
    row = facts["bounds"][0]
    assert (row["name"], row["confidence"]) == ("recoded", 0.6)
    assert facts["files"]["outside"]["high"] < 1e-4
    told = runner.invoke(app, words, env={"COLUMNS": "400"}).output
    assert "5 pictures of" in told
    assert "no certificate" not in told.splitlines()[0]


def test_a_key_whose_files_are_not_drawn_says_so(tmp_path: Path) -> None:
    from dataclasses import replace

    from catch11.keys.file import load_key, save_key

    path = tmp_path / "patch.key"
    assert runner.invoke(app, ["key", PATCH, "-o", str(path)]).exit_code == 0
    save_key(replace(load_key(path), private=True), tmp_path / "copy.key")
    result = runner.invoke(app, ["bounds", str(tmp_path / "copy.key")], env={"COLUMNS": "400"})
    assert result.exit_code == 0, result.output
    assert "No picture was recoded: key: expected one that recodes pictures as they are" in result.output  # fmt: skip
    assert "certificate" in result.output
