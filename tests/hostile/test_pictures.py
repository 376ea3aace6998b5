"""Bad and odd picture files, made on the spot: each is read, or refused in one sentence."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from catch11.canvas.frame import Canvas, Fit
from catch11.data.pictures import MAX_PIXELS, fit_picture, open_picture
from catch11.errors import UnreadablePicture


class Case(NamedTuple):
    """A file; `reason` is a part of why it is refused, None where it is a good picture."""

    name: str
    data: Callable[[], bytes]
    reason: str | None


def pixels(height: int = 20, width: int = 30, channels: int = 3) -> np.ndarray:
    ramp = np.arange(height * width * channels, dtype=np.uint32) * 2654435761 >> 24
    return (ramp & 255).astype(np.uint8).reshape(height, width, channels)


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(pixels())


def chunk(kind: bytes, payload: bytes) -> bytes:
    check = zlib.crc32(kind + payload)
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", check)


def png(width: int, height: int, *, body: bytes = b"", extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    tail = chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + tail


def truncated(form: str) -> bytes:
    data = saved(rgb(), form)
    return data[: len(data) // 2]


def flipped() -> bytes:
    data = bytearray(saved(rgb(), "PNG"))
    data[-30] ^= 255
    return bytes(data)


def animated(form: str) -> bytes:
    frames = [Image.fromarray(np.roll(pixels(), step, axis=1)) for step in range(3)]
    return saved(frames[0], form, save_all=True, append_images=frames[1:])


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(rgb(), "JPEG", exif=exif.tobytes())


def broken_exif() -> bytes:
    return saved(rgb(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40)


def stereo() -> bytes:
    return saved(rgb(), "MPO", save_all=True, append_images=[rgb()])


def sixteen() -> bytes:
    return saved(Image.fromarray(np.full((9, 8), 40000, np.uint16)), "PNG")


def floating() -> bytes:
    return saved(Image.fromarray(np.full((9, 8), 0.5, np.float32)), "TIFF")


BOMB = 1 << 15
CASES = (
    Case("plain.png", lambda: saved(rgb(), "PNG"), None),
    Case("plain.jpg", lambda: saved(rgb(), "JPEG"), None),
    Case("plain.webp", lambda: saved(rgb(), "WEBP"), None),
    Case("plain.bmp", lambda: saved(rgb(), "BMP"), None),
    Case("plain.tif", lambda: saved(rgb(), "TIFF"), None),
    Case("still.gif", lambda: saved(rgb().quantize(16), "GIF"), None),
    Case("grey.png", lambda: saved(rgb().convert("L"), "PNG"), None),
    Case("bilevel.png", lambda: saved(rgb().convert("1"), "PNG"), None),
    Case("sixteen.png", sixteen, None),
    Case("deep.pgm", lambda: b"P5 4 4 65535\n" + bytes(32), None),
    Case("palette.png", lambda: saved(rgb().quantize(16), "PNG"), None),
    Case("alpha.png", lambda: saved(rgb().convert("RGBA"), "PNG"), None),
    Case("greyalpha.png", lambda: saved(rgb().convert("LA"), "PNG"), None),
    Case("cut-out.png", lambda: saved(rgb().quantize(16), "PNG", transparency=3), None),
    Case("cmyk.jpg", lambda: saved(rgb().convert("CMYK"), "JPEG"), None),
    Case("turned.jpg", turned, None),
    Case("broken-exif.jpg", broken_exif, None),
    Case("stereo.jpg", stereo, None),
    Case("one-pixel.png", lambda: saved(Image.new("RGB", (1, 1)), "PNG"), None),
    Case("jpeg-named.png", lambda: saved(rgb(), "JPEG"), None),
    Case("no-suffix", lambda: saved(rgb(), "PNG"), None),
    Case("tail.jpg", lambda: saved(rgb(), "JPEG") + b"tail" * 99, None),
    Case("empty.png", lambda: b"", "empty"),
    Case("text.jpg", lambda: b"file,label\na,1\n", "not a picture"),
    Case("zeros.jpg", lambda: bytes(5000), "not a picture"),
    Case("signature.png", lambda: b"\x89PNG\r\n\x1a\n", "not a picture"),
    Case("signature.jpg", lambda: b"\xff\xd8\xff", "not a picture|damaged"),
    Case("half.png", lambda: truncated("PNG"), "damaged"),
    Case("half.jpg", lambda: truncated("JPEG"), "damaged"),
    Case("half.webp", lambda: truncated("WEBP"), "damaged|not a picture"),
    Case("half.gif", lambda: truncated("GIF"), "damaged|not a picture"),
    Case("half.tif", lambda: truncated("TIFF"), "damaged|not a picture"),
    Case("half.bmp", lambda: truncated("BMP"), "damaged"),
    Case("flipped.png", flipped, "damaged"),
    Case("no-rows.png", lambda: png(64, 64), "damaged"),
    Case("no-width.png", lambda: png(0, 5), "no pixels|not a picture|damaged"),
    Case("no-width.ppm", lambda: b"P6 0 5 255\n", "not a picture|damaged|no pixels"),
    Case("bomb.png", lambda: png(BOMB, BOMB), f"more than {MAX_PIXELS}"),
    Case("large.png", lambda: png(10_000, 9_000), f"more than {MAX_PIXELS}"),
    Case("bomb.bmp", lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, BOMB, BOMB, 1, 24, 0, 0, 0, 0, 0, 0), f"more than {MAX_PIXELS}"),
    Case("text-bomb.png", lambda: png(4, 4, body=bytes(52), extra=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 26)))), None),
    Case("turn-bomb.png", lambda: png(4, 4, body=bytes(52), extra=chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1 << 26)))), None),
    Case("thin.png", lambda: saved(Image.new("RGB", (1, 1 << 19)), "PNG"), "resized it would be"),
    Case("animated.gif", lambda: animated("GIF"), "3 frames"),
    Case("animated.png", lambda: animated("PNG"), "3 frames"),
    Case("animated.webp", lambda: animated("WEBP"), "3 frames"),
    Case("pages.tif", lambda: animated("TIFF"), "3 frames"),
    Case("floating.tif", floating, "no stated range"),
    Case("script.eps", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript document"),
    Case("vector.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
)  # fmt: skip

CANVAS = Canvas(
    height=16, width=16, top=2, left=2, window_height=12, window_width=12,
    gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0),
    fit=Fit(resize="short", height=16, width=16),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_read_or_refused(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data())
    if case.reason is None:
        picture = open_picture(path)
        assert picture.mode == "RGB"
        assert fit_picture(picture, CANVAS).shape == (16, 16, 3)
        return
    with pytest.raises(UnreadablePicture) as caught:
        fit_picture(open_picture(path), CANVAS)
    sentence = str(caught.value)
    assert re.search(case.reason, caught.value.reason), sentence
    assert "\n" not in sentence
    assert len(sentence) < 400
