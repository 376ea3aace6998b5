"""catch11 tune: the settings that keep what is asked for and leave rivals least."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from catch11.cli.bar import progress
from catch11.cli.frame import FINDING, Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import SPEC, AllowCode, Device, Rivals, Tolerance, open_model, share
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.evaluation.interval import Interval
    from catch11.evaluation.tune import Tuned


@command("Release")
def tune(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The authorized model: {SPEC}")],
    probe: Annotated[
        Path, typer.Argument(metavar="DIR", help="Pictures like those to be released.")
    ],
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            show_default="all",
            help="What the files shall keep: answer, scores, "
            "features, layer:NAME or all; see recode.",
        ),
    ] = None,
    method: Annotated[
        Literal["spectral", "deep"] | None,
        typer.Option(show_default="what --keep needs", help="See recode.", rich_help_panel=MORE),
    ] = None,
    tolerance: Tolerance = None,
    target: Annotated[
        float,
        typer.Option(metavar="P", parser=share, help="Share of its answers MODEL must keep."),
    ] = "98%",  # type: ignore[assignment]  # typer parses it
    rival: Rivals = None,
    energy: Annotated[
        list[float] | None,
        typer.Option(
            metavar="E", help="Spectral: a rule to try; repeatable.", rich_help_panel=MORE
        ),
    ] = None,
    rank: Annotated[
        list[int] | None,
        typer.Option(
            metavar="K",
            help="Spectral: a number of directions to try; repeatable.",
            rich_help_panel=MORE,
        ),
    ] = None,
    psnr: Annotated[
        list[float] | None,
        typer.Option(
            metavar="DB", help="Spectral: a strength to try; repeatable.", rich_help_panel=MORE
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Deep: a depth to try; repeatable.", rich_help_panel=MORE
        ),
    ] = None,
    steps: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Deep: numbers of steps to try; repeatable.",
            rich_help_panel=MORE,
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures of the probe.")] = 60,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the trade-off, .png, .svg or .pdf.")
    ] = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Find the settings of a release on a probe folder, and show the trade-off.

    Kept: answers of MODEL that stay as they were on the originals; of rivals likewise. Exit status
    1 if nothing that was tried keeps the target.

    Example: catch11 tune hf:models/deit-tiny-patch16-224 photos --rival onnx:models/squeezenet1_1.onnx
    """
    from catch11.evaluation import tune as tuning
    from catch11.recoding.choose import method_for
    from catch11.recoding.keep import ALL, ANSWER, parse_keep
    from catch11.subspaces.rule import Rule

    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise InvalidArgument("plot", expected="a file .png, .svg or .pdf", found=plot.name)
    how, _ = method_for("image", method, keep)
    asked = keep or (ALL if how == "spectral" else ANSWER)
    parse_keep(asked, tolerance)
    authorized, *rivals = [
        open_model(spec, device=device, allow_code=allow_code) for spec in (model, *(rival or ()))
    ]
    rules = [Rule(kind="energy", value=share) for share in energy or ()]
    rules += [Rule(kind="rank", value=number) for number in rank or ()]
    with progress("tuning") as tick:
        if how == "spectral":
            found = tuning.tune_spectral(
                authorized, probe, target=target, rivals=rivals, count=count, progress=tick,
                rules=rules or tuning.RULES, strengths=psnr or tuning.STRENGTHS,
            )  # fmt: skip
        else:
            found = tuning.tune_deep(
                authorized, probe, target=target, rivals=rivals, count=count, progress=tick,
                keep=asked, tolerance=tolerance, places=at or tuning.PLACES, steps=steps,
            )  # fmt: skip
    if plot is not None:
        tuning.draw(found, plot)
    use = () if found.chosen is None else tuning.commands(found.chosen, model)
    return Answer(
        facts=found.to_dict() | {"commands": list(use)},
        view=_view(found, use),
        status=0 if found.chosen else FINDING,
    )


def _view(found: "Tuned", use: tuple[str, ...]) -> RenderableType:
    from catch11.evaluation.tune import describe

    rivals = list(found.trials[0].rivals)
    table = Table(box=None, pad_edge=False)
    for name in ("setting", "directions", "PSNR", "front shift", "kept", *rivals):
        left = name == "setting"
        table.add_column(escape(name), justify="left" if left else "right", no_wrap=left)
    for trial in found.trials:
        mark = "[bold green]> " if trial is found.chosen else "  "
        table.add_row(
            mark + escape(describe(trial.setting)), f"{trial.unseen:,}" if trial.unseen else "–", f"{trial.psnr:.1f}", f"{trial.shift:.3f}",
            _share(trial.kept), *(_share(trial.rivals[name]) for name in rivals),
        )  # fmt: skip
    if found.chosen is None:
        tail = [f"[bold red]nothing that was tried keeps {found.target:.0%}[/]"]
    else:
        tail = [escape(line) for line in use]
        if found.chosen.kept.low < found.target:
            low = found.chosen.kept.low
            tail.insert(0, f"[yellow]note[/] {low:.0%} at least, on so few pictures (95 %)")
    return Group(table, "", *tail)


def _share(interval: "Interval") -> str:
    return f"{interval.estimate:.2f} [dim]{interval.low:.2f}–{interval.high:.2f}[/]"
