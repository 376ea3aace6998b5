"""Options that several commands share, and what they open."""

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catch11.cli.help import MORE
from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from catch11.copies.secretfile import Secret as CopySecrets
    from catch11.keys.key import Key
    from catch11.models.frame import Model

PASSPHRASE = "CATCH11_PASSPHRASE"
SPEC = "hf:ID_OR_DIR, timm:NAME[@WEIGHTS], onnx:FILE, torch:FILE, py:module:function, or a path."

Device = Annotated[str, typer.Option(metavar="NAME", help="Where models run: cpu, cuda or cuda:N.")]
Secret = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The secret of the personalised copy that MODEL, or the key, is of; or of the sealed copy "
        "that the files are for.",
        rich_help_panel=MORE,
    ),
]
Assets = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", envvar="CATCH11_ASSETS", help="The folder of real models and pictures."
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Load model files that run code of their author's (pickles, TorchScript). Only for "
        "files you trust.",
        rich_help_panel=MORE,
    ),
]
Encrypt = Annotated[
    bool,
    typer.Option(
        "--encrypt",
        help="Encrypt a new secret with a passphrase, typed or from CATCH11_PASSPHRASE.",
    ),
]
Ledger = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The private list of sources; DST.ledger.jsonl unless given.",
        rich_help_panel=MORE,
    ),
]
Rivals = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL", help="A model that should not read it; repeatable."),
]
Tolerance = Annotated[
    float | None, typer.Option(metavar="T", help="How near, see recode.", rich_help_panel=MORE)
]


def share(text: str) -> float:
    """A share of one, written 0.06, 6% or, above one, 6."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if number != text.strip() or value > 1.0:
        value /= 100.0
    if not 0.0 <= value <= 1.0:
        raise typer.BadParameter(f"expected a share such as 0.06 or 6%, found {text!r}")
    return value


def open_model(spec: str, *, device: str = "cpu", allow_code: bool = False) -> "Model":
    """Load a model of pictures."""
    from catch11.models.load import load_picture_model

    return load_picture_model(spec, device=device, allow_code=allow_code)


def path_of(text: str) -> str | Path:
    """A path of this machine, or an address as it is: a path would lose one of its slashes."""
    return text if "://" in text else Path(text)


def open_key(path: Path) -> "Key":
    """Read a key file, asking for its passphrase if it is encrypted."""
    from catch11.keys.file import load_key

    return load_key(path, passphrase=ask_passphrase(path) if is_encrypted(path) else None)


def open_secret(path: Path) -> "CopySecrets":
    """Read the secret of a copy, asking for its passphrase if it is encrypted."""
    from catch11.copies.secretfile import load_secret

    return load_secret(path, passphrase=ask_passphrase(path) if is_encrypted(path) else None)


def is_encrypted(path: Path) -> bool:
    """Whether a file is an encrypted key or secret; False where it cannot be read."""
    from catch11.crypto.passphrase import MAGIC

    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def ask_passphrase(path: Path, *, new: bool = False) -> str:
    """The passphrase from CATCH11_PASSPHRASE or the terminal, never from the command line.

    new: asks twice. Raises InvalidArgument where there is none to be had.
    """
    given = os.environ.get(PASSPHRASE)
    if given is not None:
        return _checked(given)
    if not sys.stdin.isatty():
        raise InvalidArgument(
            "passphrase", expected=f"one for {path} in {PASSPHRASE} or typed at a terminal",
            found="neither",
        )  # fmt: skip
    typed = _checked(getpass(f"Passphrase for {path}: "))
    if new and getpass("Once more: ") != typed:
        raise InvalidArgument("passphrase", expected="the same twice", found="two different ones")
    return typed


def _checked(passphrase: str) -> str:
    if not passphrase:
        raise InvalidArgument("passphrase", expected="at least one character", found="none")
    return passphrase
