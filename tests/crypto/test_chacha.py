"""The cipher in tensors and in graphs, held against RFC 8439's own vectors and another implementation."""

import struct
from typing import NamedTuple

import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from catch11.crypto.chacha import key_stream, words_of

_ONE, _TWO = bytes(31) + b"\x01", b"\x00\xff" + bytes(30)


class Row(NamedTuple):
    """A vector of RFC 8439: sections 2.3.2 and A.1, and the stream of 2.4.2."""

    section: str
    key: bytes
    nonce: str
    counter: int
    stream: str


ROWS = [
    Row("2.3.2", bytes(range(32)), "000000090000004a00000000", 1,
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"),
    Row("A.1.1", bytes(32), "000000000000000000000000", 0,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
    Row("A.1.2", bytes(32), "000000000000000000000000", 1,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
    Row("A.1.3", _ONE, "000000000000000000000000", 1,
        "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
        "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"),
    Row("A.1.4", _TWO, "000000000000000000000000", 2,
        "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
        "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"),
    Row("A.1.5", bytes(32), "000000000000000000000002", 0,
        "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
        "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"),
]  # fmt: skip


def tensor_stream(key: bytes, nonces: list[bytes], *, blocks: int, counter: int = 0) -> list[bytes]:
    """The stream of each nonce, as bytes."""
    words = torch.tensor([words_of(nonce) for nonce in nonces], dtype=torch.int32)
    made = key_stream(
        torch.tensor(words_of(key), dtype=torch.int32), words, blocks=blocks, counter=counter
    )
    return [bytes(row.tolist()) for row in made & 255]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.section)
def test_block_function_is_the_standards(row: Row) -> None:
    (made,) = tensor_stream(row.key, [bytes.fromhex(row.nonce)], blocks=1, counter=row.counter)
    assert made.hex() == row.stream


def test_encryption_of_section_2_4_2() -> None:
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    nonce = bytes.fromhex("000000000000004a00000000")
    (stream,) = tensor_stream(bytes(range(32)), [nonce], blocks=2, counter=1)
    sealed = bytes(a ^ b for a, b in zip(text, stream, strict=False))
    assert sealed.hex() == (
        "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
        "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
        "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
        "5af90bbf74a35be6b40b8eedf2785e42874d"
    )


@settings(max_examples=25, deadline=None)
@given(
    key=st.binary(min_size=32, max_size=32),
    nonces=st.lists(st.binary(min_size=12, max_size=12), min_size=1, max_size=3),
    counter=st.integers(0, 1 << 30),
)
def test_streams_are_another_implementations(key: bytes, nonces: list[bytes], counter: int) -> None:
    made = tensor_stream(key, nonces, blocks=3, counter=counter)
    for nonce, stream in zip(nonces, made, strict=True):
        start = struct.pack("<I", counter) + nonce
        cipher = Cipher(algorithms.ChaCha20(key, start), mode=None).encryptor()
        assert stream == cipher.update(bytes(192))
