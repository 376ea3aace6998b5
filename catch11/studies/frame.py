"""The frame of every study: it finds them, runs their cells so that a stop loses one at most, and
marks each record with the command that made it. A study is one file here with a `STUDY` in it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

from rich.console import RenderableType

from catch11.errors import InvalidArgument, MissingExtra
from catch11.evaluation.cells import Cell, run_cells
from catch11.evaluation.doubts import doubts_of_shares
from catch11.evaluation.record import Record, versions
from catch11.studies.basis import basis
from catch11.studies.place import Place, Unavailable

Scale = Literal["quick", "full"]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A table or figure as cells to work out.

    cells: of a scale and a place; whatever decides a cell's numbers stands in its settings, or is
    in the `basis` that joins them. work:
    one cell's records; raises Unavailable or MissingExtra where something is not at hand. view: the
    table of all records. draw: the figure, written to a path, if the study has one. minutes: of
    the full scale, roughly, so that long ones can be begun first. alone: it measures times, and
    nothing should run beside it.
    """

    name: str
    title: str
    source: str
    cells: Callable[[Scale, Place], Sequence[Cell]]
    work: Callable[[Cell, Place], Sequence[Record]]
    view: Callable[[Sequence[Record]], RenderableType]
    draw: Callable[[Sequence[Record], Place, Path], None] | None = None
    minutes: int = 1
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A study that ran: its records, in the order of its cells, their file, and its figure."""

    study: Study
    records: tuple[Record, ...]
    file: Path
    figure: Path | None = None

    @property
    def doubts(self) -> tuple[str, ...]:
        """One sentence for each reason not to rely on the table."""
        return doubts_of_shares(self.records)


@cache
def studies() -> Mapping[str, Study]:
    """Every study by name, found by being in this folder."""
    import catch11.studies as home

    found: dict[str, Study] = {}
    for item in iter_modules(home.__path__):
        study = getattr(import_module(f"{home.__name__}.{item.name}"), "STUDY", None)
        if isinstance(study, Study):
            assert study.name not in found, f"two studies are called {study.name}"
            found[study.name] = study
    return dict(sorted(found.items()))


def study_of(name: str) -> Study:
    """The study of that name; raises InvalidArgument with the known ones.

    A file of the study's own name is looked into first, so that others need not be imported.
    """
    home = "catch11.studies"
    if name.isidentifier() and find_spec(f"{home}.{name}") is not None:
        study = getattr(import_module(f"{home}.{name}"), "STUDY", None)
        if isinstance(study, Study) and study.name == name:
            return study
    if name not in studies():
        raise InvalidArgument("study", expected=f"one of {', '.join(studies())}", found=name)
    return studies()[name]


def run_study(
    study: Study,
    place: Place,
    *,
    scale: Scale = "quick",
    out: Path,
    only: str = "",
    progress: Progress | None = None,
) -> Done:
    """Work out the cells that OUT/NAME.jsonl does not hold yet, and draw the figure.

    only: a part of the names of the cells wanted; the figure is drawn of all cells alone. Raises Unavailable or MissingExtra where the study cannot run in this place.
    """
    cells = [cell for cell in study.cells(scale, place) if only in cell.name]
    if not cells:
        names = ", ".join(cell.name for cell in study.cells(scale, place))
        raise InvalidArgument("only", expected=f"a part of one of: {names}", found=only)
    at = {"config": place.config, "basis": basis(study.cells.__module__, place)}
    cells = [replace(cell, settings={**cell.settings, **at}) for cell in cells]
    flags = {"digits": " --digits", "paper": " --hub", "local": ""}[place.config]
    command = f"catch11 study {study.name} --{scale}{flags}"

    def work(cell: Cell) -> Sequence[Record]:
        return [_marked(record, command) for record in study.work(cell, place)]

    def tick(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total, cells[min(done, total - 1)].name if cells else "")

    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{study.name}.jsonl"
    records = run_cells(cells, file, work, progress=tick)
    figure = None
    if study.draw is not None and not only:
        figure = out / f"{study.name}.png"
        if not figure.exists() or figure.stat().st_mtime < file.stat().st_mtime:
            study.draw(records, place, figure)
    return Done(study=study, records=records, file=file, figure=figure)


def run_studies(
    chosen: Sequence[Study],
    place: Place,
    *,
    scale: Scale = "quick",
    out: Path,
    only: str = "",
    progress: Progress | None = None,
) -> tuple[list[Done], list[tuple[str, str]]]:
    """Several studies, and (name, reason) of those that cannot run in this place or have no cell
    of that name."""
    done, skipped = [], []
    for study in chosen:
        try:
            done.append(run_study(study, place, scale=scale, out=out, only=only, progress=progress))
        except (Unavailable, MissingExtra, InvalidArgument) as error:
            if isinstance(error, InvalidArgument) and error.name != "only":
                raise
            skipped.append((study.name, str(error)))
    return done, skipped


def _marked(record: Record, command: str) -> Record:
    return replace(
        record,
        command=record.command or command,
        versions=record.versions or versions(),
    )
