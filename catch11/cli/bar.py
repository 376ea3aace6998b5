"""The bar that long work draws on the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape


class Tick(Protocol):
    """Called with how much is done, of how much, what is at hand, and a line to leave behind."""

    def __call__(self, done: int, total: int, what: str = "", said: str = "") -> None: ...


@contextmanager
def progress(title: str) -> Iterator[Tick]:
    """A callback (done, total) that draws a bar on standard error if that is a terminal; lines that
    are said appear on it in any case."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not sys.stderr.isatty():
        yield lambda done, total, what="", said="": console.print(escape(said)) if said else None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    now = TextColumn("[dim]{task.description}")
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), Remaining(), now)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def tick(done: int, total: int, what: str = "", said: str = "") -> None:
            if said:
                bar.console.print(escape(said))
            bar.update(task, completed=done, total=total, description=escape(what[-40:]))

        yield tick
