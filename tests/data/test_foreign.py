"""A file that no reader of pictures takes is called by its own name, with what to do about it."""

import gzip
import io
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catch11.data.foreign import foreign
from catch11.data.pictures import open_picture
from catch11.errors import UnreadablePicture


def zipped() -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.txt", "a")
    return held.getvalue()


def tarred() -> bytes:
    held = BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return held.getvalue()


def array() -> bytes:
    held = BytesIO()
    np.save(held, np.zeros(3))
    return held.getvalue()


FILES = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "raw file of a camera": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
    "video or a sound": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41",
    "video": b"RIFF\x24\0\0\0AVI LIST",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "Photoshop": b"8BPS\0\1",
    "PDF": b"%PDF-1.7\n",
    "DICOM": bytes(128) + b"DICM\2\0",
    "zip": zipped(),
    "tar": tarred(),
    "gzip": gzip.compress(b"a"),
    "NumPy": array(),
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "web page": b"\n<!DOCTYPE html><html><body>404</body></html>",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.mark.parametrize("name", FILES)
def test_the_reason_names_what_the_file_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / "IMG_1.jpg"
    path.write_bytes(FILES[name])
    with pytest.raises(UnreadablePicture) as caught:
        open_picture(path)
    assert name in caught.value.reason
    assert "known format" not in caught.value.reason


@pytest.mark.parametrize("data", [b"", b"hello", bytes(300), b"\0\0\0\x18ftypavif\0\0\0\0mif1"])
def test_what_nothing_tells_is_not_guessed(data: bytes) -> None:
    assert foreign(data) is None


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_no_picture_that_is_read_is_called_foreign(form: str) -> None:
    held = BytesIO()
    Image.new("RGB", (9, 9)).save(held, form)
    assert foreign(held.getvalue()) is None
