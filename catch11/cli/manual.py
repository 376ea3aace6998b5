"""Writes the page of commands from the commands themselves:
`python -m catch11.cli.manual docs/reference/commands.md`."""

import inspect
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from catch11.cli import app
from catch11.cli.frame import PANELS

HEAD = """# The `catch11` command

Generated from the command itself by `make pages`; a test fails when this page is stale.

Exit status: 0 done, 1 a finding (for example a failed `verify`), 2 bad usage or input,
130 interrupted. Every command takes `--json`: alone it writes the result to standard output for
machines, with a name ending in .json (or as `--json=FILE`) it writes it to that file. A progress
bar is drawn on a terminal only. `--debug` or `CATCH11_DEBUG=1` adds a traceback to an error.
"""
SHARED = ("json", "debug")


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
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    words = ["catch11", command.name, "[OPTIONS]", *map(_placeholder, arguments)]
    callback = next(
        i.callback for i in app.registered_commands if i.callback and i.name == command.name
    )
    kinds = inspect.signature(callback, eval_str=True).parameters
    rows = [
        _row(p, kinds[p.name].annotation)
        for p in (*arguments, *options)
        if p.name not in (*SHARED, "help")
    ]
    lines = [f"### {command.name}", "", f"`{' '.join(words)}`", "", _text(command.help), ""]
    if rows:
        lines += ["| | | default |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _text(text: str | None) -> str:
    """The help text, its example as code."""
    words, sign, example = inspect.cleandoc(text or "").partition("Example: ")
    return f"{words}```\n{' '.join(example.split())}\n```" if sign else words


def _placeholder(argument: Any) -> str:
    name = str(argument.metavar or argument.name).upper()
    return f"{name}..." if argument.nargs == -1 else name


def _row(parameter: Any, annotation: Any) -> str:
    if parameter.param_type_name == "argument":
        names = _placeholder(parameter)
    else:
        names = ", ".join((*parameter.opts, *parameter.secondary_opts))
        names += "" if parameter.is_flag else f" {parameter.metavar or _choices(annotation)}"
    default = "required" if parameter.required else _default(parameter)
    return f"| `{names}` | {_cell(parameter.help)} | {_cell(default)} |"


def _choices(annotation: Any) -> str:
    """The values of a Literal, as the reader types them."""
    kind = get_args(annotation)[0]  # of Annotated
    kinds = (kind, *get_args(kind))  # of `Literal[...] | None`
    literal = next(k for k in kinds if get_origin(k) is Literal)
    return "\\|".join(map(str, get_args(literal)))


def _default(parameter: Any) -> str:
    default = parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return str(default) if plain and default != "" else ""


def _cell(text: str | None) -> str:
    return " ".join((text or "").replace("|", "\\|").split())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual(), encoding="utf-8")
