"""A passphrase around bytes: scrypt and AES-256-GCM, read back as from a stranger.

Layout: a magic line, the length of a JSON header (4 bytes, big-endian), the header with the scrypt
cost, salt and nonce, and the ciphertext, which authenticates everything before it.
"""

import json
import secrets
import struct
import unicodedata
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from catch11.errors import InvalidArgument

MAGIC = b"catch11 sealed key 1\n"
COST = 17  # log2 of scrypt's N: 128 MiB and about a third of a second
_MEMORY = 1 << 29  # bytes scrypt may take: a hostile file must not exhaust the machine
_HEADER = 1 << 12  # bytes of the header; a real one has 150


class Unusable(Exception):
    """Why bytes are no key, as one clause; the reader of files adds which file."""


def encrypt(data: bytes, passphrase: str, *, cost: int = COST) -> bytes:
    """The encrypted form of bytes."""
    if not 10 <= cost <= 19:
        raise InvalidArgument("cost", expected="10 to 19", found=cost)
    if not passphrase:
        raise InvalidArgument("passphrase", expected="at least one character", found="none")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    facts = {"kdf": "scrypt", "n": 1 << cost, "r": 8, "p": 1}
    header = json.dumps({**facts, "salt": salt.hex(), "nonce": nonce.hex()}).encode()
    front = MAGIC + struct.pack(">I", len(header)) + header
    return front + AESGCM(_stretch(passphrase, salt, 1 << cost, 8, 1)).encrypt(nonce, data, front)


def decrypt(data: bytes, passphrase: str | None) -> bytes:
    """The bytes that were encrypted; what the header asks for is capped before it is done."""
    start = len(MAGIC) + 4
    size = int.from_bytes(data[len(MAGIC) : start], "big")
    if len(data) < start + size or not 2 <= size <= _HEADER:
        raise Unusable("it is cut short")
    facts = read_object(data[start : start + size])
    n, r, p = (value if type(value := facts.get(name)) is int else 0 for name in "nrp")
    power = n > 1 and not n & (n - 1)
    allowed = 1 <= r <= 32 and 1 <= p <= 4 and 128 * n * r <= _MEMORY
    if facts.get("kdf") != "scrypt" or not (power and allowed):
        raise Unusable("its encryption asks for more work than is allowed, or for none")
    try:
        salt, nonce = bytes.fromhex(facts["salt"]), bytes.fromhex(facts["nonce"])
    except (KeyError, TypeError, ValueError):
        raise Unusable("its header is damaged") from None
    if len(salt) != 16 or len(nonce) != 12:
        raise Unusable("its header is damaged")
    if not passphrase:
        raise Unusable("it is encrypted and no passphrase was given")
    try:
        cipher = AESGCM(_stretch(passphrase, salt, n, r, p))
        return cipher.decrypt(nonce, data[start + size :], data[: start + size])
    except InvalidTag:
        raise Unusable("the passphrase is wrong or the file was changed") from None


def _stretch(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # Keyboards differ in how they compose an accent; the passphrase must not.
    text = unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(text)


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in bytes; raises Unusable."""
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise Unusable("its header is damaged")
    return facts
