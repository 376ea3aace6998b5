"""The PNG writer against two stock readers, and its reader against hostile bytes."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from catch11.modalities.image.png import SIGNATURE, decode_png, encode_png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))
PIXELS = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: hnp.arrays(kind, SHAPES))


@given(PIXELS)
def test_stock_readers_and_own_read_the_same(pixels: np.ndarray) -> None:
    data = encode_png(pixels)
    stock = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    stock = stock[..., None] if stock.ndim == 2 else stock[..., ::-1]
    own, text = decode_png(data)
    assert np.array_equal(stock, pixels)
    assert np.array_equal(own, pixels)
    assert own.dtype == pixels.dtype
    assert text == {}


@given(hnp.arrays(np.uint8, SHAPES))
def test_pillow_reads_eight_bits(pixels: np.ndarray) -> None:
    picture = Image.open(io.BytesIO(encode_png(pixels)))
    assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)
    assert picture.info == {}


def test_text_comes_back() -> None:
    data = encode_png(np.zeros((1, 1, 3), np.uint16), text={"catch11-affine": "-1.0 2.0"})
    assert decode_png(data)[1] == {"catch11-affine": "-1.0 2.0"}


def test_noise_costs_no_more_than_itself() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_png(noise)) < 1.01 * noise.size + 100


GOOD = encode_png(np.arange(48, dtype=np.uint16).reshape(4, 4, 3), text={"k": "v"})


def test_cut_at_every_byte() -> None:
    for length in range(len(GOOD)):
        with pytest.raises(ValueError, match=r"cut short|not a PNG"):
            decode_png(GOOD[:length])


@settings(max_examples=200)
@given(place=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    data = bytearray(GOOD)
    data[place] ^= 1 << bit
    with pytest.raises(ValueError, match=r"checksum|cut short|not a PNG"):
        decode_png(bytes(data))


def chunk(kind: bytes, payload: bytes) -> bytes:
    check = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", check)


def built(header: bytes, rows: bytes) -> bytes:
    body = chunk(b"IDAT", zlib.compress(rows) if rows != b"?????" else rows)
    return SIGNATURE + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def head(width: int = 2, height: int = 2, depth: int = 8, colour: int = 0, *rest: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, *(rest or (0, 0, 0)))


class Bad(NamedTuple):
    name: str
    data: Callable[[], bytes]
    reason: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad("no header", lambda: SIGNATURE + chunk(b"IEND", b""), "no header"),
        Bad("palette", lambda: built(head(colour=3), bytes(6)), "grey or RGB"),
        Bad("four bits", lambda: built(head(depth=4), bytes(6)), "grey or RGB"),
        Bad("interlaced", lambda: built(head(2, 2, 8, 0, 0, 0, 1), bytes(6)), "grey or RGB"),
        Bad("no width", lambda: built(head(width=0), bytes(6)), "0 x 2 pixels"),
        Bad("huge", lambda: built(head(width=1 << 30), bytes(6)), "x 2 pixels"),
        Bad("bomb", lambda: built(head(), bytes(1 << 24)), "more bytes than it says"),
        Bad("short", lambda: built(head(), bytes(5)), "fewer bytes than it says"),
        Bad("no zlib", lambda: built(head(), b"?????"), "pixels are damaged"),
        Bad("filtered", lambda: built(head(), b"\1\0\0\1\0\0"), "rows are filtered"),
    ],
    ids=lambda bad: bad.name,
)
def test_hostile_files_are_refused(bad: Bad) -> None:
    with pytest.raises(ValueError, match=bad.reason):
        decode_png(bad.data())
