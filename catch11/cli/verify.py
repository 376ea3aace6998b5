"""catch11 verify: what the authorized model and its rivals get from a release."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from catch11.cli.frame import FINDING, Answer, command, given, progress
from catch11.cli.options import (
    SPEC,
    AllowCode,
    Device,
    Ledger,
    Secret,
    check_copy_is_meant,
    open_key,
    open_model,
    open_secret,
    share,
)
from catch11.cli.scores import verification_view
from catch11.errors import InvalidArgument


@command("Check")
def verify(
    ctx: typer.Context,
    dst: Annotated[Path, typer.Argument(metavar="DST", help="The release folder.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help=f"The authorized model: {SPEC}")],
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="SRC", help="The originals; adds the clean scores and the noise controls."
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="The key file: the release must be signed with it; of pictures, adds the front shift.",
        ),
    ] = None,
    secret: Secret = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="A model that should not read it; repeatable."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Columns file,label. Class folders work without it; else the "
            "model's own clean answer is the truth.",
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Vision-language models: what to ask; the same words count."
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            metavar="P", parser=share, help="Largest loss of the authorized model: 0.02 or 2%."
        ),
    ] = None,
    max_rival: Annotated[
        float | None,
        typer.Option(metavar="P", parser=share, help="Largest score of any rival: 0.05 or 5%."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Text, tables: the source's column with the class or score."
        ),
    ] = None,
    ledger: Ledger = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Judge N files, evenly spaced.")
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Files at a time.")] = 16,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the Gaussian control.")] = 0,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Score a release: the authorized model, its rivals, and controls, each through its own pipeline.

    Exit status 1 if a limit is crossed or a file disagrees with the manifest or the ledger.

    Example: catch11 verify released --model hf:models/deit-tiny-patch16-224 --source photos
    --rival onnx:models/squeezenet1_1.onnx --labels labels.csv --max-drop 0.02 --max-rival 0.05
    """
    from catch11.evaluation.verify import verify as run
    from catch11.modalities.frame import IMAGE, check_pairing, plug, release_modality

    kind = release_modality(dst)
    for spec in (model, *(rival or ())):
        check_pairing(kind, spec, what="the release")
    if kind != IMAGE:
        opened = None if key is None else open_key(key)
        asked = given(ctx) | {"key": opened, "device": device, "allow_code": allow_code}
        with progress("verifying") as tick:
            result = plug(kind).verify(dst, model, asked, tick)
        return Answer(facts=result.facts, view=result.view, status=FINDING if result.failed else 0)
    if target is not None:
        raise InvalidArgument("--target", expected="no such option for images", found="it")

    if source is not None:
        check_copy_is_meant(model, secret)
    held = None if key is None else open_key(key)
    authorized, *rivals = [
        open_model(spec, device=device, allow_code=allow_code) for spec in (model, *(rival or ()))
    ]
    if prompt is not None:
        from catch11.models.vlm.load import with_prompt

        authorized = with_prompt(authorized, prompt)
        rivals = [with_prompt(one, prompt) if one.speaks else one for one in rivals]
    with progress("verifying") as tick:
        found = run(
            dst,
            authorized,
            rivals=rivals,
            labels=labels,
            source=source,
            ledger=ledger,
            key=held,
            copy=None if secret is None else open_secret(secret),
            max_drop=max_drop,
            max_rival=max_rival,
            limit=limit,
            batch=batch,
            seed=seed,
            command=shlex.join(["catch11", *sys.argv[1:]]),
            progress=tick,
        )
    return Answer(
        facts=found.to_dict(), view=verification_view(found), status=FINDING if found.failed else 0
    )
