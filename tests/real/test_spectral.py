"""The main job on real models and files: release, re-read by stock pipelines, verify against rivals."""

import csv
import shutil
import tarfile
from pathlib import Path

import pytest
import torch

from catch11.data.pictures import open_picture
from catch11.errors import KeyMismatch
from catch11.evaluation.record import Record
from catch11.evaluation.verification import Verification
from catch11.evaluation.verify import verify
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release

pytestmark = pytest.mark.real

PHOTOS, THUMBNAILS = 24, 100


@pytest.fixture(scope="module")
def deit(assets: Path) -> Model:
    return load_picture_model(f"hf:{assets}/models/deit-tiny-patch16-224")


@pytest.fixture(scope="module")
def photos(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the labelled photographs, with a labels file beside the folder."""
    folder = tmp_path_factory.mktemp("nips") / "photos"
    folder.mkdir()
    source = assets / "images" / "nips2017"
    with open(source / "images.csv", encoding="utf-8") as file:
        classes = {row["ImageId"]: int(row["TrueLabel"]) - 1 for row in csv.DictReader(file)}
    chosen = sorted(source.glob("*.jpg"))[::20][:PHOTOS]
    for path in chosen:
        shutil.copy(path, folder)
    rows = [f"{path.stem},{classes[path.stem]}" for path in chosen]
    (folder.parent / "labels.csv").write_text("\n".join(["file,label", *rows]))
    return folder


@pytest.fixture(scope="module")
def released(deit: Model, photos: Path) -> Path:
    key = build_key(deit, secret=bytes(32))
    target = photos.parent / "released"
    summary = release(photos, target, SpectralRecoder(key, psnr=9.5), workers=2)
    assert summary.written == len(list(photos.glob("*.jpg")))
    return target


def value(found: Verification, role: str, condition: str) -> float:
    """The worst accuracy of a role's models, the best for the authorized one."""
    rows: list[Record] = [
        r for r in found.records if (r.role, r.condition, r.metric) == (role, condition, "accuracy")
    ]
    assert rows, (role, condition)
    return max(row.value for row in rows)


def test_photographs(deit: Model, photos: Path, released: Path, assets: Path) -> None:
    rivals = [load_picture_model(f"onnx:{assets}/models/{name}") for name in ("squeezenet1_1.onnx", "mobilenet_v2_1.0_224.onnx")]  # fmt: skip
    found = verify(
        released, deit, rivals=rivals, source=photos, labels=photos.parent / "labels.csv"
    )
    clean, kept = value(found, "authorized", "clean"), value(found, "authorized", "nte")
    assert kept >= clean - 0.09  # two of 24; the study of 500 is in docs/lab/spectral.md
    assert value(found, "ga", "nte") <= 0.15
    assert value(found, "ga", "clean") >= 0.5
    assert value(found, "authorized", "gaussian") <= clean - 0.3
    assert value(found, "authorized", "control") == clean


def test_stock_pipeline_reads_the_files(deit: Model, released: Path, assets: Path) -> None:
    from transformers import pipeline

    classify = pipeline("image-classification", model=str(assets / "models" / "deit-tiny-patch16-224"), device="cpu")  # fmt: skip
    files = sorted(released.glob("*.png"))[:6]
    logits = deit.logits(deit.preprocess([open_picture(file) for file in files]))
    for file, row in zip(files, logits, strict=True):
        first = classify(str(file), top_k=1)[0]
        assert first["label"] == deit.labels[int(row.argmax())]
        assert first["score"] == pytest.approx(float(row.softmax(0).max()), abs=1e-3)


def test_a_key_of_another_model_is_refused(deit: Model, assets: Path) -> None:
    other = load_picture_model(f"torch:{assets}/models/squeezenet1_1.safetensors")
    key = build_key(deit)
    with pytest.raises(KeyMismatch, match="built from another model"):
        key.check_front(other.front(), other.canvas)
    export = load_picture_model(f"onnx:{assets}/models/squeezenet1_1.onnx")
    build_key(other, rank=1000).check_front(export.front(), export.canvas)


def test_thumbnails(assets: Path, tmp_path: Path) -> None:
    """ResNet-20, an overlapping convolution: answers stay at 14 dB, the rival loses half of its own."""
    folder = tmp_path / "thumbnails"
    with tarfile.open(assets / "cifar10" / "cifar10_test_2000_jpeg.tar") as tar:
        files = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        for member in files[:: len(files) // THUMBNAILS][:THUMBNAILS]:
            target = folder / Path(member.name).relative_to("test")
            target.parent.mkdir(parents=True, exist_ok=True)
            handle = tar.extractfile(member)
            assert handle is not None
            target.write_bytes(handle.read())
    torch.manual_seed(0)
    model = load_picture_model(f"torch:{assets}/models/cifar10_resnet20.safetensors")
    rival = load_picture_model(f"torch:{assets}/models/cifar10_resnet32.safetensors")
    release(folder, tmp_path / "out", SpectralRecoder(build_key(model), psnr=13.5), workers=2)
    found = verify(tmp_path / "out", model, rivals=[rival], source=folder)
    kept = [r for r in found.records if r.metric == "agreement" and r.condition == "nte"]
    by_role = {r.role: r.value for r in kept}
    assert by_role["authorized"] >= 0.85
    assert min(v for role, v in by_role.items() if role != "authorized") <= 0.6
