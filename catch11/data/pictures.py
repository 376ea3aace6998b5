"""Pictures from outside, treated as hostile, brought to the canvas as the model's own resize does.

Stated choices: the content decides the format, not the suffix; EXIF orientation is applied; alpha
and colour profiles are ignored, as stock pipelines ignore them, so what is behind transparent places
shows; 16-bit grey samples are rounded to 8 and 16-bit colours lose their low byte, as in those
pipelines; of a stereo JPEG (MPO) the first picture is taken, while animations and
multi-page files are refused, because one released file cannot stand for many pictures.
"""

import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from catch11.canvas.frame import Canvas
from catch11.data.foreign import foreign
from catch11.errors import InvalidArgument, UnreadablePicture

# Formats that Pillow decodes itself; EPS and the like would start an external program.
FORMATS = (
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PCX",
    "PNG",
    "PPM",
    "TIFF",
    "WEBP",
)
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif",
     ".ico", ".jp2", ".j2k", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"}
)  # fmt: skip
MAX_PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gibibyte of RGB
MAX_BYTES = 1 << 28
_EIGHT_BIT = "1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"
_WHITE_IS_ZERO = 0  # TIFF 6.0, PhotometricInterpretation
PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_TURNING = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_LONGEST = 1 << 24  # characters of a text that says which side is up
_XMP_TURN = re.compile(rb'tiff:Orientation(?:="|>)[0-9]')
_RESAMPLE = {name: Image.Resampling[name.upper()] for name in
             ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")}  # fmt: skip


def open_picture(path: str | os.PathLike[str]) -> Image.Image:
    """The picture in a file: RGB, upright, one frame, at most MAX_PIXELS pixels.

    Raises UnreadablePicture, whose `reason` is one clause, whatever is wrong with the file.
    """
    data = read_source(path)
    with quiet():
        return decode_picture(data, path=path)


def read_source(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file; raises UnreadablePicture for anything else."""
    try:
        # A pipe or a device would block or never end.
        with open(path, "rb", opener=_open_now) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UnreadablePicture(path, "it is not a regular file")
            if facts.st_size > MAX_BYTES:
                raise UnreadablePicture(path, f"it is larger than {MAX_BYTES >> 20} MiB")
            data = file.read(MAX_BYTES)
    except UnreadablePicture:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadablePicture(path, f"it cannot be read ({reason})") from None
    if not data:
        raise UnreadablePicture(path, "it is empty")
    return data


def _open_now(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode_picture(data: bytes | Image.Image, *, path: object = "picture") -> Image.Image:
    """As `open_picture`, of bytes or of what Pillow opened. Pillow's warnings pass through: wrap calls in `quiet`."""
    with _opened(data, path) as image:
        image.load()
        return _rgb(_upright(image), samples=_samples(image))


def picture_size(data: bytes, *, path: object = "picture") -> tuple[int, int]:
    """Width and height that a picture states, of which no pixel is decoded. Raises UnreadablePicture."""
    with _opened(data, path) as image:
        return image.size


@contextmanager
def _opened(data: bytes | Image.Image, path: object) -> Iterator[Image.Image]:
    """A picture as Pillow opens it; whatever is wrong with it, then or in the block, is one reason."""
    try:
        with (
            Image.open(BytesIO(_without_texts(data)), formats=FORMATS)
            if isinstance(data, bytes)
            else nullcontext(data)
        ) as image:
            reason = _refusal(image)
            if reason is None:
                yield image
                return
    except Image.UnidentifiedImageError:
        reason = (
            isinstance(data, bytes) and foreign(data)
        ) or "it is not a picture in a known format"
    except Image.DecompressionBombError:
        reason = f"it has more than {MAX_PIXELS} pixels"
    except MemoryError:
        reason = "it needs more memory than there is"
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen types on damaged bytes
        reason = f"it is damaged ({_clause(error)})"
    raise UnreadablePicture(path, reason) from None


def fit_picture(picture: Image.Image, canvas: Canvas) -> UInt8[np.ndarray, "height width channel"]:
    """The picture at canvas size, exactly as the model's own pipeline resizes it.

    RGB, or grey for a canvas of one channel. The window the model sees of it is bit for bit the
    one it would have cut from the picture itself. Raises UnreadablePicture for a picture that
    cannot be brought to that size, and InvalidArgument for a canvas of 2 or 4 channels.
    """
    if canvas.channels not in (1, 3):
        raise InvalidArgument("canvas.channels", expected="1 or 3", found=canvas.channels)
    picture = picture.convert("RGB" if canvas.channels == 3 else "L")
    height, width = canvas.fit.target(picture.height, picture.width)
    if height * width > MAX_PIXELS:
        raise UnreadablePicture("picture", f"resized it would be {width} x {height} pixels")
    if (width, height) != picture.size:
        picture = picture.resize((width, height), resample=_RESAMPLE[canvas.fit.resample])
    if canvas.fit.resize == "inside":
        picture = _letterbox(picture, canvas)
    try:
        top, left = canvas.cut(picture.height, picture.width)
    except InvalidArgument as error:
        raise UnreadablePicture("picture", str(error).rstrip(".")) from None
    box = (left, top, left + canvas.width, top + canvas.height)
    pixels = np.array(picture.crop(box), dtype=np.uint8)
    return pixels.reshape(canvas.height, canvas.width, canvas.channels)


def _letterbox(picture: Image.Image, canvas: Canvas) -> Image.Image:
    """The picture in the middle of a canvas of the colour that the model reads as zero."""
    colour = tuple(round(255 * min(max(value, 0.0), 1.0)) for value in canvas.neutral)
    size = (canvas.fit.width, canvas.fit.height)
    whole = Image.new(picture.mode, size, colour if len(colour) > 1 else colour[0])
    left, top = ((a - b) // 2 for a, b in zip(size, picture.size, strict=True))
    whole.paste(picture, (left, top))
    return whole


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings on odd files. Python keeps the filters for the whole process, so
    threads enter this once, together, from outside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _without_texts(data: bytes) -> bytes:
    """A PNG without its colour profile and texts, which no pixel needs and which Pillow refuses
    beyond a mebibyte; of those that can say which side is up that stays. Other bytes as they are."""
    if not data.startswith(PNG):
        return data
    kept, place = [PNG], len(PNG)
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        chunk = data[place : place + size + 12]
        if kind not in _TEXTS:
            kept.append(chunk)
        elif chunk[8:].startswith(_TURNING):
            kept.append(_turn(kind, chunk[8:-4]))
        place += size + 12
    return b"".join(kept) + data[place:]


def _turn(kind: bytes, body: bytes) -> bytes:
    """What a PNG's text says of its orientation, as a chunk that Pillow reads; none without any."""
    name, _, rest = body.partition(b"\0")
    if kind == b"iTXt" and len(rest) > 2:
        packed, text = rest[0] == 1, rest[2:].split(b"\0", 2)[-1]
    else:
        packed, text = kind == b"zTXt", rest[1:] if kind == b"zTXt" else rest
    try:
        text = zlib.decompressobj().decompress(text, _LONGEST) if packed else text
        if name == b"XML:com.adobe.xmp":
            found = _XMP_TURN.search(text)
            return b"" if found is None else chunk(b"iTXt", name + bytes(5) + found[0])
        return chunk(b"eXIf", bytes.fromhex("".join(text.decode("ascii").split("\n")[3:])))
    except (zlib.error, ValueError):
        return b""


def chunk(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _refusal(image: Image.Image) -> str | None:
    width, height = image.size
    if width * height == 0:
        return "it has no pixels"
    if width * height > MAX_PIXELS:
        return f"it has more than {MAX_PIXELS} pixels"
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        return f"it holds {frames} frames or pages and one is expected"
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - broken metadata says nothing about the pixels
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class _Samples:
    """What a file says of its grey samples beyond 8 bits: the greatest one, whether that is black."""

    top: int = 65535
    negative: bool = False
    wide: bool = False


def _samples(image: Image.Image) -> _Samples:
    # Pillow reads 16-bit PGM, and nothing narrower, into 32-bit samples; of a TIFF's samples beyond
    # 8 bits it heeds neither how many bits they have nor what they call white.
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return _Samples(wide=image.format == "PPM")
    if 2 in tags.get(SAMPLEFORMAT, ()):
        raise ValueError("its samples are signed and have no stated range")
    negative = tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
    return _Samples(top=(1 << tags.get(BITSPERSAMPLE, (1,))[0]) - 1, negative=negative)


def _rgb(image: Image.Image, *, samples: _Samples) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and samples.wide):
        values = np.asarray(image).astype(np.uint32)
        values = samples.top - values if samples.negative else values
        grey = (values * 255 + samples.top // 2) // samples.top
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode not in _EIGHT_BIT:
        raise ValueError(f"colour mode {image.mode} has no stated range")
    return image.convert("RGB")


def _clause(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text[:120] or type(error).__name__
