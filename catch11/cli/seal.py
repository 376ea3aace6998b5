"""catch11 seal: a copy of any model that opens files sealed for it, and its licensee's secret."""

from pathlib import Path
from typing import Annotated

import typer

from catch11.cli.frame import Answer, command
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


@command("Release")
def seal(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"The model: {SPEC}")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="The copy, new: .onnx or .pt2, with a JSON beside it.",
        ),
    ],
    secret: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The licensee's secret, mode 0600; made if there is none. One each."
        ),
    ],
    encrypt: Encrypt = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:  # fmt: skip
    """Write a copy of a model that opens the files sealed for it, and reads no others.

    The files that recode --secret FILE writes are cipher text; the copy opens them within its graph, to
    what the recoder made, and goes on as the model does. Weights are the model's. Whoever has the copy
    is the licensee: the graph holds the key. Give each licensee a secret, and so a copy, of its own.

    Example: catch11 seal hf:models/deit-tiny-patch16-224 -o copy.onnx --secret licensee.secret
    """
    from catch11.copies.seal import SealSecret, seal_secret
    from catch11.copies.secretfile import save_secret
    from catch11.modalities.image.seal import check_place
    from catch11.modalities.image.seal import seal as write

    check_place(output)
    opened = open_model(model, device=device, allow_code=allow_code)
    known = open_secret(secret) if secret.exists() else None
    if known is not None and not isinstance(known, SealSecret):
        raise InvalidArgument(
            "--secret", expected="the secret of a sealed copy, or a new file",
            found="that of a personalised one",
        )  # fmt: skip
    made = known or seal_secret(opened)
    if known is None:
        save_secret(made, secret, passphrase=ask_passphrase(secret, new=True) if encrypt else None)
    try:
        write(opened, output, secret=made)
    except BaseException:
        if known is None:
            secret.unlink(missing_ok=True)  # of a copy that there is not
        raise
    spec = f"{'onnx' if output.suffix.lower() == '.onnx' else 'torch'}:{output}"
    facts = {
        "copy": spec, "seal": made.fingerprint, "secret": str(secret), "new": known is None,
        "encrypted": is_encrypted(secret), "original_front": made.original,
    }  # fmt: skip
    view = f"{spec}: opens what is sealed as {made.fingerprint[:16]}\nsecret    {secret} (private; one for each licensee)"
    return Answer(facts=facts, view=view)
