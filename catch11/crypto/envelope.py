"""Bytes sealed under a data key, each bound to the place that it belongs to.

AES-256-GCM under a subkey of the data key and the place, with a random nonce of 12 bytes in front. The
place is authenticated: what was sealed for one row or column opens at no other.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from catch11.crypto.passphrase import Unusable
from catch11.crypto.stream import keyed_stream

KEY_BYTES = 32
_NONCE = 12


def new_data_key() -> bytes:
    """32 bytes from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def seal_at(data: bytes, key: bytes, *place: str) -> bytes:
    """The sealed form of bytes that belong to a place."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(key, place).encrypt(nonce, data, _bound(place))


def open_at(sealed: bytes, key: bytes, *place: str) -> bytes:
    """The bytes that were sealed for this place. Raises Unusable."""
    try:
        return _cipher(key, place).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(place))
    except (InvalidTag, ValueError):
        raise Unusable("it was sealed under another secret, or changed or moved since") from None


def subkey(key: bytes, *place: str) -> bytes:
    """32 bytes of a data key for one purpose."""
    return keyed_stream(key, "subkey", *(part.encode() for part in place)).bytes(KEY_BYTES)


def _cipher(key: bytes, place: tuple[str, ...]) -> AESGCM:
    return AESGCM(subkey(key, "sealed", *place))


def _bound(place: tuple[str, ...]) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in place)
