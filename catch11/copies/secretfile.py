"""Secrets of copies <-> files: safetensors with string metadata, optionally encrypted.

Plain form: the tensor `secret`; the metadata say what kind of copy it is of and hold the public facts
and an HMAC of them under the secret. The file has mode 0600 and is never overwritten; it is read as a
stranger's.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from catch11.canvas.frame import Canvas
from catch11.copies.personalize import CopySecret
from catch11.copies.seal import SealSecret
from catch11.crypto.passphrase import COST, Unusable, read_object
from catch11.crypto.privatefile import load_private, notes_of, save_private
from catch11.errors import InvalidArgument
from catch11.keys.key import SECRET_BYTES

VERSION = "1"
_LARGEST = 1 << 14  # pixels a side, as of a canvas
Secret = CopySecret | SealSecret


def save_secret(
    secret: Secret,
    path: str | os.PathLike[str],
    *,
    passphrase: str | None = None,
    cost: int = COST,
) -> None:
    """Write a secret to a new file that only its owner may read (mode 0600).

    passphrase: encrypts the file. cost: log2 of scrypt's N, 10 to 19. An existing file is never
    overwritten. Raises KeyFileError, InvalidArgument.
    """
    save_private(secret_bytes(secret), path, passphrase=passphrase, cost=cost, what="secret")


def load_secret(path: str | os.PathLike[str], *, passphrase: str | None = None) -> Secret:
    """Read a secret of either kind; an encrypted one needs its passphrase. Raises KeyFileError.

    Warns with OpenToOthers where other users may read the file.
    """
    return load_private(path, secret_from_bytes, passphrase=passphrase, what="secret")


def secret_bytes(secret: Secret) -> bytes:
    """The plain form of a secret."""
    if isinstance(secret, SealSecret):
        kind, facts = _SEAL, {"canvas": json.dumps(secret.canvas.to_dict())}
    else:
        kind, facts = _COPY, _copy_facts(secret)
    notes = {"catch11": kind, "version": VERSION, "original": secret.original, **facts}
    tensor = torch.frombuffer(bytearray(secret.secret), dtype=torch.uint8)
    return save({"secret": tensor}, metadata={**notes, "mac": _mac(secret.secret, notes)})


def secret_from_bytes(data: bytes) -> Secret:
    """The secret in such bytes; they are checked as a stranger's. Raises Unusable."""
    notes = notes_of(data)
    kind = notes.get("catch11", "")
    if kind not in _READ:
        raise Unusable("it holds no secret of a copy")
    if notes.get("version") != VERSION:
        raise Unusable(f"its version is {notes.get('version')!r:.20}, expected {VERSION}")
    try:
        tensor = load(data).get("secret")
    except (SafetensorError, ValueError, TypeError) as error:
        raise Unusable(f"its tensors are damaged ({str(error)[:80]})") from None
    if tensor is None or tensor.dtype != torch.uint8 or tensor.shape != (SECRET_BYTES,):
        raise Unusable(f"its secret is not {SECRET_BYTES} bytes")
    raw = bytes(tensor.tolist())
    mac = notes.pop("mac", "")
    if not hmac.compare_digest(mac.encode(), _mac(raw, notes).encode()):
        raise Unusable("it was changed or damaged after it was written")
    try:
        return _READ[kind](raw, notes)
    except (TypeError, ValueError, KeyError, InvalidArgument):
        raise Unusable("its facts do not fit together") from None


def _copy_facts(secret: CopySecret) -> dict[str, str]:
    facts = [secret.shape, secret.tile, secret.across, secret.inversion]
    return {"copied": secret.copied, "scramble": json.dumps(facts, separators=(",", ":"))}


def _copy_of(raw: bytes, notes: Mapping[str, str]) -> CopySecret:
    facts: Any = read_object(b'{"facts":%s}' % notes.get("scramble", "0").encode()).get("facts")
    shape, tile, across, inversion = facts
    sides = (*shape, *tile)
    good = len(shape) == 3 and len(tile) == 2 and {type(across), type(inversion)} == {bool}
    if not good or not all(type(side) is int and 1 <= side <= _LARGEST for side in sides):
        raise ValueError
    if shape[0] > 4 or tile[0] > shape[1] or tile[1] > shape[2]:
        raise ValueError
    return CopySecret(
        secret=raw, shape=tuple(shape), tile=tuple(tile), across=across, inversion=inversion,
        original=notes["original"], copied=notes["copied"],
    )  # fmt: skip


def _seal_of(raw: bytes, notes: Mapping[str, str]) -> SealSecret:
    canvas = Canvas.from_dict(read_object(notes["canvas"].encode()))
    return SealSecret(secret=raw, canvas=canvas, original=notes["original"])


def _mac(secret: bytes, notes: Mapping[str, str]) -> str:
    text = json.dumps(dict(sorted(notes.items()))).encode()
    return hmac.new(secret, b"catch11 copy secret 1" + text, hashlib.sha256).hexdigest()


# What the metadata call each kind of secret, and how it is read.
_COPY, _SEAL = "copy secret", "seal secret"
_READ: dict[str, Callable[[bytes, Mapping[str, str]], Secret]] = {_COPY: _copy_of, _SEAL: _seal_of}
