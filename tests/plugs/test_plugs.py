"""Plugs: what loaders, transforms, processors and catalogues of others make of releases and recoders."""

import gc
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import catch11
from catch11.errors import InvalidArgument, KeyMismatch, LabelsRefused, UnreadablePicture
from catch11.keys.file import save_key
from catch11.keys.key import build_key
from catch11.plugs.card import describe
from catch11.plugs.dataset import ReleaseDataset
from catch11.plugs.processor import RecodingImageProcessor
from catch11.plugs.transform import Recode
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release
from catch11.releases.whole import release
from tests.world import CLASSES, World, build_world

pa = pytest.importorskip("pyarrow", reason="needs the extra tables")
COUNT = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(tmp_path_factory.mktemp("plugs"), count=COUNT)


@pytest.fixture
def recode(world: World) -> Recode:
    return Recode(SpectralRecoder(world.key, psnr=9.0))


def test_the_transform_gives_the_released_bytes(world: World, recode: Recode) -> None:
    for path in sorted(world.source.iterdir()):
        meant = (world.released / path.name).read_bytes()
        assert recode(path) == recode(path.read_bytes()) == meant
        with Image.open(path) as picture:
            pixels = np.asarray(picture)
            assert np.array_equal(
                np.asarray(recode(picture)), np.asarray(Image.open(world.released / path.name))
            )
        tensor = recode(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
        assert np.array_equal(tensor.permute(1, 2, 0).numpy(), np.asarray(recode(Image.open(path))))
    row = recode({"image": {"bytes": path.read_bytes(), "path": "a.jpg"}, "label": 3})
    assert row == {"image": {"bytes": meant, "path": None}, "label": 3}
    assert recode({"image": path.read_bytes(), "label": 3})["image"] == meant
    with pytest.raises(InvalidArgument, match="expected a column image, found text"):
        recode({"text": "a"})
    with pytest.raises(UnreadablePicture, match="not a picture in a known format"):
        recode(b"no picture")
    with pytest.raises(InvalidArgument, match="a uint8 tensor"):
        recode(torch.zeros(3, 4, 4))
    assert world.key.secret.hex() not in repr(recode)


def test_map_of_datasets_is_recode(world: World, recode: Recode, tmp_path: Path) -> None:
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    files = sorted(world.source.iterdir())
    features = hub.Features({"image": hub.Image(), "label": hub.Value("int64")})
    rows = {
        "image": [{"bytes": one.read_bytes(), "path": None} for one in files],
        "label": [*range(COUNT)],
    }
    given = hub.Dataset.from_dict(rows, features=features)
    plain = given.cast_column("image", hub.Image(decode=False))
    mapped = plain.map(recode, load_from_cache_file=False)
    decoded = given.map(recode, load_from_cache_file=False).cast_column("image", hub.Image())
    given.save_to_disk(tmp_path / "in")
    release(tmp_path / "in", tmp_path / "out", recode.recoder)
    made = hub.load_from_disk(str(tmp_path / "out"))
    assert made.features == features
    for one, two, three in zip(
        mapped, made.cast_column("image", hub.Image(decode=False)), decoded, strict=True
    ):
        assert one["image"]["bytes"] == two["image"]["bytes"]
        assert one["label"] == two["label"] == three["label"]
        assert np.array_equal(np.asarray(three["image"]), np.asarray(made[one["label"]]["image"]))


def test_a_release_as_a_torch_data_set(world: World, tmp_path: Path) -> None:
    data = ReleaseDataset(
        world.released, labels=world.labels, transform=lambda picture: picture.size
    )
    assert len(data) == COUNT
    assert [data[index] for index in range(COUNT)] == [
        ((28, 28), index % CLASSES) for index in range(COUNT)
    ]
    loader = torch.utils.data.DataLoader(
        ReleaseDataset(
            world.released, labels=world.labels, transform=lambda p: np.asarray(p).copy()
        ),
        batch_size=4,
    )
    pixels, labels = next(iter(loader))
    assert pixels.shape == (4, 28, 28, 3)
    assert labels.tolist() == [0, 1, 2, 3]
    bare = ReleaseDataset(world.released)
    assert bare[0][1] is None
    release(world.source, tmp_path / "float", SpectralRecoder(world.key, psnr=9.0, format="tensor"))
    window, _ = ReleaseDataset(tmp_path / "float")[0]
    assert window.shape == (3, 24, 24)
    (tmp_path / "float" / "00.safetensors").write_bytes(b"x")
    with pytest.raises(catch11.Catch11Error, match="not the ones listed"):
        ReleaseDataset(tmp_path / "float")[0]


def test_labels_beside_the_pictures_of_tables_and_shards(world: World, tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    from tests.releases.test_stores import write_tar

    shots = [path.read_bytes() for path in sorted(world.source.iterdir())]
    names = ["a", "b", "c", "d"]
    columns = {
        "image": shots,
        "label": [names[n % CLASSES] for n in range(COUNT)],
        "n": [*range(COUNT)],
    }
    parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    recoder = SpectralRecoder(world.key, psnr=9.0)
    release(tmp_path / "in.parquet", tmp_path / "out.parquet", recoder, names="opaque")
    data = ReleaseDataset(tmp_path / "out.parquet", column="label", names=names)
    assert data.labels == tuple(n % CLASSES for n in range(COUNT))
    assert ReleaseDataset(tmp_path / "out.parquet", column="n").labels == tuple(range(COUNT))
    with pytest.raises(LabelsRefused, match=r"'a' beside .* is no class; give the names"):
        ReleaseDataset(tmp_path / "out.parquet", column="label")
    with pytest.raises(LabelsRefused, match="nothing called z lies beside"):
        ReleaseDataset(tmp_path / "out.parquet", column="z")
    with pytest.raises(LabelsRefused, match="nothing called label lies beside"):
        ReleaseDataset(world.released, column="label")
    members = {
        f"{n}.{field}": {"jpg": shots[n], "cls": b"%d" % n}[field]
        for n in range(4)
        for field in ("jpg", "cls")
    }
    write_tar(tmp_path / "in" / "s.tar", members)
    release(tmp_path / "in", tmp_path / "out", recoder)
    assert ReleaseDataset(tmp_path / "out", column="cls").labels == (0, 1, 2, 3)


@pytest.fixture
def processor() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.ViTImageProcessor(
        do_resize=True, size={"height": 28, "width": 28}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def test_the_owners_processor_reads_what_the_licensees_will(processor: Any, tmp_path: Path) -> None:
    import transformers

    from catch11.canvas.frame import Canvas, Fit

    canvas = Canvas(
        height=28, width=28, top=0, left=0, window_height=28, window_width=28, gain=(2.0,) * 3,
        offset=(-1.0,) * 3, fit=Fit(resize="exact", height=28, width=28, resample="bilinear"),
    )  # fmt: skip
    key = build_key(
        torch.nn.Conv2d(3, 6, 7, stride=7), canvas=canvas, secret=bytes(range(32)), rank=100
    )
    save_key(key, tmp_path / "my.key")
    own = RecodingImageProcessor(processor, tmp_path / "my.key", psnr=12.0)
    generator = np.random.default_rng(0)
    pictures = [
        Image.fromarray(generator.integers(60, 190, (31, 40, 3), dtype=np.uint8)) for _ in range(2)
    ]
    (tmp_path / "src").mkdir()
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / "src" / f"{number}.png")
    release(tmp_path / "src", tmp_path / "out", SpectralRecoder(key, psnr=12.0))
    own.save_pretrained(tmp_path / "saved")
    stock = transformers.AutoImageProcessor.from_pretrained(tmp_path / "saved")
    released = [Image.open(tmp_path / "out" / f"{n}.png").convert("RGB") for n in range(2)]
    expected = stock(images=released, return_tensors="pt")["pixel_values"]
    again = RecodingImageProcessor.from_pretrained(tmp_path / "saved")
    for one in (own, again):
        assert torch.equal(one(pictures, return_tensors="pt")["pixel_values"], expected)
    assert torch.equal(
        own.preprocess(pictures[0], return_tensors="pt")["pixel_values"], expected[:1]
    )
    # Nothing of the key is in what was saved.
    saved = b"".join(path.read_bytes() for path in (tmp_path / "saved").iterdir())
    facts = json.loads((tmp_path / "saved" / "catch11.json").read_text())
    assert facts == {
        "version": 1, "key_file": str(tmp_path / "my.key"), "key": key.fingerprint, "options": {"psnr": 12.0},
    }  # fmt: skip
    assert key.secret not in saved
    assert key.secret.hex().encode() not in saved
    assert key.secret.hex() not in repr(own)
    other = build_key(torch.nn.Conv2d(3, 6, 7, stride=7), canvas=canvas, rank=100)
    save_key(other, tmp_path / "other.key")
    with pytest.raises(KeyMismatch, match="expected key"):
        RecodingImageProcessor.from_pretrained(tmp_path / "saved", key_file=tmp_path / "other.key")
    with pytest.raises(InvalidArgument, match="a folder that save_pretrained wrote"):
        RecodingImageProcessor.from_pretrained(tmp_path / "src")
    with pytest.raises(InvalidArgument, match="tag: expected a number or a word, found list"):
        RecodingImageProcessor(processor, tmp_path / "my.key", tag=[1])


@pytest.mark.parametrize("name", ["model", "passphrase", "copy", "psnr"])
def test_a_saved_file_that_was_edited_is_refused(
    processor: Any, tmp_path: Path, name: str, world: World
) -> None:
    save_key(world.key, tmp_path / "my.key")
    RecodingImageProcessor(processor, tmp_path / "my.key").save_pretrained(tmp_path)
    path = tmp_path / "catch11.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"options": {name: [1]}}))
    with pytest.raises(InvalidArgument, match=f"expected .*, found ({name}|list)"):
        RecodingImageProcessor.from_pretrained(tmp_path)


def described(world: World, out: Path, *, labelled: bool) -> dict[str, int] | None:
    """A release with its descriptions; labels by its files."""
    names = "opaque" if labelled else "keep"
    release(world.source, out, SpectralRecoder(world.key, psnr=9.0), names=names)  # type: ignore[arg-type]
    rows = {
        row.file: int(row.source[:2]) % CLASSES for row in read_ledger(Path(f"{out}.ledger.jsonl"))
    }
    paths = describe(out, name="a set", labels=rows if labelled else None, licence="cc-by-4.0")
    assert [path.name for path in paths] == ["README.md", "metadata.csv", "croissant.json"]
    assert b"photos" not in b"".join(path.read_bytes() for path in paths)
    # The list is as it was, and a run that resumes accepts what lies beside it.
    again = release(world.source, out, SpectralRecoder(world.key, psnr=9.0), names=names)  # type: ignore[arg-type]
    assert (again.written, again.reused) == (0, COUNT)
    return rows if labelled else None


# `datasets` leaves the file open that it reads labels from.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("labelled", [False, True])
def test_a_described_release_is_loaded_by_datasets(
    world: World, tmp_path: Path, labelled: bool
) -> None:
    hub = pytest.importorskip("datasets", reason="needs the extra datasets")
    out = tmp_path / "out"
    rows = described(world, out, labelled=labelled)
    found = hub.load_dataset(str(out), cache_dir=str(tmp_path / "cache"), split="train")
    held = read_release(out)
    assert len(found) == len(held) == COUNT
    files = {np.asarray(held.picture(entry)).tobytes(): entry.file for entry in held.entries}
    for row in found:
        file = files[np.asarray(row["image"]).tobytes()]
        assert row.get("label") == (None if rows is None else rows[file])
    del found
    gc.collect()


# What checks the description warns of its own parts, and leaves files open.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlcroissant")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("labelled", [False, True])
def test_croissant_reads_its_description(
    world: World, tmp_path: Path, labelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    croissant = pytest.importorskip(
        "mlcroissant", reason="pip install mlcroissant to check descriptions"
    )
    rows = described(world, tmp_path / "out", labelled=labelled)
    monkeypatch.chdir(tmp_path / "out")
    found = croissant.Dataset(jsonld="croissant.json")
    assert not found.metadata.ctx.issues.errors
    records = list(found.records("files"))
    names = [row["files/file_name"].decode() for row in records]
    assert sorted(names) == sorted(entry.file for entry in read_release(tmp_path / "out").entries)
    if rows is not None:
        assert {name: row["files/label"] for name, row in zip(names, records, strict=True)} == rows
    del found, records
    gc.collect()


def test_only_folders_of_pictures_are_described(world: World, tmp_path: Path) -> None:
    release(world.source, tmp_path / "out.zip", SpectralRecoder(world.key, psnr=9.0))
    with pytest.raises(InvalidArgument, match="a folder of released PNG files"):
        describe(tmp_path / "out.zip")


def test_a_transform_goes_to_workers(recode: Recode, world: World) -> None:
    again = pickle.loads(pickle.dumps(recode))
    path = world.source / "00.png"
    assert again(path) == recode(path)
