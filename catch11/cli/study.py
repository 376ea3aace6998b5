"""catch11 study: the paper's tables and figures, and ours, worked out again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape

from catch11.cli.bar import progress
from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import Assets, Device
from catch11.cli.views import list_view
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.studies.frame import Done, Scale


@command("Research")
def study(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="Studies, or all; without a name they are listed."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--quick", help="All cells and pictures, or a small selection.")
    ] = False,
    only: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Cells with this in their name and no others.",
            rich_help_panel=MORE,
        ),
    ] = "",
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where records and figures go, and are taken up.")
    ] = Path("studies"),
    assets: Assets = None,
    hub: Annotated[
        bool,
        typer.Option(
            "--hub",
            help="The paper's models and pictures, from the model hub.",
            rich_help_panel=MORE,
        ),
    ] = False,
    digits: Annotated[
        bool, typer.Option("--digits", help="Small nets on embedded digits: nothing is needed.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Studies worked out at once, a process each; one study is one process.",
            rich_help_panel=MORE,
        ),
    ] = 1,
    device: Device = "cpu",
) -> Answer:
    """Run a study and print its table. Stopped, it goes on where it was when asked again.

    Example: catch11 study table1 --quick --assets assets --out studies
    """
    from catch11.studies.beside import run_beside
    from catch11.studies.frame import run_studies, run_study, studies, study_of
    from catch11.studies.place import Place

    if not names or names == ["list"]:
        rows = [{"name": s.name, "title": s.title, "source": s.source} for s in studies().values()]
        shown = [(row["name"], row["title"], row["source"]) for row in rows]
        view = list_view(("study", "what it shows", "source"), shown)
        return Answer(facts={"studies": rows}, view=view)
    if hub and digits:
        raise InvalidArgument("--hub", expected="one of --hub and --digits", found="both")
    place = Place(
        config="paper" if hub else "digits" if digits else "local", assets=assets, device=device
    )
    scale: Scale = "full" if full else "quick"
    chosen = list(studies().values()) if names == ["all"] else [study_of(name) for name in names]
    with progress("studies") as tick:
        if len(chosen) > 1:
            if jobs > 1:
                run_beside(chosen, place, scale=scale, out=out, only=only, jobs=jobs, progress=tick)
            done, skipped = run_studies(
                chosen, place, scale=scale, out=out, only=only, progress=tick
            )
        else:
            done = [run_study(chosen[0], place, scale=scale, out=out, only=only, progress=tick)]
            skipped = []
    facts = {
        "studies": {one.study.name: _facts(one) for one in done},
        "skipped": [list(row) for row in skipped],
    }
    return Answer(facts=facts, view=_view(done, skipped))


def _facts(done: "Done") -> dict[str, object]:
    return {
        "title": done.study.title,
        "source": done.study.source,
        "records": [json.loads(record.to_line()) for record in done.records],
        "warnings": list(done.doubts),
        "file": str(done.file),
        "figure": None if done.figure is None else str(done.figure),
    }


def _view(done: "list[Done]", skipped: list[tuple[str, str]]) -> RenderableType:
    parts: list[RenderableType] = []
    for one in done:
        parts += [
            f"[bold]{escape(one.study.title)}[/] [dim]({escape(one.study.source)})[/]",
            one.study.view(one.records),
            *(f"[yellow]note[/] {escape(doubt)}" for doubt in one.doubts),
            f"[dim]records: {escape(str(one.file))}[/]",
        ]
        parts += [] if one.figure is None else [f"[dim]figure: {escape(str(one.figure))}[/]"]
        parts.append("")
    parts += [f"[yellow]not run[/] {escape(name)}: {escape(why)}" for name, why in skipped]
    return Group(*parts)
