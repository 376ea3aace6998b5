"""catch11 demo: the main job from end to end on pictures and nets that come inside packages."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table

from catch11.cli.bar import Tick, progress
from catch11.cli.frame import Answer, command, program
from catch11.cli.scores import LEGEND, cell, remarks, score_tables
from catch11.errors import InvalidArgument, MissingExtra

if TYPE_CHECKING:
    from catch11.evaluation.verification import Verification
    from catch11.studies.demo.frame import Demo

WHO = {
    "efficientnet-lite0": "authorized",
    "efficientnet-lite1": "another model",
    "efficientnet-lite2": "another model",
    "small-net": "trained here",
}
SHOWN = {"clean": "original", "nte": "released file", "gaussian": "plain noise"}


@command("Start")
def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the pictures and releases go.")
    ] = Path("catch11-demo"),
    small: Annotated[
        bool,
        typer.Option(
            "--small", help="Digits and nets trained on the spot; needs the extra lab alone."
        ),
    ] = False,
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Pictures to release: up to 32, of digits 500.")
    ] = None,
    psnr: Annotated[
        float | None, typer.Option(metavar="DB", help="With --small: of the spectral recoder.")
    ] = None,
) -> Answer:
    """Release photographs for one model and show what it and three others read in them.

    About two minutes on two cores, by nets and photographs of the packages of the extra demo.

    Example: catch11 demo --out demo
    """
    if small:
        from catch11.studies.demo.digits import digits_demo

        given: dict[str, Any] = {"count": count, "psnr": psnr}
        with progress("demo") as tick:
            found = digits_demo(
                out, step=lambda what, done, total, _="": tick(done, total, what),
                **{name: value for name, value in given.items() if value is not None},
            )  # fmt: skip
        return Answer(facts=_facts(found), view=_digits_view(found))
    if psnr is not None:
        raise InvalidArgument("psnr", expected="--small beside it", found=psnr)
    from catch11.studies.demo.photographs import MOST, photograph_demo

    try:
        with progress("demo") as tick:
            found = photograph_demo(out, count=MOST if count is None else count, step=_told(tick))
    except MissingExtra as error:
        raise MissingExtra(error.package, "demo", "or see digits: catch11 demo --small") from None
    return Answer(facts=_facts(found), view=_photographs_view(found))


def _told(tick: Tick) -> Any:
    """Progress with a line as each part begins and how long all takes at the pace so far."""
    begun, said = time.monotonic(), {""}

    def step(what: str, done: int, total: int, file: str = "") -> None:
        left = (time.monotonic() - begun) * (total - done) / done if done else total / 1.6
        line = "" if what in said else f"{what}: about {left:.0f} seconds to the end"
        said.add(what)
        tick(done, total, what, line)

    return step


def _facts(found: "Demo") -> dict[str, Any]:
    return {
        "results": {name: result.to_dict() for name, result in found.results.items()},
        "picture": str(found.picture),
        "folder": str(found.folder),
    }


def _photographs_view(found: "Demo") -> RenderableType:
    result = found.results["deep"]
    psnr = next(r.psnr for r in result.records if r.condition == "nte")
    return Group(
        f"{result.files} pictures released for EfficientNet-Lite0, {psnr:.1f} dB PSNR",
        "",
        _readers(result),
        "",
        "[dim]Share of pictures on which a model says what EfficientNet-Lite0 says of the original. "
        "small-net learned from other squares of the same photographs. Plain noise: as strong as the "
        "release. Ranges: 95 %, as if all were different photographs.[/]",
        "",
        *remarks(result),
        "",
        f"picture: {found.picture}",
        f"next: {program()} inspect {found.folder / 'released'}",
    )


def _readers(result: "Verification") -> Table:
    """Who reads what, a row a model."""
    held = {(r.model, str(r.condition)): r for r in result.records if r.metric == "accuracy"}
    count = max(record.n for record in held.values())
    table = Table(
        title=f"who reads what, n = {count}", title_justify="left", box=None, pad_edge=False
    )
    for name in ("model", "who it is"):
        table.add_column(name)
    for title in SHOWN.values():
        table.add_column(title, justify="right", no_wrap=True)
    for name, who in WHO.items():
        table.add_row(name, who, *(cell(held[name, condition]) for condition in SHOWN))
    return table


def _digits_view(found: "Demo") -> RenderableType:
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
    return Group(*parts, LEGEND, "", pictures, f"next: {program()} inspect {found.folder / 'deep'}")
