"""AES-256-GCM of the whole file: the honest trivial baseline. Who has the key has everything, for any
use; who lacks it has nothing but the length."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from catch11.errors import InvalidArgument

PROTECTS = "everything but the length, against who lacks the key; nothing against who has it"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
OVERHEAD = NONCE_BYTES + TAG_BYTES


def encrypt_file(data: bytes, key: bytes, *, name: str = "") -> bytes:
    """Nonce, ciphertext and tag. The nonce comes from the operating system; name is authenticated."""
    return (nonce := secrets.token_bytes(NONCE_BYTES)) + _cipher(key).encrypt(
        nonce, data, name.encode()
    )


def decrypt_file(data: bytes, key: bytes, *, name: str = "") -> bytes:
    """The bytes that were encrypted. Raises InvalidArgument for any other key, name or change."""
    cipher = _cipher(key)
    if len(data) < OVERHEAD:
        raise InvalidArgument(
            "data", expected=f"{OVERHEAD} bytes or more", found=f"{len(data)} bytes"
        )
    try:
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())
    except InvalidTag:
        raise InvalidArgument(
            "data", expected="a file encrypted with this key under this name",
            found="another key or name, or changed bytes",
        ) from None  # fmt: skip


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise InvalidArgument("key", expected=f"{KEY_BYTES} bytes", found=f"{len(key)} bytes")
    return AESGCM(key)
