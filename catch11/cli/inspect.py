"""catch11 inspect: is this model suitable; and what may be known of a key file or a release."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catch11.cli.frame import Answer, command
from catch11.cli.key import key_facts
from catch11.cli.options import SPEC, AllowCode, Device, is_encrypted, open_key
from catch11.cli.views import rows_view, sparkline
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.evaluation.suitability import Suitability


@command("Start")
def inspect(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help=f"A key file, a release folder, or a model: {SPEC}"),
    ],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the spectrum as .png, .svg or .pdf.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The front's layer, if not the found one; none: no layer, for deep alone.",
        ),
    ] = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Say whether a model suits, how strong a release can be at no loss, and what to use instead.

    Of a key file or a release folder: its public facts, and whether the release's signed list holds.

    Example: catch11 inspect hf:models/deit-tiny-patch16-224
    """
    from catch11.releases.holdings import is_release

    path = Path(target)
    if is_release(target):
        return _release(target)
    if path.is_file() and (path.suffix == ".key" or is_encrypted(path)):
        made = open_key(path)
        held = f"what the layer {made.front.layer} makes of {made.modality}; recode --check adds the answer"
        known = {"file": target, "encrypted": is_encrypted(path), "held": held}
        return _lines(known | key_facts(made))
    from catch11.evaluation.suitability import draw_spectrum, suitability

    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise InvalidArgument("plot", expected="a file .png, .svg or .pdf", found=plot.name)
    from catch11.modalities.load import load_model

    model = load_model(target, device=device, allow_code=allow_code)
    if model.modality == "table":
        raise InvalidArgument(
            "TARGET", expected="a model of pictures, sounds or texts", found="one of tables",
            remedy="key says how many directions of a row are unseen",
        )  # fmt: skip
    found = suitability(model, layer=layer)
    if plot is not None:
        draw_spectrum(found, plot)
    return _suitability(found, model)


def _suitability(found: "Suitability", model: Any) -> Answer:
    front, held = found.front, model.held
    facts = {
        "model": found.model,
        "held": held,
        "layer": front.layer,
        "geometry": front.geometry,
        "weight": list(front.weight.shape),
        "window": list(front.shape),
        "rule": str(found.rule),
        "dimension": found.dimension,
        "ambient": found.ambient,
        "psnr": found.psnr,
        "front_shift": found.shift,
        "coarse": found.coarse,
        "verdict": found.verdict,
        "advice": found.advice,
    }
    share = found.dimension / found.ambient
    rows = {
        "model": found.model,
        "held": held,
        "front": f"{front.layer} ({front.geometry}, {_by(front.weight.shape)})",
        "window": f"{_by(front.shape)} {'samples' if model.canvas.sound else 'features' if front.tokenwise else 'pixels'}",
        "unseen": f"{found.dimension:,} of {found.ambient:,} directions ({share:.0%}), {found.rule}",
        "spectrum": f"{sparkline(found.spectrum)}  largest {found.spectrum[-1]:.3g}",
    }
    if found.psnr is not None:
        rows["strength"] = f"{found.psnr:.1f} dB PSNR in files, front shift {found.shift:.3f}"
    rows["verdict"] = f"{found.verdict}: {found.advice}"
    return Answer(facts=facts | {"spectrum": list(found.spectrum)}, view=rows_view(rows))


def _by(shape: Any) -> str:
    return " × ".join(map(str, shape))


def _release(path: str) -> Answer:
    from catch11.releases.read import read_release

    held = read_release(path)
    for entry in held.entries:
        held.data(entry)
    facts = {
        "folder": path,
        "files": len(held),
        "signature": "holds for every line and file",
        "complete": held.complete,
        "modality": held.modality,
        "method": held.method,
        "format": held.form.name,
        "names": held.names,
        "key": held.key,
        "public_key": held.public_key,
        "checked": held.checked,
        "canvas": held.canvas.to_dict(),
    }
    return _lines(facts)


def _lines(facts: dict[str, Any]) -> Answer:
    short = {k: v for k, v in facts.items() if k != "canvas"}
    canvas = facts["canvas"]
    whole = f"{canvas['height']} × {canvas['width']}"
    window = f"{canvas['window_height']} × {canvas['window_width']}"
    short["canvas"] = whole if window == whole else f"{whole}, the model sees {window} of it"
    return Answer(facts=facts, view=rows_view(short))
