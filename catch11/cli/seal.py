"""catch11 seal: a copy of any model that opens files sealed for it, and its licensee's secret."""

from pathlib import Path
from typing import Annotated

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
from catch11.kinds import IMAGE


@command("Release")
def seal(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=f"The model: {SPEC} With --check, a leaked file.")
    ],
    secret: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="The licensee's secret, mode 0600; made if there is none. One each. With --check "
            "repeatable.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="The copy, new: .onnx or .pt2, with a JSON beside it.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing: say under which secret a bare file was sealed."),
    ] = False,
    encrypt: Encrypt = False,
    device: Device = "cpu",
    allow_code: AllowCode = False,
) -> Answer:  # fmt: skip
    """Write a copy of a model that opens the files sealed for it, and reads no others.

    The files that recode --secret FILE writes are cipher text; the copy opens them within its graph, to
    what the recoder made, and goes on as the model does. Weights are the model's. Whoever has the copy
    is the licensee: the graph holds the key. Give each licensee a secret, and so a copy, of its own. A file
    that leaked without its list names its licensee by --check; exit status 1 where no secret is its own.

    Example: catch11 seal hf:models/deit-tiny-patch16-224 -o copy.onnx --secret licensee.secret
    """
    if check:
        return _whose(Path(model), secret, output)
    if output is None or len(secret) != 1:
        found = "no --output" if output is None else f"{len(secret)} secrets"
        raise InvalidArgument("seal", expected="--output FILE and one --secret", found=found)
    return _written(model, output, secret[0], encrypt=encrypt, device=device, allow_code=allow_code)


def _whose(file: Path, secrets: list[Path], output: Path | None) -> Answer:
    """Under which of some secrets a file was sealed."""
    from catch11.copies.seal import SealSecret
    from catch11.modalities.image.seal import sealed_by

    if output is not None:
        raise InvalidArgument("check", expected="no --output beside it", found=output)
    known = {path: open_secret(path) for path in secrets}
    mine = {path: one for path, one in known.items() if isinstance(one, SealSecret)}
    if len(mine) < len(known):
        raise InvalidArgument(
            "secret", expected="secrets of sealed copies", found="that of a personalised one"
        )
    found = sealed_by(file, list(mine.values()))
    path = next((path for path, one in mine.items() if one is found), None)
    facts = {
        "file": str(file), "secret": None if path is None else str(path),
        "seal": None if found is None else found.fingerprint,
    }  # fmt: skip
    if found is None:
        view = f"{file}: sealed under none of these secrets, or changed after it was sealed"
        return Answer(facts=facts, view=view, status=FINDING)
    return Answer(facts=facts, view=f"{file}: sealed as {found.fingerprint[:16]}, by {path}")


def _written(
    model: str, output: Path, secret: Path, *, encrypt: bool, device: str, allow_code: bool
) -> Answer:
    """The copy, and its secret where there is none yet."""
    from catch11.copies.seal import SealSecret, seal_secret
    from catch11.copies.secretfile import save_secret
    from catch11.modalities.image.seal import check_place
    from catch11.modalities.image.seal import seal as write
    from catch11.modalities.known import stated_modality

    check_place(output)
    kind = stated_modality(model)
    if kind is not None and kind.name != IMAGE:
        raise InvalidArgument(
            "model",
            expected="a model of pictures, whose files have 8-bit values",
            found=f"one of {kind.items}",
        )
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
