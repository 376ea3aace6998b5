"""docs/cli.md is what the commands say of themselves."""

from pathlib import Path

from catch11.cli import manual


def test_manual_is_fresh(root: Path) -> None:
    written = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == manual.manual(), "docs/cli.md is stale: run make docs"


def test_manual_names_every_command() -> None:
    from catch11.cli import app

    page = manual.manual()
    for info in app.registered_commands:
        assert f"### {info.name}\n" in page
