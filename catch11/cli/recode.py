"""catch11 recode: pictures in, a release for one model out."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catch11.cli import recoding_options as how
from catch11.cli.bar import progress
from catch11.cli.frame import FINDING, Answer, command
from catch11.cli.help import MORE
from catch11.cli.options import (
    SPEC,
    AllowCode,
    Device,
    Ledger,
    Secret,
    open_key,
    open_secret,
    path_of,
)
from catch11.cli.views import next_view, preview_view, summary_view
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.modalities.options import RecodeOptions


@command("Release")
def recode(
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="The pictures: a folder, zip, tar, WebDataset shards, Parquet, Arrow or "
            "datasets, here or at an address (s3://…); for other keys their data.",
        ),
    ],
    dst: Annotated[
        str,
        typer.Argument(
            metavar="DST", help="The release, new or resumed; its suffix says its form."
        ),
    ],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            show_default="required, but with --server",
            help="The key file of the authorized model; with --server, the name of a key there.",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Have a gateway do it, which has key and model; its token in CATCH11_TOKEN.",
            rich_help_panel=MORE,
        ),
    ] = None,
    keep: how.Keep = None,
    tolerance: how.Tolerance = None,
    method: how.Method = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help=f"The authorized model, for deep and --check, texts and tables: {SPEC}",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Run MODEL on every written file; withhold changed answers."),
    ] = False,
    psnr: how.Psnr = None,
    survive: how.Survive = None,
    column: how.Column = None,
    to: how.To = None,
    format: how.Format = None,
    names: Annotated[
        Literal["keep", "opaque"],
        typer.Option(help="keep the sources' names, or give opaque ones that say nothing."),
    ] = "keep",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Write nothing; say what it would do, from a few tries."),
    ] = False,
    secret: Secret = None,
    ledger: Ledger = None,
    workers: how.Workers = None,
    engine: how.Engine = "local",
    address: how.Address = None,
    resume: Annotated[
        bool,
        typer.Option(
            help="Go on where an earlier run stopped, or demand an empty DST.", rich_help_panel=MORE
        ),
    ] = True,
    client: how.Client = "",
    noise: how.Noise = None,
    shared: how.Shared = False,
    at: how.At = None,
    start: how.Start = None,
    steps: how.Steps = None,
    quiet: how.Quiet = None,
    radius: how.Radius = None,
    agreement: how.Agree = None,
    margin: how.Margin = None,
    look: how.Look = None,
    also: how.Also = None,
    against: how.Against = None,
    precision: how.Precision = None,
    long: how.Long = None,
    half: how.Half = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Recode every picture below SRC into DST, with a signed manifest and a private ledger.

    Pictures that cannot be read are skipped and answers that change (with --check) withheld, each
    with its reason in the ledger. A stopped run goes on where it stood. Exit status 1 if nothing was
    released.

    The key says what kind of data it is for; options of another kind are refused. For a personalised
    copy give its --secret too: the copy reads scrambled pictures only, so they are scrambled first.

    Example: catch11 recode photos released --key deit.key --psnr 10 --check
    --model hf:models/deit-tiny-patch16-224
    """
    from catch11.copies.seal import SealSecret
    from catch11.data.stores.remote import shown
    from catch11.modalities.options import RecodeOptions
    from catch11.modalities.recode import preview
    from catch11.modalities.recode import recode as run

    options = RecodeOptions(
        keep=keep, tolerance=tolerance, method=method, model=model, copy=None if secret is None else open_secret(secret),
        format=format, check=check, names=names, ledger=ledger, workers=workers, resume=resume,
        psnr=psnr, noise=noise, client=client, shared=shared, at=at, start=start, steps=steps,
        quiet=quiet, radius=radius, agreement=agreement, margin=margin, look=look, survive=survive,
        also=tuple(also or ()), against=tuple(against or ()), precision=precision, to=to, engine=engine, address=address,
        columns=tuple(column or ()), long=long, half=half, device=device, allow_code=allow_code,
    )  # fmt: skip
    if server is not None:
        if dry_run:
            raise InvalidArgument("dry_run", expected="no --server beside it", found=server)
        return _by(server, src, dst, options, key)
    if key is None:
        raise InvalidArgument("key", expected="a key file, or --server URL", found="neither")
    opened, came, goes = open_key(key), path_of(src), path_of(dst)
    src, dst = shown(src), shown(dst)
    if dry_run:
        found = preview(came, goes, opened, options)
        status = 0 if found.kept + found.standing else FINDING
        return Answer(facts=found.to_dict(), view=preview_view(found, dst), status=status)
    with progress("recoding") as tick:
        done = run(came, goes, opened, options, progress=tick)
    status = FINDING if done.empty else 0
    view = summary_view(done, dst)
    if not done.empty:
        reads, reader = (
            f"{model or 'the model of the key'} reads these files, and whoever has its weights",
            model or "MODEL",
        )
        if isinstance(options.copy, SealSecret):
            reads, reader = "the sealed copy reads these files, and whoever has it", "COPY"
        given = ["--model", reader, "--source", src, "--key", key, "--rival", "RIVAL"]
        secrets = [] if secret is None else ["--secret", secret]
        view += next_view(
            f"{reads}; find out who else does:", "verify", dst, *given, *secrets,
        )  # fmt: skip
    return Answer(facts=done.to_dict(), view=view, status=status)


def _by(server: str, src: str, dst: str, options: "RecodeOptions", key: Path | None) -> Answer:
    """The same by a gateway."""
    from catch11.client import Gateway
    from catch11.client.recode import recode as run

    named = None if key is None else str(key)
    token = os.environ.get("CATCH11_TOKEN", "")
    with Gateway(server, token) as gateway, progress("recoding") as tick:
        done = run(gateway, path_of(src), path_of(dst), options, key=named, progress=tick)
    status = FINDING if done.empty else 0
    return Answer(facts=done.to_dict(), view=summary_view(done, dst), status=status)
