"""Files of secrets: safetensors with string metadata, mode 0600, optionally encrypted with a passphrase.

They are whole or absent and never overwritten; they are read as a stranger's: whatever is wrong
with one is a KeyFileError of one sentence. The encrypted form is in `passphrase`.
"""

import os
import secrets
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from catch11.crypto.passphrase import COST, MAGIC, Unusable, decrypt, encrypt, read_object
from catch11.errors import KeyFileError

_HEADER = 1 << 16  # bytes a header may have; real ones have 2,000
_LARGEST = 1 << 32  # bytes of a key file
Held = TypeVar("Held")


class OpenToOthers(UserWarning):
    """A key file that other users of the machine may read."""


def save_private(
    data: bytes,
    path: str | os.PathLike[str],
    *,
    passphrase: str | None = None,
    cost: int = COST,
    what: str = "key",
) -> None:
    """Bytes to a new file that only its owner may read. passphrase: encrypts it. cost: log2 of scrypt's N,
    10 to 19. what: it is, for sentences. Raises KeyFileError, InvalidArgument."""
    _write(Path(path), data if passphrase is None else encrypt(data, passphrase, cost=cost), what)


def load_private(
    path: str | os.PathLike[str],
    read: Callable[[bytes], Held],
    *,
    passphrase: str | None,
    what: str,
) -> Held:
    """What `read` finds in the bytes of a file, decrypted where they are encrypted. Raises KeyFileError.

    read: raises Unusable. what: is held, for sentences and the warning (OpenToOthers) that other users may read it.
    """
    data, mode = _read(path, what)
    try:
        held = read(decrypt(data, passphrase) if data.startswith(MAGIC) else data)
    except Unusable as error:
        raise KeyFileError(path, str(error), what) from None
    if os.name == "posix" and mode & 0o077:
        text = f"{path}: other users may read this {what} (mode {mode:04o}); run chmod 600 on it"
        warnings.warn(text, OpenToOthers, stacklevel=3)
    return held


def notes_of(data: bytes) -> dict[str, str]:
    """The string metadata of a safetensors file, read as a stranger's. Raises Unusable."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    if not 2 <= size <= min(_HEADER, len(data) - 8):
        raise Unusable("it is none, or it is cut short")
    notes = read_object(data[8 : 8 + size]).get("__metadata__")
    if not isinstance(notes, dict) or not all(isinstance(v, str) for v in notes.values()):
        raise Unusable("it is none")
    return dict(notes)


def _read(path: str | os.PathLike[str], what: str) -> tuple[bytes, int]:
    """The bytes and the mode of a regular file. Raises KeyFileError."""
    try:
        with open(path, "rb", opener=_open_now) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise KeyFileError(path, "it is not a regular file", what)
            if facts.st_size > _LARGEST:
                raise KeyFileError(path, f"it is larger than {_LARGEST >> 30} GiB", what)
            return file.read(), stat.S_IMODE(facts.st_mode)
    except OSError as error:
        raise KeyFileError(path, f"it cannot be read ({error.strerror})", what) from None


def _open_now(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block


def _write(path: Path, data: bytes, what: str) -> None:
    """A file of mode 0600 that is whole or absent, and never takes the place of another."""
    taken = f"a file of this name exists, and a {what} is never overwritten"
    if path.exists() or path.is_symlink():
        raise KeyFileError(path, taken, what)
    rough = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        handle = os.open(rough, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _rename_new(rough, path)
        finally:
            rough.unlink(missing_ok=True)
    except FileExistsError:
        raise KeyFileError(path, taken, what) from None
    except OSError as error:
        raise KeyFileError(path, f"it cannot be written ({error.strerror})", what) from None


def _rename_new(rough: Path, path: Path) -> None:
    """Rename unless the name is taken meanwhile; a link fails where a rename would replace."""
    try:
        os.link(rough, path)
    except FileExistsError:
        raise
    except OSError:
        os.replace(rough, path)  # a file system without links
