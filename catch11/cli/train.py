"""catch11 train: a classifier of the user's own pictures, to be the authorized model or a rival."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from catch11.cli.bar import progress
from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import SPEC, AllowCode, Device, open_model
from catch11.cli.views import next_view

if TYPE_CHECKING:
    from catch11.evaluation.balance import Balance

FEW = 12  # classes whose shares are printed


@command("Research")
def train(
    src: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Class folders, or train/ and test/ with class folders; or a saved data set.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The model's folder, new or resumed."),
    ],
    arch: Annotated[
        str,
        typer.Option(
            metavar="ARCH",
            help="resnet, vit, deit, swinv2 or mambavision from nothing; hf:DIR or timm:NAME tuned.",
        ),
    ],
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, show_default="32, or the folder's", help="Pixels of a side."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(metavar="N", min=1, help="Passes over the pictures.")] = 30,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help=f"A model whose answers it learns too: {SPEC}"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="file,label below SRC, in place of class folders."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run into DIR stopped.")
    ] = False,
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Pictures of rare classes weigh more.")
    ] = False,
    held: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Of each class held back to judge by, if SRC has no test/."
        ),
    ] = 0.1,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures a step.")] = 64,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", show_default="1e-3 from nothing, 1e-4 tuned",
            help="The largest rate of AdamW.", rich_help_panel=MORE,
        ),
    ] = None,
    decay: Annotated[
        float, typer.Option(metavar="D", help="Decay of weights.", rich_help_panel=MORE)
    ] = 0.05,
    warmup: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Of the steps in which the rate rises.", rich_help_panel=MORE),
    ] = 0.1,
    smoothing: Annotated[
        float, typer.Option(metavar="S", help="Of the labels.", rich_help_panel=MORE)
    ] = 0.1,
    average: Annotated[
        float,
        typer.Option(metavar="A", help="What the mean of the weights keeps a step.", rich_help_panel=MORE),
    ] = 0.999,
    teach: Annotated[
        float, typer.Option(metavar="W", help="Weight of the teacher's answers.", rich_help_panel=MORE)
    ] = 0.5,
    heat: Annotated[
        float,
        typer.Option(metavar="T", help="Temperature that softens them.", rich_help_panel=MORE),
    ] = 2.0,
    views: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, show_default="ever new ones", rich_help_panel=MORE,
            help="Views of each picture before they come again: the teacher is asked once a view.",
        ),
    ] = 0,
    precision: Annotated[
        Literal["float32", "bfloat16"],
        typer.Option(help="of the forward pass.", rich_help_panel=MORE),
    ] = "float32",
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Of all that is drawn.", rich_help_panel=MORE)
    ] = 0,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:  # fmt: skip
    """Train or tune a classifier on labelled pictures.

    DIR is then a model like any other. After each epoch its state stands there, so that a stopped run
    goes on with --resume, to the same weights. A line in metrics.jsonl says what each epoch reached.

    Example: catch11 train photos -o lesions --arch deit --size 224 --teacher hf:models/resnet-50
    """
    from catch11.training.recipe import Recipe
    from catch11.training.train import train as run

    recipe = Recipe(
        epochs=epochs, batch=batch, rate=rate, decay=decay, warmup=warmup, smoothing=smoothing,
        average=average, teach=teach, heat=heat, balanced=balanced, held=held, views=views,
        precision=precision, seed=seed,
    )  # fmt: skip
    opened = None if teacher is None else open_model(teacher, device=device, allow_code=allow_code)
    with progress("train") as tick:
        done = run(
            src, output, arch=arch, size=size, labels=labels, teacher=opened, recipe=recipe,
            resume=resume, device=device, progress=tick,
        )  # fmt: skip
    score = done.accuracy
    lines = [
        f"{done.spec}: {len(done.classes)} classes, learned from {done.learned:,} pictures",
        f"accuracy  {score.estimate:.2f} [{score.low:.2f}, {score.high:.2f}] of {done.held:,} held back",
    ]
    lines += _balance(done.balance)
    if done.lost:
        name, why = done.lost[0]
        more = f" and {len(done.lost) - 1:,} more" if len(done.lost) > 1 else ""
        lines.append(f"left out  {name}{more}: {why}")
    view = escape("\n".join(lines)) + next_view(
        "next, its key:", "key", done.spec, "-o", f"{output.name}.key"
    )
    return Answer(facts=done.to_dict(), view=view)


def _balance(balance: "Balance") -> list[str]:
    """What accuracy hides where classes are of unlike sizes."""
    score = balance.balanced
    lines = [
        f"balanced  {score.estimate:.2f} [{score.low:.2f}, {score.high:.2f}], the most frequent class "
        f"alone scores an accuracy of {balance.majority:.2f}"
    ]
    if (area := balance.auc) is not None:
        lines.append(
            f"AUC       {area.estimate:.2f} [{area.low:.2f}, {area.high:.2f}], mean over classes"
        )
    if len(balance.recalls) <= FEW:
        found = (f"{name} {share.estimate:.2f}" for name, share in balance.recalls.items())
        lines.append(f"recall    {', '.join(found)}")
    return lines
