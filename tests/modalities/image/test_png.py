"""The released PNG before two stock readers; what it may hold, what it may cost, and damage."""

import io
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.modalities.image.png8 import PNG8

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))


def canvas_of(pixels: np.ndarray) -> Canvas:
    height, width, channels = pixels.shape
    return plain_canvas(height, width, mean=[0.0] * channels, std=[1.0] * channels)


def written(pixels: np.ndarray) -> bytes:
    window = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255.0
    return PNG8.encode(window, canvas_of(pixels))


def chunks(data: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8]
        place += 12 + size


@given(hnp.arrays(np.uint8, SHAPES))
def test_stock_readers_and_own_read_the_same(pixels: np.ndarray) -> None:
    data = written(pixels)
    stock = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    stock = stock[..., None] if stock.ndim == 2 else stock[..., ::-1]
    assert np.array_equal(stock, pixels)
    own = PNG8.load(data, canvas_of(pixels)) * 255.0
    assert np.array_equal(own.round().permute(1, 2, 0).numpy(), pixels)
    picture = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)
    assert picture.info == {}
    assert set(chunks(data)) == {b"IHDR", b"IDAT", b"IEND"}
    assert written(pixels) == data


@pytest.mark.parametrize("spread", [0, 3, 40, 200])
def test_the_bytes_are_those_of_zlib(spread: int) -> None:
    """A file's hash does not hang on the library that packed it."""
    drawn = np.random.default_rng(spread).normal(120.0, spread, (150, 200, 3))
    pixels = drawn.clip(0, 255).astype(np.uint8)
    data, start = written(pixels), 8 + 25 + 8
    (size,) = struct.unpack_from(">I", data, start - 8)
    rows = np.pad(pixels.reshape(150, 600), ((0, 0), (1, 0)))
    coder = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    assert data[start : start + size] == coder.compress(rows.tobytes()) + coder.flush()


def test_noise_costs_no_more_than_itself() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(written(noise)) < 1.01 * noise.size + 100


def test_cut_anywhere_it_is_refused_or_its_pixels_are_all_there() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    good, canvas = written(pixels), canvas_of(pixels)
    whole = PNG8.load(good, canvas)
    for length in range(len(good)):
        try:
            assert torch.equal(PNG8.load(good[:length], canvas), whole)
            assert length > len(good) - 24  # checksum and closing chunk
        except ValueError as error:
            assert str(error).startswith("it ")  # noqa: PT017 - either is right


@given(hnp.arrays(np.uint8, SHAPES), st.data())
def test_a_file_is_intact_where_every_level_is_as_it_was_meant(
    pixels: np.ndarray, draw: st.DataObject
) -> None:
    canvas, data = canvas_of(pixels), written(pixels)
    meant = (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255.0).contiguous()
    assert PNG8.intact(data, meant, canvas)
    place, flat = draw.draw(st.integers(0, pixels.size - 1)), meant.view(-1)
    flat[place] += 1.0 / 255.0 if flat[place] < 0.5 else -1.0 / 255.0
    assert not PNG8.intact(data, meant, canvas)
