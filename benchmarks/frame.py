"""What every part shares: how it is found and called, its usual options, and how it refuses.

A part is a module here with a function of its own name: its options are that function's, its help is
the module's docstring, whose first sentence is its line in the list.
"""

import ast
import functools
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.assets import ASSETS as ASSETS
from benchmarks.assets import VARIABLE
from catch11.cli.frame import fail
from catch11.errors import Catch11Error, InvalidArgument

HERE = Path(__file__).parent
FIRST = "speed"

Assets = Annotated[
    Path,
    typer.Option(metavar="DIR", envvar=VARIABLE, help="The folder of real models and pictures."),
]
Work = Annotated[
    Path, typer.Option(metavar="DIR", help="Keeps files and lines, so that a second run goes on.")
]
WORK = Path("bench-work")


def among(known: Iterable[str]) -> Callable[[list[str]], list[str]]:
    """The callback of an option that takes some of a few names."""

    def checked(given: list[str]) -> list[str]:
        for name in set(given) - set(known):
            raise typer.BadParameter(f"expected one of {', '.join(known)}; found {name!r}")
        return given

    return checked


def parts() -> dict[str, str]:
    """The first sentence of every part, by its name."""
    found = {}
    for path in sorted(HERE.glob("[!_]*.py"), key=lambda path: (path.stem != FIRST, path.stem)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(one, ast.FunctionDef) and one.name == path.stem for one in tree.body):
            about = (ast.get_docstring(tree) or "").split("\n\n")[0]
            found[path.stem] = " ".join(about.split()).split(". ")[0].rstrip(".")
    return found


def app_of(name: str) -> typer.Typer:
    """A part as a command."""
    module = import_module(f"benchmarks.{name}")
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.command(help=module.__doc__)(_refusing(getattr(module, name)))
    return app


def _refusing(part: Callable[..., None]) -> Callable[..., None]:
    """Run on one thread, as the command does; what it refuses is one sentence, and exit status 2."""

    @functools.wraps(part)
    def run(**given: Any) -> None:
        import torch

        torch.set_num_threads(1)
        try:
            part(**given)
        except (Catch11Error, OSError, KeyboardInterrupt) as refused:
            error: BaseException = refused
            assets = given.get("assets")
            if assets is not None and not assets.is_dir():
                error = InvalidArgument(
                    "assets", expected="the folder of real models and pictures", found=f"no folder at {assets}",
                    remedy=f"give --assets DIR or set {VARIABLE}",
                )  # fmt: skip
            fail(error, debug=False, options=given)

    return run
