"""What a file is that no reader of pictures here takes: its kind by its first bytes, for the reason given."""

from typing import NamedTuple

CONVERT = "save it as PNG or JPEG first"
_BRANDS = 64  # bytes in which an ISO base media file names what it is compatible with


class Sign(NamedTuple):
    """A kind of file: the bytes at a place that tell it, what it is, and what its owner can do."""

    at: int
    magic: bytes
    what: str
    do: str = CONVERT


SIGNS = (
    Sign(
        0, b"version https://git-lfs", "a pointer of Git LFS", "fetch the files with git lfs pull"
    ),
    Sign(0, b"\xff\x0a", "a JPEG XL picture"),
    Sign(0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    Sign(0, b"8BPS", "a Photoshop document"),
    Sign(0, b"%PDF", "a PDF document"),
    Sign(0, b"%!PS", "a PostScript document"),
    Sign(0, b"#?RADIANCE", "a Radiance HDR picture"),
    Sign(0, b"v/1\x01", "an OpenEXR picture"),
    Sign(0, b"FUJIFILMCCD-RAW", "a raw file of a camera"),
    Sign(0, b"IIRO", "a raw file of a camera"),
    Sign(0, b"IIU\0", "a raw file of a camera"),
    Sign(0, b"qoif", "a QOI picture"),
    Sign(0, b"gimp xcf", "a GIMP document"),
    Sign(0, b"SIMPLE  =", "a FITS picture"),
    Sign(128, b"DICM", "a DICOM file"),
    Sign(0, b"\x1aE\xdf\xa3", "a video", "take pictures out of it first"),
    Sign(0, b"RIFF....AVI ", "a video", "take pictures out of it first"),
    Sign(0, b"PK\x03\x04", "a zip archive or an office document", "unpack it first"),
    Sign(0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    Sign(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    Sign(257, b"ustar", "a tar archive", "unpack it first"),
    Sign(0, b"\x89HDF\r\n", "an HDF5 file"),
    Sign(0, b"\x93NUMPY", "a NumPy array"),
)


def foreign(data: bytes) -> str | None:
    """One clause on what `data` is and what to do with it, or None where nothing known tells."""
    if data[4:8] == b"ftyp":
        return _media(data[8:_BRANDS])
    for sign in SIGNS:
        found = data[sign.at : sign.at + len(sign.magic)]
        if len(found) == len(sign.magic) and all(
            want in (have, ord(".")) for have, want in zip(found, sign.magic, strict=True)
        ):
            return f"it is {sign.what}, which is not read: {sign.do}"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, no picture: a download may have failed"
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in data[:4096].lower():
        return f"it is an SVG drawing, which is not read: {CONVERT}"
    return None


def _media(brands: bytes) -> str | None:
    if b"avif" in brands:
        return None
    if any(brand in brands for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1")):
        return f"it is a HEIC (HEIF) picture, which is not read: {CONVERT}"
    if b"crx " in brands:
        return f"it is a raw file of a camera, which is not read: {CONVERT}"
    return "it is a video or a sound, which is not read here: take pictures out of it first"
