"""The master secret: what opens the vault. From a file, the environment or the system's keyring."""

import os
import secrets
from pathlib import Path

from catch11.crypto.privatefile import load_private, save_private
from catch11.errors import InvalidArgument

VARIABLE, FILE = "CATCH11_MASTER", "CATCH11_MASTER_FILE"
SERVICE, USER = "catch11", "gateway"  # in the keyring
LEAST = 16  # characters: scrypt makes guessing slow, not impossible
_PLACES = f"one in {VARIABLE}, in the file of --master or {FILE}, or in the keyring"


def read_master(file: Path | None = None, *, make: bool = False) -> str:
    """The master secret: of the file, else the environment, else the keyring.

    make: write a new one to the file where there is none. Raises InvalidArgument, KeyFileError.
    """
    path = file or (Path(os.environ[FILE]) if FILE in os.environ else None)
    if path is not None:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_private(secrets.token_hex(32).encode() + b"\n", path, what="master secret")
        return _checked(load_private(path, _text, passphrase=None, what="master secret"))
    given = os.environ.get(VARIABLE) or _from_keyring()
    if not given:
        raise InvalidArgument("master", expected=_PLACES, found="none")
    return _checked(given)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def _checked(text: str) -> str:
    if len(text) < LEAST:
        expected = f"a master secret of {LEAST} characters or more"
        raise InvalidArgument("master", expected=expected, found=f"{len(text)}")
    return text


def _from_keyring() -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError, KeyringLocked
    except ImportError:
        return None
    try:
        return keyring.get_password(SERVICE, USER)
    except KeyringLocked:
        raise InvalidArgument(
            "master", expected=_PLACES, found="a keyring that is locked", remedy="unlock it"
        ) from None
    except KeyringError:
        return None  # no keyring on this machine
