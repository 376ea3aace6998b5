"""catch11 key: build the key of a model and write it to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from catch11.cli.frame import Answer, command, given
from catch11.cli.options import SPEC, AllowCode, Device, ask_passphrase, open_model
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.keys.key import Key
    from catch11.models.frame import Model


@command("Release")
def key(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The authorized model: {SPEC}")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The key file, mode 0600.")
    ],
    energy: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Share of the front's energy that may be unseen; 1e-6 by default."
        ),
    ] = None,
    tau: Annotated[
        float | None, typer.Option(metavar="S", help="Instead: the largest singular value inside.")
    ] = None,
    cumulative: Annotated[
        float | None,
        typer.Option(metavar="S", help="Instead: the largest sum of singular values inside."),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(metavar="N", help="Instead: the number of directions inside, of one patch."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The front's layer, where it should not be found."),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Read no weights: estimate the front, and choose the rule, from the features of "
            "these sample pictures, or from feature files; MODEL may then be the JSON of its canvas.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="MODEL", help="A further model that shall read the files."),
    ] = None,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal", help="Encrypt with a passphrase, typed or taken from CATCH11_PASSPHRASE."
        ),
    ] = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Build the key of the authorized model.

    The key holds the part of the model's first layer that decides what it does not see, and a
    secret. Keep it: whoever has it can undo a spectral release. An existing file is never
    overwritten.

    Example: catch11 key hf:models/deit-tiny-patch16-224 -o deit.key
    """
    passphrase = ask_passphrase(output, new=True) if seal else None
    from catch11.keys.file import save_key
    from catch11.modalities.frame import IMAGE, modality_of, plug

    kind = modality_of(model)
    rule = Rules(energy=energy, tau=tau, cumulative=cumulative, rank=rank)
    if kind != IMAGE:
        made = plug(kind).key(model, given(ctx), device, allow_code)
    elif probe is not None:
        made = _probed(model, probe, rule, also, layer, device=device, allow_code=allow_code)
    else:
        models = [
            open_model(m, device=device, allow_code=allow_code) for m in [model, *(also or ())]
        ]
        made = _built(models, rule, layer)
    save_key(made, output, passphrase=passphrase)
    facts = key_facts(made) | {"file": str(output), "sealed": seal}
    space = f"{made.subspace.dimension:,} of {made.subspace.ambient:,} directions unseen"
    view = f"{output}: key {made.fingerprint[:16]} of layer {made.front.layer}, {space}"
    return Answer(facts=facts, view=view)


class Rules(TypedDict):
    """The four ways to say what is insensitive; at most one is given."""

    energy: float | None
    tau: float | None
    cumulative: float | None
    rank: int | None


def _built(models: "list[Model]", rule: Rules, layer: str | None) -> "Key":
    from catch11.keys.key import build_joint_key, build_key

    if len(models) == 1:
        return build_key(models[0], layer=layer, **rule)
    if layer is not None:
        raise InvalidArgument("--layer", expected="no --also beside it", found=layer)
    return build_joint_key(models, **rule)


def _probed(
    model: str, probe: Path, rule: Rules, also: list[str] | None, layer: str | None, *,
    device: str, allow_code: bool,
) -> "Key":  # fmt: skip
    if also or any(value is not None for value in rule.values()):
        raise InvalidArgument("--probe", expected="no rule and no --also beside it", found="one")
    from catch11.keys.features_file import probed_key
    from catch11.models.files.sidecar import read_sidecar, stated_canvas

    if model.endswith(".json"):
        return probed_key(probe, stated_canvas(read_sidecar(Path(model))))
    loaded = open_model(model, device=device, allow_code=allow_code)
    return probed_key(probe, loaded.canvas, model=loaded, layer=layer)


def key_facts(made: Any) -> dict[str, Any]:
    """What may be known of a key: everything but the secret."""
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
        "canvas": made.canvas.to_dict(),
    }
