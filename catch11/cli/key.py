"""catch11 key: build the key of a model and write it to a file."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catch11.cli.bar import progress
from catch11.cli.frame import Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import SPEC, AllowCode, Device, ask_passphrase
from catch11.cli.views import next_view


@command("Release")
def key(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The authorized model: {SPEC}")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The key file, mode 0600.")
    ],
    encrypt: Annotated[
        bool,
        typer.Option(
            "--encrypt", help="Encrypt with a passphrase, typed or taken from CATCH11_PASSPHRASE."
        ),
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="MODEL", help="A further model that shall read the files."),
    ] = None,
    energy: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the front's energy that may be unseen: more leaves more room for noise "
            "and costs answers.",
            show_default="by the front, 1e-4 to 1e-3",
        ),
    ] = None,
    tau: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Instead: the largest singular value inside.",
            rich_help_panel=MORE,
        ),
    ] = None,
    cumulative: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Instead: the largest sum of singular values inside.",
            rich_help_panel=MORE,
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Instead: the number of directions inside, of one patch.",
            rich_help_panel=MORE,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The front's layer, where it should not be found; none: a key for --method deep alone.",
            rich_help_panel=MORE,
        ),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Read no weights: estimate the front, and choose the rule, from the features of "
            "these sample pictures, or from feature files; MODEL may then be the JSON of its canvas.",
            rich_help_panel=MORE,
        ),
    ] = None,
    tune: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Choose the rule, and the strength that recode takes, by what keeps MODEL's answers "
            "on these pictures, of the kind to be released; minutes.",
        ),
    ] = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Build the key of the authorized model.

    The key holds the part of the model's first layer that decides what it does not see, and a
    secret. Keep it: whoever has it can undo a spectral release. An existing file is never
    overwritten.

    Example: catch11 key hf:models/deit-tiny-patch16-224 -o deit.key
    """
    passphrase = ask_passphrase(output, new=True) if encrypt else None
    from catch11.keys.file import save_key
    from catch11.modalities.commands import make_key
    from catch11.modalities.known import named
    from catch11.modalities.options import KeyOptions

    options = KeyOptions(
        energy=energy, tau=tau, cumulative=cumulative, rank=rank, layer=layer, probe=probe,
        tune=tune, also=tuple(also or ()), device=device, allow_code=allow_code,
    )  # fmt: skip
    with progress("tuning") as tick:
        made = make_key(model, options, progress=tick)
    save_key(made, output, passphrase=passphrase)
    facts = key_facts(made) | {"file": str(output), "encrypted": encrypt}
    space = f"{made.subspace.dimension:,} of {made.subspace.ambient:,} directions unseen"
    view = f"{output}: key {made.fingerprint[:16]} of layer {made.front.layer}, {space}"
    if "psnr" in facts:
        view += f"\nrecode takes {facts['psnr']:g} dB unless --psnr says otherwise"
        if made.front.geometry == "conv":
            view += "; files reach what this layer\nleaves room for, which may be weaker: catch11 inspect MODEL measures it"
    why = "keep it, and show it to nobody; next, what a release would be:"
    needs = ["--model", model] if named(made.modality).reader(made) or made.front.blind else []
    needs += ["--method", "deep"] if made.front.blind else []
    words = ("recode", "SRC", "DST", "--key", output, *needs, "--dry-run")
    view += next_view(why, *words)
    return Answer(facts=facts, view=view)


def key_facts(made: Any) -> dict[str, Any]:
    """What may be known of a key: everything but the secret."""
    from catch11.keys.authorized import IMAGE
    from catch11.recoding.spectral.strength import usual_psnr
    from catch11.releases.manifest import public_key

    return {
        "fingerprint": made.fingerprint,
        "front_fingerprint": made.front_fingerprint,
        "model_fingerprint": made.model_fingerprint,
        "public_key": public_key(made),
        "layer": made.front.layer,
        "modality": made.modality,
        "private": made.private,
        "geometry": made.front.geometry,
        "rule": str(made.rule),
        "dimension": made.subspace.dimension,
        "ambient": made.subspace.ambient,
        **({"psnr": usual_psnr(made)} if made.modality == IMAGE and not made.front.blind else {}),
        "canvas": made.canvas.to_dict(),
    }
