"""Verification and attacks on a real model, photographs and rivals: few, so wide bounds."""

import csv
from pathlib import Path
from typing import NamedTuple

import pytest

from catch11.attacks import Effort, attack_release
from catch11.baselines import published
from catch11.evaluation.verify import verify
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release

pytestmark = pytest.mark.real
JUDGED = 12


class Real(NamedTuple):
    source: Path
    released: Path
    labels: Path
    public: Path
    key: Key
    model: Model
    rival: Model


@pytest.fixture(scope="module")
def real(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Real:
    """Twelve labelled photographs recoded at 10 dB for DeiT-tiny; 30 others are public."""
    root = tmp_path_factory.mktemp("real")
    folder = assets / "images" / "nips2017"
    with (folder / "images.csv").open(newline="") as file:
        rows = {row["ImageId"]: int(row["TrueLabel"]) - 1 for row in csv.DictReader(file)}
    photos = sorted(path for path in folder.rglob("*.jp*g") if path.stem in rows)
    for name, chosen in (("source", photos[:JUDGED]), ("public", photos[JUDGED : JUDGED + 30])):
        (root / name).mkdir()
        for path in chosen:
            (root / name / path.name).symlink_to(path)
    with (root / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        table.writerows([path.name, rows[path.stem]] for path in photos[:JUDGED])
    model = load_picture_model(f"hf:{assets / 'models' / 'deit-tiny-patch16-224'}")
    rival = load_picture_model(f"onnx:{assets / 'models' / 'mobilenet_v2_1.0_224.onnx'}")
    key = build_key(model, secret=bytes(range(32)))
    release(root / "source", root / "out", SpectralRecoder(key, psnr=10.0))
    return Real(
        root / "source", root / "out", root / "labels.csv", root / "public", key, model, rival
    )


def test_a_real_release_is_specific(real: Real) -> None:
    found = verify(
        real.released, real.model, rivals=[real.rival], labels=real.labels, source=real.source,
        key=real.key, max_drop=0.1, max_rival=0.4,
    )  # fmt: skip
    assert found.problems == ()
    assert not found.failed
    value = {(r.model, r.condition, r.metric): r.value for r in found.records}
    ours, rival = real.model.name, real.rival.name
    assert value[ours, "nte", "agreement"] >= 0.9
    assert value[ours, "gaussian", "accuracy"] <= 0.5
    assert value[rival, "clean", "accuracy"] >= 0.6
    assert value[rival, "control", "accuracy"] == value[rival, "clean", "accuracy"]


@pytest.mark.slow
def test_the_front_opens_a_real_release(real: Real) -> None:
    found = attack_release(
        real.released, [real.rival], attacks=["none", "project-inpaint"], labels=real.labels,
        source=real.source, public=real.public, key=real.key,
        effort=Effort(judged=JUDGED, training=0),
    )  # fmt: skip
    plain, opened = found.records
    assert plain.value <= 0.4
    assert opened.value >= plain.value + 0.3
    assert opened.psnr is not None
    assert opened.psnr >= 25.0


def test_the_published_recoder_names_an_onnx_stem_that_it_cannot_replace(assets: Path) -> None:
    model = load_picture_model(f"onnx:{assets / 'models' / 'mobilenet_v2_1.0_224.onnx'}")
    with pytest.raises(published.NoStem, match=r"found .* for the layer /Conv"):
        published.stem(model)
