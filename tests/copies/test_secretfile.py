"""The secret of a copy in a file: private, never overwritten, read as a stranger's."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save

from catch11.copies.personalize import CopySecret
from catch11.copies.secretfile import load_secret, save_secret, secret_bytes
from catch11.crypto.privatefile import OpenToOthers
from catch11.errors import KeyFileError
from catch11.keys.file import key_bytes
from catch11.keys.key import build_key
from catch11.studies.nets import digits

SECRET = CopySecret(
    secret=bytes(range(32)), shape=(3, 32, 32), tile=(16, 16), across=False, inversion=True,
    original="a" * 64, copied="b" * 64,
)  # fmt: skip
PLAIN = secret_bytes(SECRET)


@pytest.mark.parametrize("passphrase", [None, "of a client"])
def test_it_comes_back(passphrase: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.secret"
    save_secret(SECRET, path, passphrase=passphrase, cost=10)
    assert path.stat().st_mode & 0o777 == 0o600
    found = load_secret(path, passphrase=passphrase)
    assert isinstance(found, CopySecret)
    assert all(getattr(found, name) == getattr(SECRET, name) for name in CopySecret.__dataclass_fields__)  # fmt: skip
    assert torch.equal(found.scramble.source, SECRET.scramble.source)
    with pytest.raises(KeyFileError, match="never overwritten"):
        save_secret(SECRET, path)


def test_a_sealed_secret_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.secret"
    save_secret(SECRET, path, passphrase="right", cost=10)
    assert SECRET.secret not in path.read_bytes()
    for passphrase, reason in ((None, "no passphrase was given"), ("wrong", "passphrase is wrong")):
        with pytest.raises(KeyFileError, match=reason):
            load_secret(path, passphrase=passphrase)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_secret_that_others_may_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.secret"
    save_secret(SECRET, path)
    path.chmod(0o644)
    with pytest.warns(OpenToOthers, match="run chmod 600"):
        load_secret(path)


def _facts(edit: Callable[[dict[str, str]], Any]) -> bytes:
    """The plain form with other metadata, its MAC left as it was."""
    size = struct.unpack("<Q", PLAIN[:8])[0]
    header = json.loads(PLAIN[8 : 8 + size])
    edit(header["__metadata__"])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + PLAIN[8 + size :]


def _signed(**facts: Any) -> bytes:
    """A file with these facts and a MAC that is right: its author knows the secret."""
    from catch11.copies import secretfile

    notes = {
        "catch11": "copy secret", "version": "1", "original": "a", "copied": "b",
        "scramble": json.dumps([[3, 32, 32], [16, 16], False, True]), **facts,
    }  # fmt: skip
    tensor = torch.frombuffer(bytearray(SECRET.secret), dtype=torch.uint8)
    return save(
        {"secret": tensor}, metadata={**notes, "mac": secretfile._mac(SECRET.secret, notes)}
    )


class Bad(NamedTuple):
    name: str
    data: Callable[[], bytes]
    why: str


BAD = [
    Bad("nothing", lambda: b"", "cut short"),
    Bad("noise", lambda: bytes(range(256)), "not a usable secret file: it is none"),
    Bad("cut", lambda: PLAIN[:-3], "damaged"),
    Bad("a key", lambda: key_bytes(build_key(digits.patch())), "no secret of a copy"),
    Bad("version", lambda: _facts(lambda m: m.update(version="2")), "version is '2'"),
    Bad("changed", lambda: _facts(lambda m: m.update(copied="c" * 64)), "was changed or damaged"),
    Bad("no mac", lambda: _facts(lambda m: m.pop("mac")), "was changed or damaged"),
    Bad("short", lambda: save({"secret": torch.zeros(3, dtype=torch.uint8)}, metadata={"catch11": "copy secret", "version": "1"}), "not 32 bytes"),
    Bad("huge", lambda: _signed(scramble="[[3, 99999999, 9], [1, 1], false, true]"), "do not fit together"),
    Bad("tile", lambda: _signed(scramble="[[3, 8, 8], [9, 1], false, true]"), "do not fit together"),
    Bad("floats", lambda: _signed(scramble="[[3, 8.5, 8], [2, 2], false, true]"), "do not fit together"),
    Bad("kinds", lambda: _signed(scramble="[[3, 8, 8], [2, 2], 0, 1]"), "do not fit together"),
    Bad("words", lambda: _signed(scramble="no JSON"), "header is damaged"),
    Bad("deep", lambda: _signed(scramble="[" * 100_000), "secret file: it is none|header is damaged"),
]  # fmt: skip


@pytest.mark.parametrize("row", BAD, ids=lambda row: row.name)
def test_bad_files_are_refused(row: Bad, tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(row.data())
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=row.why):
        load_secret(path)
