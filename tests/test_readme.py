"""What the README tells people to type runs, and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catch11.cli import app

FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+?)\)")


def blocks(root: Path, language: str) -> list[str]:
    text = (root / "README.md").read_text(encoding="utf-8")
    return [body for kind, body in FENCE.findall(text) if kind == language]


def test_the_five_commands_and_the_python_example_run(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [line for body in blocks(root, "console") for line in body.splitlines()]
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("$ catch11 ")]
    assert len(commands) == 5
    first = ["demo", "--out", "demo", "--count", "40"]
    for words in [first, *commands]:
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{words}: {done.output}"
    (example,) = blocks(root, "python")
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out == "40 1.0\n"


@pytest.mark.parametrize(
    "page", ["README.md", "docs/architecture.md", "docs/threats.md", "docs/choosing.md"]
)
def test_links_lead_to_files(root: Path, page: str) -> None:
    path = root / page
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_make_targets_of_the_readme_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)`?", (root / "README.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{target}\b.*:", makefile, re.MULTILINE), target
