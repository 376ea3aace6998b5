"""catch11 bounds: what can be proved about the first layers, without a picture."""

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from catch11.cli.frame import Answer, command
from catch11.cli.options import SPEC, AllowCode, Device, open_key, open_model

if TYPE_CHECKING:
    from catch11.bounds import Bound
    from catch11.lipschitz import Link

LEGEND = (
    "[dim]Shift of a first layer's output, ‖A(x̃−x)‖₂, before its nonlinearity. certificate: every noise "
    "of this norm. sphere: noise of exactly this PSNR. gaussian: of this mean power. sampled: one more "
    "draw. All of it for noise not clipped to 8 bits; of a written file the ledger has the exact "
    "shift. A rival's shift, large as it may be, does not prove that its accuracy falls: `catch11 "
    "verify` measures that.[/]"
)

SHOWN = 14
DEPTH = (
    "[dim]‖h(x̃) − h(x)‖₂ of the authorized model, layer by layer, for recoded pictures: what the "
    "Lipschitz chain allows for the front's shift, and what was measured: median and worst of the "
    "pictures, and the median over ‖h(x)‖₂. inf: an operation without a known bound.[/]"
)


@command("Research")
def bounds(
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The key file.")],
    psnr: Annotated[
        float, typer.Option(metavar="DB", help="Strength of the noise, peak 1.")
    ] = 10.0,
    confidence: Annotated[
        float, typer.Option(metavar="P", help="Of the laws that are not certain.")
    ] = 0.95,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help=f"Another model; repeatable: {SPEC}"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="The authorized model: adds the chain over its depth, measured."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Pictures to measure with; random fields unless given."),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Pictures of them.")] = 8,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the sampled ranges.")] = 0,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Bound how far noise of a PSNR moves the authorized model's first layer, and rivals'.

    Example: catch11 bounds deit.key --psnr 10 --rival onnx:models/squeezenet1_1.onnx
    """
    import torch

    from catch11.bounds import bounds_of_key

    held = open_key(key)
    fronts = {}
    for spec in rival or ():
        other = open_model(spec, device=device, allow_code=allow_code)
        fronts[other.name] = other.front()
    found = bounds_of_key(
        held,
        psnr=psnr,
        confidence=confidence,
        rivals=fronts,
        generator=torch.Generator().manual_seed(seed),
    )
    facts: dict[str, object] = {"psnr": psnr, "bounds": [b.to_dict() for b in found]}
    if model is None:
        return Answer(facts=facts, view=_view(found))
    from catch11.lipschitz import chain_of_key

    authorized = open_model(model, device=device, allow_code=allow_code)
    links = chain_of_key(held, authorized, psnr=psnr, source=source, count=count)
    facts["depth"] = [link.to_dict() for link in links]
    return Answer(facts=facts, view=Group(_view(found), "", _depth(links)))


def _depth(links: "tuple[Link, ...]") -> RenderableType:
    """Some layers and sums, evenly spaced, the first and the last among them."""
    links = tuple(link for link in links if link.kind[0].isupper() or link.kind in ("add", "cat"))
    places = sorted({round(i * (len(links) - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    table = Table(box=None, pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("operation", overflow="fold")
    for column in ("at most", "measured", "worst", "of the layer"):
        table.add_column(column, justify="right", no_wrap=True)
    for link in (links[place] for place in places):
        cells = [link.bound, median(link.moved), max(link.moved), median(link.relative)]
        table.add_row(escape(link.name), escape(link.kind), *(f"{value:.3g}" for value in cells))
    return Group(table, "", DEPTH)


def _view(found: "tuple[Bound, ...]") -> RenderableType:
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    table.add_column("bound", no_wrap=True)
    for column in ("low", "rms", "high", "confidence"):
        table.add_column(column, justify="right", no_wrap=True)
    for bound in found:
        ends = (bound.interval.low, bound.interval.estimate, bound.interval.high)
        sure = "certain" if bound.interval.confidence == 1.0 else f"{bound.interval.confidence:.3g}"
        cells = [f"{value:.4g}" for value in ends]
        table.add_row(escape(bound.of), bound.name, *cells, sure)
    return Group(table, "", LEGEND)
