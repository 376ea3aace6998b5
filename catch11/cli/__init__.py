"""The `catch11` command: one module here is one command, found by being here."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

import typer

from catch11.cli.frame import PANELS, app, lenient_streams


def _version(wanted: bool) -> None:
    if wanted:
        from catch11 import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _catch11(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


for _module in iter_modules(__path__):
    if _module.name not in ("frame", "help", "manual"):
        import_module(f"{__name__}.{_module.name}")

app.registered_commands.sort(key=lambda info: PANELS.index(str(info.rich_help_panel)))


def main() -> None:
    """The entry point of the installed command."""
    lenient_streams()
    app(prog_name="catch11")
