"""Reading back: every file is held against the list; a stranger's release cannot mislead."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from catch11.errors import ReleaseError
from catch11.keys.key import Key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.releases.form import digest
from catch11.releases.lines import Lines
from catch11.releases.manifest import Entry, ManifestWriter, public_key
from catch11.releases.read import read_release, sources_of

Fill = Callable[..., Path]


@pytest.fixture
def dst(tmp_path: Path, fill: Fill, recoder: SpectralRecoder) -> Path:
    release(fill(tmp_path / "src", "a.png", "b.png", "c.png"), tmp_path / "dst", recoder)
    return tmp_path / "dst"


def test_facts_of_the_release(dst: Path, key: Key) -> None:
    held = read_release(dst, signer=public_key(key))
    assert (held.method, held.form.name, held.names, held.checked) == (
        "spectral",
        "png8",
        "keep",
        "",
    )
    assert held.key == key.fingerprint
    assert held.public_key == public_key(key)
    assert held.canvas == key.canvas
    assert len(held) == 3


def test_another_signer_is_refused(dst: Path) -> None:
    with pytest.raises(ReleaseError, match="signed by"):
        read_release(dst, signer="0" * 64)


@pytest.mark.parametrize("change", ["bytes", "missing", "folder", "swapped"])
def test_changed_files_are_noticed(dst: Path, change: str) -> None:
    held, path = read_release(dst), dst / "a.png"
    if change == "bytes":
        path.write_bytes(path.read_bytes() + b"x")
    elif change == "swapped":
        path.write_bytes((dst / "b.png").read_bytes())
    else:
        path.unlink()
        if change == "folder":
            path.mkdir()
    for read in (held.data, held.item, held.picture, lambda entry: held.windows([entry])):
        with pytest.raises(
            ReleaseError, match=r"a\.png: (its bytes are not|it is listed and cannot)"
        ):
            read(held.entries[0])
    assert held.windows(held.entries[1:]).shape == (2, 3, 16, 16)


def test_pictures_of_other_formats_are_clipped(tmp_path: Path, fill: Fill, key: Key) -> None:
    recoder = SpectralRecoder(key, psnr=8.0, format="tensor")
    release(fill(tmp_path / "src", "a.png"), tmp_path / "dst", recoder)
    held = read_release(tmp_path / "dst")
    image, picture = held.item(held.entries[0]), held.picture(held.entries[0])
    assert image.min() < 0.0
    assert picture.mode == "RGB"
    assert picture.size == (16, 16)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255
    assert (pixels - image.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6


def forged(dst: Path, key: Key, data: bytes, **header: object) -> Path:
    """A release whose author signs whatever they like."""
    dst.mkdir()
    facts = {
        "key": key.fingerprint, "method": "spectral", "format": "png8", "settings": "s",
        "names": "keep", "checked": "", "canvas": key.canvas.to_dict(),
    }  # fmt: skip
    (dst / "a.png").write_bytes(data)
    with Lines(dst / "manifest.jsonl", mode=0o600) as lines:
        writer = ManifestWriter(lines, key=key, header={**facts, **header})
        writer.add([Entry(file="a.png", sha256=digest(data))])
        writer.close()
    return dst


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"format": "jpeg"}, "header is not usable .format: expected one of"),
        ({"format": 5}, "its header lacks facts"),
        ({"method": None}, "its header lacks facts"),
        ({"canvas": None}, "its header lacks facts"),
        ({"canvas": {"height": 1 << 30}}, "header is not usable .canvas"),
        ({"canvas": 5}, "its header lacks facts"),
    ],
    ids=repr,
)
def test_signed_nonsense_is_refused(
    tmp_path: Path, key: Key, header: dict[str, object], reason: str
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        read_release(forged(tmp_path / "dst", key, b"x", **header))


def test_signed_files_are_still_strangers(tmp_path: Path, key: Key) -> None:
    held = read_release(forged(tmp_path / "dst", key, b"no picture"))
    with pytest.raises(ReleaseError, match=r"a\.png: it is not a picture in a known format"):
        held.item(held.entries[0])
    with pytest.raises(ReleaseError, match=r"a\.png: it is not a picture in a known format"):
        held.picture(held.entries[0])


def test_no_release_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no manifest can be read here"):
        read_release(tmp_path)


def test_sources_are_found_by_hash(dst: Path, tmp_path: Path) -> None:
    held = read_release(dst)
    rows = sources_of(held, tmp_path / "dst.ledger.jsonl")
    assert {file: row.source for file, row in rows.items()} == {
        "a.png": "a.png", "b.png": "b.png", "c.png": "c.png",
    }  # fmt: skip
