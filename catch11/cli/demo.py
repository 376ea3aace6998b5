"""catch11 demo: the main job from end to end on digits that come with scikit-learn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType

from catch11.cli.frame import Answer, command, progress
from catch11.cli.scores import LEGEND, remarks, score_tables

if TYPE_CHECKING:
    from catch11.studies.demo import Demo


@command("Start")
def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the pictures and releases go.")
    ] = Path("catch11-demo"),
    count: Annotated[
        int, typer.Option(metavar="N", min=10, max=500, help="Test digits to release.")
    ] = 300,
    psnr: Annotated[
        float, typer.Option(metavar="DB", help="Strength of the spectral recoder.")
    ] = 8.0,
) -> Answer:
    """Train four small digit readers, release digits for one of them, and show who can read them.

    Takes a minute without a GPU and no download.

    Example: catch11 demo --out demo
    """
    from catch11.studies.demo import run_demo

    with progress("demo") as tick:
        found = run_demo(
            out,
            count=count,
            psnr=psnr,
            step=lambda what, done, total, _="": tick(done, total, what),
        )
    facts = {
        "results": {name: result.to_dict() for name, result in found.results.items()},
        "picture": str(found.picture),
        "folder": str(found.folder),
    }
    return Answer(facts=facts, view=_view(found))


def _view(found: "Demo") -> RenderableType:
    parts: list[RenderableType] = []
    for name, result in found.results.items():
        psnr = next(r.psnr for r in result.records if r.condition == "nte")
        parts += [
            f"[bold]{name}[/]: {result.files} digits released for the patch net, {psnr:.1f} dB PSNR",
            score_tables(result.records)[0],
            *remarks(result),
            "",
        ]
    pictures = f"pictures: {found.picture}"
    return Group(*parts, LEGEND, "", pictures, f"next: catch11 inspect {found.folder / 'deep'}")
