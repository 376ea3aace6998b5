"""catch11 personalize: a private copy of a public model, and the secret that belongs to it."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catch11.cli.frame import FINDING, Answer, command
from catch11.cli.options import (
    SPEC,
    AllowCode,
    Device,
    Encrypt,
    ask_passphrase,
    is_encrypted,
    open_model,
    open_secret,
)
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.copies.personalize import CopySecret
    from catch11.models.frame import Model


@command("Release")
def personalize(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The public model: {SPEC}")],
    secret: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The copy's secret, mode 0600; made if there is none. One a copy."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where the copy goes, new or empty."),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="COPY", help="Make nothing: hold this model against the secret."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The first layer, where it should not be found."),
    ] = None,
    encrypt: Encrypt = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:
    """Make a private copy of a public model: what it reads, the public one does not.

    The copy has the same architecture, processor and speed, and answers scrambled pictures as the
    original answers clean ones. Give each client a copy, and so a secret, of its own. Whoever holds
    a copy and the original can read the secret off the weights.

    Example: catch11 personalize hf:models/deit-tiny-patch16-224 -o copy --secret copy.secret
    """
    if (output is None) == (check is None):
        raise InvalidArgument(
            "--output", expected="--output DIR or --check COPY", found="neither or both"
        )
    original = open_model(model, device=device, allow_code=allow_code)
    if check is not None:
        held = open_model(check, device=device, allow_code=allow_code)
        return _checked(held, original, secret, check)
    assert output is not None
    return _made(original, output, secret, layer, encrypt=encrypt)


def _made(
    original: "Model", output: Path, secret: Path, layer: str | None, *, encrypt: bool
) -> Answer:
    from catch11.copies.personalize import make_copy
    from catch11.copies.public import write_copy
    from catch11.copies.secretfile import save_secret

    known = _own(open_secret(secret)) if secret.exists() else None
    passphrase = ask_passphrase(secret, new=True) if encrypt and known is None else None
    raw = secrets.token_bytes(32) if known is None else known.secret
    made = make_copy(original, secret=raw, layer=layer)
    if known is not None and known.copied != made.secret.copied:
        raise InvalidArgument(
            "--secret", expected="the secret of this model's copy, or a new file",
            found=f"{secret}, which belongs to another copy",
        )  # fmt: skip
    if known is None:
        save_secret(made.secret, secret, passphrase=passphrase)
    spec = write_copy(original, made, output)
    facts = _facts(made.secret) | {
        "copy": spec, "secret": str(secret), "new": known is None, "encrypted": is_encrypted(secret),
        "model_fingerprint": made.model.fingerprint,
    }  # fmt: skip
    tile = " x ".join(map(str, made.secret.tile))
    how = "permuted, half of them inverted" if made.secret.inversion else "permuted"
    where = "across" if made.secret.across else "within"
    view = (
        f"{spec}: {facts['values']} values of each tile of {tile} pixels {how}, {where} colour channels; "
        f"2^{facts['bits']:.0f} copies are possible\nsecret    {secret} (private; one for each copy)"
    )
    return Answer(facts=facts, view=view)


def _own(secret: Any) -> "CopySecret":
    from catch11.copies.personalize import CopySecret

    if isinstance(secret, CopySecret):
        return secret
    raise InvalidArgument(
        "--secret", expected="the secret of a personalised copy", found="that of a sealed one"
    )


def _facts(secret: Any) -> dict[str, Any]:
    return {
        "tile": list(secret.tile),
        "values": len(secret.scramble.source),
        "across": secret.across,
        "inversion": secret.inversion,
        "bits": secret.bits,
        "original_front": secret.original,
        "copy_front": secret.copied,
    }


def _checked(held: "Model", original: "Model", secret: Path, spec: str) -> Answer:
    from catch11.copies.public import check_copy

    found = check_copy(held, original, _own(open_secret(secret)))
    if found.exact:
        said = "the copy that this secret makes, bit for bit"
    elif found.descends:
        said = (
            f"a descendant of this secret's copy: its first layer has drifted by {found.drift:.2%}"
        )
    else:
        said = f"not this secret's copy: its first layer is {found.drift:.2f} of its own size away"
    facts = {"exact": found.exact, "descends": found.descends, "drift": found.drift}
    return Answer(facts=facts, view=f"{spec}: {said}", status=0 if found.descends else FINDING)
