"""Bytes sealed at one place open there alone."""

import pytest

from catch11.crypto.envelope import new_data_key, open_at, seal_at, subkey
from catch11.crypto.passphrase import Unusable

KEY = bytes(range(32))
SEALED = seal_at(b"secret", KEY, "keys", "a", "key")


def test_opens_where_it_was_sealed() -> None:
    assert open_at(SEALED, KEY, "keys", "a", "key") == b"secret"


def test_the_same_bytes_are_sealed_differently_each_time() -> None:
    assert seal_at(b"secret", KEY, "keys", "a", "key") != SEALED


@pytest.mark.parametrize(
    ("sealed", "key", "place"),
    [
        (SEALED, KEY, ("keys", "b", "key")),
        (SEALED, KEY, ("keys", "akey")),
        (SEALED, KEY, ("keysa", "", "key")),
        (SEALED, new_data_key(), ("keys", "a", "key")),
        (SEALED[:-1] + bytes([SEALED[-1] ^ 1]), KEY, ("keys", "a", "key")),
        (SEALED[:20], KEY, ("keys", "a", "key")),
        (b"", KEY, ("keys", "a", "key")),
    ],
    ids=["row", "joined", "shifted", "key", "changed", "cut", "empty"],
)
def test_opens_nowhere_else(sealed: bytes, key: bytes, place: tuple[str, ...]) -> None:
    with pytest.raises(Unusable, match="another secret, or changed or moved"):
        open_at(sealed, key, *place)


def test_subkeys_differ_by_purpose() -> None:
    assert len({subkey(KEY, "a"), subkey(KEY, "b"), subkey(KEY, "a", "b")}) == 3
