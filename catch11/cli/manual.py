"""Writes the page of commands from the commands themselves:
`python -m catch11.cli.manual docs/reference/commands.md`."""

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.main import get_command

from catch11.cli import app, help
from catch11.cli.frame import PANELS

HEAD = """# The `catch11` command

Generated from the command itself by `make pages`; a test fails when this page is stale.

Exit status: 0 done, 1 a finding (for example a failed `verify`), 2 bad usage or input,
130 interrupted. Every command takes `--json`: alone it writes the result to standard output for
machines, with a name ending in .json (or as `--json=FILE`) it writes it to that file. A progress
bar is drawn on a terminal only. `--help` shows the options of everyday use, `--help-all` all of
them; here the others stand under headings of their own. `--debug` or `CATCH11_DEBUG=1` adds a traceback to an error.
"""
SHARED = ("--json", "--debug")


def manual() -> str:
    """The whole page in Markdown."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    parts = [HEAD]
    for panel in PANELS:
        pages = [c for c in commands.values() if c.rich_help_panel == panel]
        if pages:
            parts += [f"## {panel}\n", *map(_page, pages)]
    return "\n".join(parts)


def _page(command: Any) -> str:
    words, example = help.explained(command)
    lines = [f"### {command.name}", "", f"`{help.usage(command)}`", "", words, ""]
    lines += [f"```\n{example}\n```", ""] if example else []
    found = [entry for entry in help.entries(command) if entry.names.split()[0] not in SHARED]
    if found:
        lines += ["| | | default |", "|---|---|---|"]
    for section, group in groupby(found, key=lambda entry: entry.section):
        lines += [] if section in ("Arguments", help.EVERYDAY) else [f"| **{section}** | | |"]
        lines += [f"| `{_cell(e.names)}` | {_cell(e.text)} | {_cell(e.default)} |" for e in group]
    return "\n".join([*lines, ""] if found else lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")
