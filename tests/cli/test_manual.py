"""docs/reference/commands.md is what the commands say of themselves."""

from pathlib import Path

from catch11.cli import manual


def test_manual_is_fresh(root: Path) -> None:
    written = (root / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert written == manual.manual(), "stale: run make pages"


def test_manual_names_every_command() -> None:
    from catch11.cli import app

    page = manual.manual()
    for info in app.registered_commands:
        assert f"### {info.name}\n" in page
