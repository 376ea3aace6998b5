"""What a command says of itself: its everyday options with --help, all of them with --help-all.

An option without a panel of its own is for every day; a panel ("More", "Method deep") is for experts.
"""

import inspect
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

EVERYDAY, MORE = "Options", "More"
_NAMES = 24  # columns of names and values; longer ones get a line of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An argument or option as it is typed, what it means, what it is unless given."""

    names: str
    text: str
    default: str
    section: str


def entries(command: Any) -> list[Entry]:
    """Arguments, everyday options, then those of each panel."""
    found = [_entry(parameter) for parameter in command.params if not parameter.hidden]
    order = ["Arguments", EVERYDAY, *dict.fromkeys(entry.section for entry in found), MORE]
    return sorted(found, key=lambda entry: (entry.section == MORE, order.index(entry.section)))


def usage(command: Any) -> str:
    """The line that shows how a command is called."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    return " ".join(["catch11", command.name, "[OPTIONS]", *map(_placeholder, arguments)])


def explained(command: Any) -> tuple[str, str]:
    """What a command does, and an example of it."""
    words, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    return words.rstrip(), " ".join(example.split())


def page(command: Any, *, everything: bool) -> str:
    """The help as a terminal shows it, in 80 columns where it has no more."""
    width = _width()
    words, example = explained(command)
    parts = [f"Usage: {usage(command)}", *(_filled(part, width) for part in words.split("\n\n"))]
    if example:
        parts.append("Example:\n" + _filled(example, width, before="  ", hanging="      "))
    found = entries(command)
    shown = [one for one in found if everything or one.section in ("Arguments", EVERYDAY)]
    for section, group in groupby(shown, key=lambda entry: entry.section):
        parts.append("\n".join([f"{section}:", *(line for one in group for line in _lines(one, width))]))  # fmt: skip
    if rest := len(found) - len(shown):
        more = f"{rest} more option" + "s" * (rest > 1)
        parts.append(f"catch11 {command.name} --help-all shows {more}.")
    return "\n\n".join(parts)


def overview(group: Any, panels: Sequence[str]) -> str:
    """All commands by their panels, a line or two each."""
    width = _width()
    parts = ["Usage: catch11 COMMAND [OPTIONS] ...", group.help]
    for panel in panels:
        every = (one for one in group.commands.values() if one.rich_help_panel == panel)
        here = [
            one for one in every if " " not in one.name
        ]  # those are named by the first's own help
        texts = [(one.name, explained(one)[0].split("\n\n")[0]) for one in here]
        lines = [_filled(text, width, before=f"  {name:<13}", hanging=" " * 15) for name, text in texts]  # fmt: skip
        parts += ["\n".join([f"{panel}:", *lines])] if here else []
    return "\n\n".join(
        [*parts, "catch11 COMMAND --help says more; catch11 --version which this is."]
    )


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, 60), 100) - 1


def _entry(parameter: Any) -> Entry:
    if parameter.param_type_name == "argument":
        names, section = _placeholder(parameter), "Arguments"
    else:
        names = ", ".join((*parameter.opts, *parameter.secondary_opts))
        names += "" if parameter.is_flag else f" {parameter.metavar}"
        section = parameter.rich_help_panel or EVERYDAY
    text = " ".join((parameter.help or "").split())
    text += f" Or in {parameter.envvar}." if parameter.envvar else ""
    return Entry(names=names, text=text, default=_default(parameter), section=section)


def _placeholder(argument: Any) -> str:
    name = str(argument.metavar or argument.name).upper()
    return f"{name}..." if argument.nargs == -1 else name


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    shown, default = parameter.show_default, parameter.default
    if isinstance(shown, str):
        return shown
    if isinstance(default, float):
        return f"{default:g}"
    plain = isinstance(default, str | int | Path) and not isinstance(default, bool)
    return str(default) if plain else ""


def _lines(entry: Entry, width: int) -> Iterator[str]:
    text = f"{entry.text} {_bracket(entry.default)}"
    indent = " " * (_NAMES + 2)
    if len(entry.names) < _NAMES - 1:
        yield _filled(text, width, before=f"  {entry.names:<{_NAMES}}", hanging=indent)
    else:
        yield f"  {entry.names}"
        yield _filled(text, width, before=indent, hanging=indent)


def _bracket(default: str) -> str:
    if default in ("", "required"):
        return default and "[required]"
    return f"[default: {default}]"


def _filled(text: str, width: int, *, before: str = "", hanging: str = "") -> str:
    return fill(
        " ".join(text.split()), width, initial_indent=before, subsequent_indent=hanging,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
