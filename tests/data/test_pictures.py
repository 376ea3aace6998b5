"""Pictures: what is composited, turned and rounded; the fit equals the model's own resize."""

import os
import struct
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from transformers import CLIPImageProcessorPil, ConvNextImageProcessorPil, DeiTImageProcessorPil
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import load_image

from catch11.canvas.fit import Fit, Resample, Resize
from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.data import pictures
from catch11.data.pictures import decode_picture, fit_picture, open_picture, read_source
from catch11.errors import InvalidArgument, UnreadablePicture


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def cut_out() -> Image.Image:
    """Transparent at the left, half so at the right."""
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    half.putpixel((1, 0), (0, 90, 0, 128))
    return half


TRANSPARENT: dict[str, tuple[Image.Image, dict[str, Any]]] = {
    "RGBA": (cut_out(), {}),
    "LA": (cut_out().convert("LA"), {}),
    "a colour": (cut_out().convert("RGB"), {"transparency": (255, 0, 0)}),
    "a grey": (cut_out().convert("L"), {"transparency": 76}),
    "an entry": (cut_out().convert("RGB").quantize(2), {"transparency": 0}),
    "entries": (cut_out().convert("RGB").quantize(2), {"transparency": b"\0\x80"}),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_is_what_the_models_pipeline_sees(name: str, tmp_path: Path) -> None:
    picture, options = TRANSPARENT[name]
    path = save(picture, tmp_path / "a.png", **options)
    with pictures.quiet():
        wanted = np.asarray(load_image(str(path)))
    read = np.asarray(open_picture(path))
    np.testing.assert_array_equal(read, wanted)
    np.testing.assert_array_equal(read, np.asarray(picture.convert("RGB")))


def test_orientation_is_applied(tmp_path: Path) -> None:
    tall = Image.new("RGB", (4, 2))
    tall.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn it by 90 degrees clockwise
    read = open_picture(save(tall, tmp_path / "a.png", exif=exif))
    assert read.size == (2, 4)
    assert read.getpixel((1, 0)) == (255, 255, 255)


@given(st.integers(0, 65535))
def test_sixteen_bits_are_rounded(value: int) -> None:
    grey = Image.fromarray(np.full((1, 1), value, np.uint16))
    read = pictures._rgb(grey, samples=pictures._Samples())
    assert np.asarray(read)[0, 0, 0] == round(value / 257)


def test_colours_of_sixteen_bits_are_those_that_the_models_pipeline_sees(tmp_path: Path) -> None:
    """Pillow, with which those pipelines open files, drops the low byte; a level from rounding at most."""
    values = np.random.default_rng(0).integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), values[..., ::-1])
    read = np.asarray(open_picture(path))
    np.testing.assert_array_equal(read, np.asarray(load_image(str(path))))
    np.testing.assert_array_equal(read, values >> 8)
    assert abs(read - values / 257).max() < 1


GREYS = np.arange(0, 256, 5, dtype=np.uint32)[None]


def tiff(data: bytes, bits: int, *, white: int, signed: bool = False) -> bytes:
    """An uncompressed grey TIFF. white: PhotometricInterpretation, 0 where zero is white."""
    tags = [(256, GREYS.size), (257, 1), (258, bits), (259, 1), (262, white), (273, 0), (277, 1)]
    tags += [(278, 1), (279, len(data)), (339, 2 if signed else 1)]
    ends = {273: 8 + 2 + 12 * len(tags) + 4}
    rows = b"".join(struct.pack("<HHII", t, 4, 1, ends.get(t, value)) for t, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4) + data


def packed(values: np.ndarray, bits: int) -> bytes:
    if bits == 12:
        pairs = values.reshape(-1, 2)
        three = [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255]
        return np.stack(three, axis=1).astype(np.uint8).tobytes()
    return values.astype("<u2" if bits == 16 else np.uint8).tobytes()


@pytest.mark.parametrize(("bits", "white"), [(8, 1), (8, 0), (12, 1), (16, 1), (16, 0)])
def test_grey_tiffs_are_read_as_they_say_they_are(bits: int, white: int) -> None:
    top = (1 << bits) - 1
    values = np.round(GREYS / 255 * top).astype(np.uint32)
    data = tiff(packed(values if white else top - values, bits), bits, white=white)
    read = np.asarray(decode_picture(data))
    np.testing.assert_array_equal(read, np.repeat(GREYS[..., None], 3, axis=2))


def test_signed_samples_have_no_stated_range() -> None:
    with pytest.raises(UnreadablePicture, match="signed and have no stated range"):
        decode_picture(tiff(packed(GREYS, 8), 8, white=1, signed=True))


def test_first_of_a_stereo_pair_is_taken(tmp_path: Path) -> None:
    pair = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    path = save(pair[0], tmp_path / "a.mpo", save_all=True, append_images=pair[1:])
    assert open_picture(path).getpixel((4, 4)) == (255, 255, 255)


def long_texts(image: Image.Image, where: str, length: int, *, zipped: bool) -> bytes:
    """A picture that a text turns by 90 degrees clockwise, beside texts beyond Pillow's limit.
    length: of the text that turns it."""
    info, stream = PngInfo(), BytesIO()
    info.add_text("workflow", "x" * (3 << 20), zip=True)
    info.add_itxt("workflow", "x" * (3 << 20), zip=True)
    if where == "xmp":
        packet = '<x xmlns:tiff="t" tiff:Orientation="6"/>'.ljust(length)
        info.add_itxt("XML:com.adobe.xmp", packet, zip=zipped)
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        text = f"\nexif\n{length:8}\n{exif.tobytes().ljust(length // 2, bytes(1)).hex()}"
        info.add_text("Raw profile type exif", text, zip=zipped)
    image.save(stream, "PNG", pnginfo=info, icc_profile=bytes(3 << 20))
    return stream.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("length", [0, 3 << 20])
@pytest.mark.parametrize("where", ["xmp", "exif"])
def test_long_texts_and_profiles_do_not_stand_in_a_pictures_way(
    where: str, length: int, zipped: bool
) -> None:
    tall = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
    data = long_texts(tall, where, length, zipped=zipped)
    read = decode_picture(data)
    np.testing.assert_array_equal(np.asarray(read), np.rot90(np.asarray(tall), -1))
    for end in (20, len(data) - 30):
        with pytest.raises(UnreadablePicture, match=r"damaged|not a picture"):
            decode_picture(data[:end])


class Bad(NamedTuple):
    make: str
    reason: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad("missing", "cannot be read .No such file"),
        Bad("folder", "directory|regular"),
        Bad("pipe", "not a regular file"),
        Bad("device", "not a regular file"),
        Bad("loop", "symbolic links|cannot be read"),
        Bad("large", "larger than"),
        Bad("forbidden", "cannot be read .Permission denied"),
    ],
    ids=lambda bad: bad.make,
)
def test_source_is_a_readable_file(
    bad: Bad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    if bad.make == "folder":
        path.mkdir()
    elif bad.make == "pipe":
        os.mkfifo(path)
    elif bad.make == "device":
        path.symlink_to("/dev/zero")
    elif bad.make == "loop":
        path.symlink_to(path)
    elif bad.make == "large":
        path.write_bytes(b"12")
        monkeypatch.setattr(pictures, "MAX_BYTES", 1)
    elif bad.make == "forbidden":
        path.write_bytes(b"12")
        monkeypatch.setattr(pictures, "_open_now", _forbid)
    with pytest.raises(UnreadablePicture, match=bad.reason):
        read_source(path)


def _forbid(path: str, flags: int) -> int:
    raise PermissionError(13, "Permission denied", path)


def test_no_memory_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UnreadablePicture, match="more memory"):
        decode_picture(b"x")


class Pipeline(NamedTuple):
    name: str
    processor: PilBackend
    canvas: Canvas


def canvas(size: int, window: int, *, resize: Resize, resample: Resample) -> Canvas:
    start = (size - window) // 2
    fit = Fit(resize=resize, height=size, width=size, resample=resample)
    return Canvas(
        height=size, width=size, top=start, left=start, window_height=window, window_width=window,
        gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0), fit=fit,
    )  # fmt: skip


RAW: Any = {"do_rescale": False, "do_normalize": False}
PIPELINES = (
    Pipeline(
        "squash",
        DeiTImageProcessorPil(size={"height": 40, "width": 40}, crop_size=32, **RAW),
        canvas(40, 32, resize="exact", resample="bicubic"),
    ),
    Pipeline(
        "short",
        CLIPImageProcessorPil(size={"shortest_edge": 36}, crop_size=32, **RAW),
        canvas(36, 32, resize="short", resample="bicubic"),
    ),
    Pipeline(
        "odd margin",
        CLIPImageProcessorPil(size={"shortest_edge": 37}, crop_size=32, resample=2, **RAW),
        canvas(37, 32, resize="short", resample="bilinear"),
    ),
    Pipeline(
        "crop_pct",
        ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875, resample=1, **RAW),
        canvas(36, 32, resize="short", resample="lanczos"),
    ),
)


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
@given(size=st.tuples(st.integers(1, 90), st.integers(1, 90)), seed=st.integers(0, 2**32 - 1))
def test_fit_is_the_models_own_resize(pipeline: Pipeline, size: tuple[int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    wanted = np.asarray(pipeline.processor(picture, return_tensors="np")["pixel_values"][0])
    own = pipeline.canvas
    fitted = fit_picture(picture, own)
    assert fitted.shape == (own.height, own.width, 3)
    rows = slice(own.top, own.top + own.window_height)
    columns = slice(own.left, own.left + own.window_width)
    window = fitted[rows, columns].transpose(2, 0, 1)
    assert np.array_equal(window, wanted)
    # The law of the canvas: what was fitted passes the pipeline untouched.
    again = pipeline.processor(Image.fromarray(fitted), return_tensors="np")["pixel_values"][0]
    assert np.array_equal(again, window)


def test_fit_of_a_grey_canvas() -> None:
    own = plain_canvas(4, 4, mean=(0.0,), std=(1.0,))
    assert (fit_picture(Image.new("RGB", (4, 4), (9, 9, 9)), own) == 9).all()
    assert fit_picture(Image.new("RGB", (4, 4)), own).shape == (4, 4, 1)


def test_fit_refuses_what_is_no_picture() -> None:
    own = plain_canvas(4, 4, mean=(0.0, 0.0), std=(1.0, 1.0))
    with pytest.raises(InvalidArgument, match=r"canvas\.channels: expected 1 or 3, found 2"):
        fit_picture(Image.new("RGB", (4, 4)), own)


def test_fit_refuses_smaller_than_an_unresized_canvas() -> None:
    fit = Fit(resize="none", height=8, width=8)
    own = Canvas(
        height=8, width=8, top=0, left=0, window_height=8, window_width=8,
        gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0), fit=fit,
    )  # fmt: skip
    with pytest.raises(UnreadablePicture, match="at least 8 x 8 pixels"):
        fit_picture(Image.new("RGB", (7, 9)), own)
