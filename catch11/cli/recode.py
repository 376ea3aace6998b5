"""catch11 recode: a folder of pictures in, a release for one model out."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from catch11.cli import recoding_options as how
from catch11.cli.frame import Answer, command, given, progress
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
)
from catch11.cli.recoding import picture_recoder, workers_of
from catch11.errors import InvalidArgument


@command("Release")
def recode(
    ctx: typer.Context,
    src: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="The folder of pictures; for other keys their data."),
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="The release folder, new or resumed.")],
    key: Annotated[Path, typer.Option(metavar="KEY", help="The key file of the authorized model.")],
    method: how.Method = "spectral",
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help=f"The authorized model, for deep and --check: {SPEC}"),
    ] = None,
    secret: Secret = None,
    psnr: how.Psnr = 10.0,
    noise: how.Noise = "content",
    client: how.Client = "",
    shared: how.Shared = False,
    format: how.Format = "png8",
    check: Annotated[
        bool,
        typer.Option("--check", help="Run MODEL on every written file; withhold changed answers."),
    ] = False,
    names: Annotated[
        Literal["keep", "opaque"],
        typer.Option(help="keep the sources' names, or give opaque ones that say nothing."),
    ] = "keep",
    ledger: Ledger = None,
    workers: how.Workers = None,
    resume: Annotated[
        bool, typer.Option(help="Go on where an earlier run stopped, or demand an empty DST.")
    ] = True,
    at: how.At = "logits",
    start: how.Start = "noise",
    steps: how.Steps = 60,
    quiet: how.Quiet = 0,
    radius: how.Radius = "auto",
    agreement: how.Agree = "top1",
    margin: how.Margin = 0.5,
    look: how.Look = "noise",
    survive: how.Survive = "",
    also: how.Also = None,
    against: how.Against = None,
    precision: how.Precision = "float32",
    column: how.Column = None,
    long: how.Long = "truncate",
    half: how.Half = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Recode every picture below SRC into DST, with a signed manifest and a private ledger.

    Pictures that cannot be read are skipped and answers that change (with --check) withheld, each
    with its reason in the ledger. A stopped run goes on where it stood.

    The key says what kind of data it is for; options of another kind are refused. For a personalised
    copy give its --secret too: the copy reads scrambled pictures only, so they are scrambled first.

    Example: catch11 recode photos released --key deit.key --psnr 10 --check
    --model hf:models/deit-tiny-patch16-224
    """
    if check and model is None:
        raise InvalidArgument("--check", expected="--model MODEL beside it", found="none")
    from catch11.modalities.frame import IMAGE, check_pairing, check_source, plug
    from catch11.modalities.views import summary_view
    from catch11.recoding.threads import torch_threads
    from catch11.releases.engine import release

    held = open_key(key)
    check_source(held.modality, src)
    if model is not None:
        check_pairing(held.modality, model, what="the key")
    if held.modality != IMAGE:
        asked = given(ctx) | {"device": device, "allow_code": allow_code}
        with progress("recoding") as tick:
            result = plug(held.modality).recode(src, dst, held, asked, tick)
        return Answer(facts=result.facts, view=result.view)
    for name in {"column", "long", "half"} & set(given(ctx)):
        raise InvalidArgument(f"--{name}", expected="no such option for images", found="it")
    check_copy_is_meant(model, secret, key=held)

    def load(spec: str) -> Any:
        return open_model(spec, device=device, allow_code=allow_code)

    loaded = None if model is None else load(model)
    recoder = picture_recoder(
        held, given(ctx), src=src, model=loaded, load=load,
        copy=None if secret is None else open_secret(secret),
    )  # fmt: skip
    with progress("recoding") as tick, torch_threads(recoder.threads):
        done = release(
            src, dst, recoder, check=loaded if check else None, names=names, ledger=ledger,
            workers=workers_of(recoder, workers), resume=resume, progress=tick,
        )  # fmt: skip
    return Answer(facts=done.to_dict(), view=summary_view(done, dst))
