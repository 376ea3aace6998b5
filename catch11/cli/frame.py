"""What every command shares: registration, --json and --debug, errors, exit status.

A command is a function that parses its options, makes one library call and returns an `Answer`;
the frame prints it. Exit status: 0 done, 1 a finding, 2 bad usage or input, 130 interrupted.
"""

import functools
import inspect
import json
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import zip_longest
from pathlib import Path
from shutil import which
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.text import Text
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from catch11.cli import help
from catch11.errors import Catch11Error, InvalidArgument

PANELS = ("Start", "Release", "Check", "Research", "Operate")
FINDING, BAD, INTERRUPTED = 1, 2, 130
NAME = "catch11"
_CALLED = {"copy": "secret"}  # arguments of Python whose options have another name
LINE = 300  # characters of a stranger's error that are shown


class Commands(TyperGroup):
    """All commands, listed by their panels."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        typer.echo(help.overview(self, PANELS))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """A command's name may be of several words: "serve token create"."""
        for count in range(min(len(args), 3), 1, -1):
            name = " ".join(args[:count])
            if name in self.commands:
                return name, self.commands[name], args[count:]
        return super().resolve_command(ctx, args)


# Tracebacks with local variables would print secrets, so typer's own are off for good.
app = typer.Typer(
    name=NAME,
    cls=Commands,
    help="Release data for one model: the authorized model reads it, others do not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command found: facts for machines, a view for people, the exit status."""

    facts: Mapping[str, Any]
    view: RenderableType
    status: int = 0


class Command(TyperCommand):
    """A command whose --json takes a file or nothing, and whose --help is short."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, bare_json(args))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        typer.echo(help.page(self, everything=False))  # as typer's own does, without the formatter


def bare_json(args: Sequence[str]) -> list[str]:
    """The arguments with the file of a lone --json spelled out as "-".

    The word after --json is its file only if it is "-" or ends in .json, so that a flag in front
    of a path (`inspect --json my.key`) never swallows, or writes over, that path.
    """
    spelled: list[str] = []
    for word, following in zip_longest(args, args[1:], fillvalue=""):
        if word == "--json" and not (following == "-" or following.endswith(".json")):
            word = "--json=-"
        spelled.append(word)
    return spelled


def command(panel: str, *, name: str | None = None) -> Callable[[Callable[..., Answer]], Any]:
    """Register a function as a command of the given help panel; adds --json and --debug."""
    assert panel in PANELS

    def register(function: Callable[..., Answer]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, json: str | None, debug: bool, help_all: bool, **options: Any) -> None:
            quieten_libraries()
            try:
                with one_line_warnings():
                    answer = function(*args, **options)
                deliver(answer, json)
            except (typer.Exit, typer.Abort, typer.BadParameter):
                raise
            except BaseException as error:  # noqa: BLE001 - fail() raises each again as a status
                fail(error, debug=debug, options=known)
            raise typer.Exit(answer.status)

        own, shared = (
            inspect.signature(one, eval_str=True).parameters for one in (function, _shared)
        )
        parameters = [*own.values(), *shared.values()]
        known = [
            p.name
            for p in parameters
            if any(isinstance(one, OptionInfo) for one in get_args(p.annotation))
        ]
        for parameter in parameters:
            _name_choices(parameter.annotation)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        app.command(name or function.__name__, cls=Command, rich_help_panel=panel)(run)
        return run

    return register


def _name_choices(annotation: Any) -> None:
    """Have an option of a few values show them."""
    kind, *notes = get_args(annotation) or (annotation,)
    literals = [one for one in (kind, *get_args(kind)) if get_origin(one) is Literal]
    for note in notes:
        if literals and note.metavar is None:
            note.metavar = "|".join(map(str, get_args(literals[0])))


def call() -> str:
    """The call of this command, to be kept with what it found; without the credentials of addresses."""
    from catch11.data.stores.remote import shown

    return shlex.join(["catch11", *map(shown, sys.argv[1:])])


def program() -> str:
    """How a shell finds this command: by name, or by the path it was called by where that is not on it."""
    called = sys.argv[0]
    return called if Path(called).name == NAME and which(NAME) is None else NAME


def _help_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(help.page(ctx.command, everything=True))
        raise typer.Exit


def _shared(
    *,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="[FILE.json]",
            help="Write the result as JSON: to FILE.json, or to standard output.",
        ),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            envvar="CATCH11_DEBUG",
            help="Show a traceback when something fails.",
            rich_help_panel=help.MORE,
        ),
    ] = False,
    help_all: Annotated[
        bool,
        typer.Option(
            "--help-all",
            callback=_help_all,
            is_eager=True,
            hidden=True,
            help="Show every option and exit.",
        ),
    ] = False,
) -> None:
    """The options that every command has."""


def deliver(answer: Answer, target: str | None) -> None:
    """Print the view, or the facts where --json asks for them."""
    if target is None or target != "-":
        console = Console(highlight=False)
        # A pipe gets whole lines: Markdown and commands are to be pasted.
        console.print(
            answer.view, soft_wrap=isinstance(answer.view, str | Text) and not console.is_terminal
        )
    if target is None:
        return
    if target == "-":
        sys.stdout.write(_as_json(answer.facts, sys.stdout.encoding or "ascii"))
        sys.stdout.flush()
    else:
        with open(target, "w", encoding="utf-8") as file:
            file.write(_as_json(answer.facts, "utf-8"))


def _as_json(facts: Mapping[str, Any], encoding: str) -> str:
    """Facts as JSON; what the encoding does not know (a file name may hold anything) is escaped."""
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(facts, indent=2, default=str) + "\n"
    return text


def lenient_streams() -> None:
    """Show "?" for what an output cannot encode (a pipe on Windows, cron) rather than lose the rest."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def quieten_libraries() -> None:
    """Switch off the noise that libraries make about loading models."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Warnings as one sentence on standard error, without the line of code that gave them."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(str(message), kind="warning")
        yield


def fail(error: BaseException, *, debug: bool, options: Collection[str] = ()) -> NoReturn:
    """One sentence on standard error and the exit status; a traceback only if asked for. options:
    of the command, by their Python names, which the library calls its arguments."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        _say("interrupted; what was written so far is intact")
        raise typer.Exit(INTERRUPTED)
    if isinstance(error, BrokenPipeError):
        # The reader of our output went away (`catch11 … | head`): leave without a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0)
    if isinstance(error, InvalidArgument) and (name := _option(error.name, options)):
        _say(f"--{name.replace('_', '-')}{str(error).removeprefix(error.name)}")
    elif isinstance(error, Catch11Error):
        _say(str(error))
    elif isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        _say(f"{error.filename}: {reason}" if error.filename else reason)
    elif isinstance(error, Exception):
        text = " ".join(str(error).split())[:LINE]
        _say(f"unexpected {type(error).__name__}: {text} (run again with --debug for a traceback)")
    else:
        raise error
    raise typer.Exit(BAD)


def _option(argument: str, options: Collection[str]) -> str | None:
    """The option that an argument is; what is given several times is called by its plural there."""
    argument = _CALLED.get(argument, argument)
    return next((one for one in options if argument in (one, f"{one}s")), None)


def _say(sentence: str, *, kind: str = "") -> None:
    sign = f"[bold yellow]catch11 {kind}:[/]" if kind else "[bold red]catch11:[/]"
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"{sign} {escape(sentence)}")
