"""Plugs given what users have: batches, formats, no picture, samples of 16 bits, labels that are none."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.data.labels import given_labels
from catch11.data.stores.archives import ZipSource
from catch11.errors import InvalidArgument, LabelsRefused, UnreadablePicture
from catch11.plugs.card import describe
from catch11.plugs.dataset import ReleaseDataset
from catch11.plugs.processor import RecodingImageProcessor
from catch11.plugs.transform import Recode
from catch11.releases.whole import release
from tests.plugs.test_plugs import COUNT, processor, recode, world
from tests.world import World

__all__ = ["processor", "recode", "world"]  # fixtures

hub = pytest.importorskip("datasets", reason="needs the extra datasets")


@pytest.mark.parametrize("decode", [True, False, None])
@pytest.mark.parametrize("options", [{"batch_size": 3}, {"batch_size": 1}])
def test_every_picture_of_a_batch_is_recoded(
    world: World, recode: Recode, decode: bool | None, options: dict[str, int]
) -> None:
    files = [path.read_bytes() for path in sorted(world.source.iterdir())]
    kind = hub.Value("binary") if decode is None else hub.Image(decode=decode)
    cells = files if decode is None else [{"bytes": data, "path": None} for data in files]
    rows = hub.Dataset.from_dict(
        {"image": cells, "label": [*range(COUNT)]},
        features=hub.Features({"image": kind, "label": hub.Value("int64")}),
    )
    made = rows.map(recode, batched=True, load_from_cache_file=False, **options)
    streamed = rows.to_iterable_dataset().map(recode, batched=True, **options)
    for found in (made, streamed):
        assert [row["label"] for row in found] == [*range(COUNT)]
        for row, data in zip(found, files, strict=True):
            cell = row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
            picture = Image.open(io.BytesIO(cell)) if isinstance(cell, bytes) else cell
            meant = Image.open(io.BytesIO(recode(data)))
            assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(meant))


def test_a_second_picture_is_not_handed_on_as_it_is(world: World, recode: Recode) -> None:
    data = (world.source / "00.png").read_bytes()
    picture = Image.open(io.BytesIO(data))
    for pair in ([data, data], (picture, picture), (data, 3, picture)):
        with pytest.raises(InvalidArgument, match=r"expected one picture.*found 2 pictures"):
            recode(pair)
    with pytest.raises(InvalidArgument, match="found 2 pictures"):
        recode(picture, picture)
    assert recode((data, 3)) == (recode(data), 3)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (None, UnreadablePicture, "there is none"),
        ({"image": None, "label": 1}, UnreadablePicture, "there is none"),
        ({"image": {"bytes": None, "path": None}}, UnreadablePicture, "there is none"),
        ({"image": [None]}, UnreadablePicture, "there is none"),
        (np.zeros((4, 4, 3), np.uint8), InvalidArgument, "or a uint8 tensor, found ndarray"),
        (3, InvalidArgument, "found int"),
        ([], InvalidArgument, "found 0 pictures"),
    ],
    ids=repr,
)
def test_what_is_no_picture(given: Any, error: type[Exception], words: str, recode: Recode) -> None:
    with pytest.raises(error, match=words):
        recode(given)


def odd(fmt: str, pixels: Any = None, **options: Any) -> bytes:
    data = io.BytesIO()
    levels = (np.arange(40 * 30).reshape(30, 40) * 54).astype(np.uint16)
    picture = Image.fromarray(levels) if pixels is None else pixels
    picture.save(data, fmt, **options)
    return data.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    levels = np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3)
    return odd("JPEG", Image.fromarray(levels), exif=exif)


GREY = (np.arange(40 * 30).reshape(30, 40) * 54).astype(np.uint16)
READ = {
    "16 bits": odd("PNG"),
    "16 bits of a PGM": b"P5 40 30 65535\n" + GREY.astype(">u2").tobytes(),
    "turned": turned(),
    "palette": odd("PNG", Image.fromarray(GREY.astype(np.uint8)).convert("P")),
    "CMYK": odd("JPEG", Image.fromarray(GREY.astype(np.uint8)).convert("CMYK")),
}
REFUSED = {
    "32 bits": (odd("TIFF", Image.fromarray(GREY.astype(np.int32))), "signed and have no"),
    "floats": (odd("TIFF", Image.fromarray(GREY.astype(np.float32))), "mode F has no stated"),
    "frames": (
        odd("GIF", Image.new("L", (40, 30)), save_all=True, append_images=[Image.new("L", (40, 30), 9)]),
        "2 frames",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_an_opened_picture_is_recoded_as_its_file(name: str, recode: Recode) -> None:
    meant = Image.open(io.BytesIO(recode(READ[name])))
    with Image.open(io.BytesIO(READ[name])) as picture:
        assert np.array_equal(np.asarray(recode(picture)), np.asarray(meant))


@pytest.mark.parametrize("name", REFUSED)
def test_an_opened_picture_is_refused_as_its_file(name: str, recode: Recode) -> None:
    data, reason = REFUSED[name]
    with Image.open(io.BytesIO(data)) as picture:
        for one in (data, picture):
            with pytest.raises(UnreadablePicture, match=reason):
                recode(one)


def test_labels_are_indices_of_classes(world: World) -> None:
    for label in (2, -1):
        with pytest.raises(
            LabelsRefused, match=rf"{label} of 00\.png is no class index from 0 to 1"
        ):
            describe(world.released, labels={"00.png": label}, names=["x", "y"])
        with pytest.raises(LabelsRefused, match="is no class index"):
            ReleaseDataset(world.released, labels={"00.png": label}, names=["x", "y"])
    with pytest.raises(LabelsRefused, match=r"'x' of a is no class index \(0 or more\)"):
        given_labels({"a": "x"})
    assert given_labels({"a": np.int64(7)}).rows == {"a": 7}
    with pytest.raises(InvalidArgument, match=r"names: expected .* found 'NA'"):
        describe(world.released, labels={"00.png": 0}, names=["NA", "US"])
    for names in (["007", "x"], ["1.5", "x"], ["true", "x"]):
        with pytest.raises(InvalidArgument, match=f"take for numbers, found {names[0]}"):
            describe(world.released, labels={"00.png": 0}, names=names)
    assert not (world.released / "README.md").exists()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("dst", ["out", "out.zip", "out.tar"])
def test_loaders_with_workers(dst: str, world: World, recode: Recode, tmp_path: Path) -> None:
    release(world.source, tmp_path / dst, recode.recoder)
    data = ReleaseDataset(tmp_path / dst, labels=world.labels, transform=np.array)
    again = pickle.loads(pickle.dumps(data))
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2)
    for meant, one, (picture, label) in zip(
        map(data.__getitem__, range(COUNT)),
        map(again.__getitem__, range(COUNT)),
        loader,
        strict=True,
    ):
        assert meant[1] == one[1] == label
        assert np.array_equal(meant[0], one[0])
        assert np.array_equal(meant[0], picture)


def test_a_worker_reads_a_zip_by_a_handle_of_its_own(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"bytes")
    source = ZipSource(tmp_path / "a.zip")
    held = source._zip
    assert source.data("a.png") == b"bytes"
    assert source._zip is held
    source._process = -1  # as a fork finds it
    assert source.data("a.png") == b"bytes"
    assert source._zip is not held
    held.close()
    source.close()


def test_the_processor_takes_pictures_alone(processor: Any, world: World, tmp_path: Path) -> None:
    from catch11.keys.file import save_key

    save_key(world.key, tmp_path / "my.key")
    own = RecodingImageProcessor(processor, tmp_path / "my.key", psnr=9.0)
    path = world.source / "00.png"
    for given in (str(path), path, path.read_bytes(), np.zeros((4, 4, 3), np.uint8), [None]):
        with pytest.raises(InvalidArgument, match="images: expected one or several pictures of"):
            own(given)
    with Image.open(path) as picture:
        one, two = (own(given, return_tensors="pt")["pixel_values"] for given in (picture, (picture,)))  # fmt: skip
    assert torch.equal(one, two)
    own.save_pretrained(tmp_path / "saved")
    for name in ("preprocessor_config.json", "processor_config.json"):
        (tmp_path / "saved" / name).unlink(missing_ok=True)
    with pytest.raises(InvalidArgument, match="folder: expected a folder that save_pretrained"):
        RecodingImageProcessor.from_pretrained(tmp_path / "saved")
