"""catch11 verify: what the authorized model and its rivals get from a release."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from catch11.cli.bar import progress
from catch11.cli.frame import FINDING, Answer, call, command
from catch11.cli.help import MORE
from catch11.cli.options import (
    SPEC,
    AllowCode,
    Device,
    Ledger,
    Rivals,
    Secret,
    Tolerance,
    open_key,
    open_secret,
    path_of,
    share,
)
from catch11.cli.recoding_options import Address, Engine, Processes
from catch11.cli.scores import verification_view
from catch11.cli.views import next_view


@command("Check")
def verify(
    dst: Annotated[str, typer.Argument(metavar="DST", help="The release, in whatever form.")],
    model: Annotated[str, typer.Option(metavar="MODEL", help=f"The authorized model: {SPEC}")],
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SRC", help="The originals; adds the clean scores and the noise controls."
        ),
    ] = None,
    rival: Rivals = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Of pictures and sounds: columns file,label. Class folders work without it; else "
            "the model's own clean answer is the truth.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Of texts and tables: the source's column with the class or score.",
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
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="The key file: the release must be signed with it; of pictures, adds the front shift.",
        ),
    ] = None,
    secret: Secret = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            show_default="what the list says",
            help="Of pictures and sounds, with --source: what each file must keep: answer, scores, "
            "features, layer:NAME or all; see recode.",
        ),
    ] = None,
    tolerance: Tolerance = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Judge N files, evenly spaced.")
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Vision-language models: what to ask; the same words count.",
            rich_help_panel=MORE,
        ),
    ] = None,
    ledger: Ledger = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, show_default="16", help="Files at a time.", rich_help_panel=MORE
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default="0", help="Of the Gaussian control.", rich_help_panel=MORE
        ),
    ] = None,
    engine: Engine = "local",
    workers: Processes = None,
    address: Address = None,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Score a release: the authorized model, its rivals, and controls, each through its own pipeline.

    With --source also how near the scores and features of MODEL stay. Exit status 1 if a limit is
    crossed, or a file disagrees with the manifest, the ledger or what it shall keep.

    Example: catch11 verify released --model hf:models/deit-tiny-patch16-224 --source photos
    --rival onnx:models/squeezenet1_1.onnx --labels labels.csv --max-drop 0.02 --max-rival 0.05
    """
    from catch11.modalities import commands
    from catch11.modalities.known import release_modality
    from catch11.modalities.options import VerifyOptions

    options = VerifyOptions(
        rivals=tuple(rival or ()), source=None if source is None else path_of(source), labels=labels, target=target,
        key=None if key is None else open_key(key),
        copy=None if secret is None else open_secret(secret), keep=keep, tolerance=tolerance, ledger=ledger, prompt=prompt,
        max_drop=max_drop, max_rival=max_rival, limit=limit, batch=batch, seed=seed,
        engine=engine, workers=workers, address=address,
        device=device, allow_code=allow_code,
    )  # fmt: skip
    with progress("verifying") as tick:
        found = commands.verify(path_of(dst), model, options, command=call(), progress=tick)
    kind = release_modality(dst)
    view = verification_view(found, peak=kind.peak)
    if "quick" in kind.attack.takes and source is not None and not found.failed:
        others = [word for one in rival or ["RIVAL"] for word in ("--rival", one)]
        words = ("attack", dst, *others, "--source", source, "--quick")
        view = Group(view, next_view("next, what attackers make of it:", *words))
    return Answer(facts=found.to_dict(), view=view, status=FINDING if found.failed else 0)
