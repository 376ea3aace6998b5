"""catch11 bounds: how far the first layers move: what is certain, and what recoded pictures did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from catch11.cli.bar import progress
from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import SPEC, AllowCode, Device, open_key, open_model
from catch11.cli.recoding_options import Noise

if TYPE_CHECKING:
    from catch11.keys.key import Key
    from catch11.theory.written import Written


@command("Research")
def bounds(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The key file.")],
    psnr: Annotated[
        float, typer.Option(metavar="DB", help="Strength of the noise, peak 1.")
    ] = 10.0,
    confidence: Annotated[
        float, typer.Option(metavar="P", help="Of what is not certain.", rich_help_panel=MORE)
    ] = 0.95,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help=f"Another model; repeatable: {SPEC}"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures to measure with; random fields unless given."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Pictures recoded, drawn from DIR: as many as the confidence "
            "needs unless given, 39 for .95.",
            rich_help_panel=MORE,
        ),
    ] = None,
    noise: Noise = "content",
    format: Annotated[
        Literal["png8", "tensor"], typer.Option(help="Of the files.", rich_help_panel=MORE)
    ] = "png8",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the draws.", rich_help_panel=MORE)] = 0,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Bound how far noise of a PSNR moves the authorized model's first layer, and rivals'.

    Each line names the noise it holds for. Example: catch11 bounds deit.key --rival
    onnx:models/squeezenet1_1.onnx --source photos
    """  # fmt: skip
    import torch

    from catch11.cli.bounds_view import view
    from catch11.theory.bounds import bounds_of_key
    from catch11.theory.comparison import compare

    held = open_key(key)
    fronts = {}
    for spec in rival or ():
        other = open_model(spec, device=device, allow_code=allow_code)
        fronts[other.name] = other.front()
    draws = torch.Generator().manual_seed(seed)
    settings: dict[str, Any] = {"psnr": psnr, "confidence": confidence, "rivals": fronts}
    files = _files(held, settings, source, count, draws, noise=noise, format=format)
    found = bounds_of_key(held, **settings, generator=draws)
    beside = [compare(held, name, front) for name, front in fronts.items()]
    rows = (*(() if isinstance(files, str) else files.bounds), *found)
    facts: dict[str, object] = {
        "psnr": psnr,
        "files": {"none": files} if isinstance(files, str) else files.to_dict(),
        "bounds": [bound.to_dict() for bound in rows],
        "rivals": [one.to_dict() for one in beside],
    }
    return Answer(facts=facts, view=view(rows, files, beside, source=source))


def _files(
    key: "Key", settings: dict[str, Any], source: Path | None, count: int | None, draws: Any,
    **setting: Any,
) -> "Written | str":  # fmt: skip
    """What recoded pictures did, or why that is not measured here."""
    from catch11.data.fields import random_fields
    from catch11.errors import InvalidArgument
    from catch11.theory.prediction import draws_for
    from catch11.theory.written import bounds_of_files, check_drawable, pictures_of

    try:
        check_drawable(key)
    except InvalidArgument as error:
        return str(error)
    number = draws_for(settings["confidence"]) if count is None else count
    if source is None:
        windows = random_fields(key.canvas.shape, number, generator=draws)
    else:
        windows = pictures_of(source, key.canvas, number, generator=draws)
    with progress("recoding") as tick:
        return bounds_of_files(key, windows, **settings, **setting, tick=tick)
