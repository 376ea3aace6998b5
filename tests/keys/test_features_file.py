"""Feature files: round trip, keys without weights that work on the model with them, bad files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from catch11.errors import InvalidArgument
from catch11.keys.features_file import (
    key_from_probe,
    load_probe,
    probed_key,
    save_probe,
    take_probe,
)
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from tests.fronts.test_find import Net, canvas_of
from tests.recoding.spectral.test_recoder import WINDOWS


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    net = Net(nn.Conv2d(3, 20, 8, stride=8), window=(32, 32)).eval()
    canvas = canvas_of(32, 32)
    return Model(
        name="net", spec="net", module=net, canvas=canvas, labels=("a", "b", "c", "d"),
        fingerprint="0" * 64, prepare=canvas_prepare(canvas),
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i:02}.png")  # fmt: skip
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_key_without_weights_works_on_the_model(
    model: Model, pictures: Path, tmp_path: Path
) -> None:
    probe = take_probe(model, pictures)
    assert len(probe.windows) == 40
    handed = tmp_path / "handed over"
    handed.mkdir()
    save_probe(probe, handed / "one.safetensors")
    key = probed_key(handed, model.canvas)
    assert key.model_fingerprint == ""
    assert key.front_fingerprint == key_from_probe(probe, model.canvas).front_fingerprint
    recoded = SpectralRecoder(key, psnr=14.0)(WINDOWS)
    # Judged by the real front, which the key never saw.
    assert float(model.front().relative_shift(recoded.images, WINDOWS).max()) < 0.05


def test_several_files_are_merged(model: Model, pictures: Path, tmp_path: Path) -> None:
    probe = take_probe(model, pictures)
    halves = tmp_path / "halves"
    halves.mkdir()
    for name, part in (("a", slice(0, 20)), ("b", slice(20, 40))):
        half = type(probe)(windows=probe.windows[part], features=probe.features[part], kernel=(8, 8), stride=(8, 8))  # fmt: skip
        save_probe(half, halves / f"{name}.safetensors")
    whole = key_from_probe(probe, model.canvas)
    torch.testing.assert_close(probed_key(halves, model.canvas).front.weight, whole.front.weight)


BAD = [
    ({"catch11": "{}"}, "kernel"),
    ({"catch11": "no JSON"}, "Expecting value"),
    ({}, "catch11"),
    ({"catch11": '{"kernel": [8, "x"], "stride": [8, 8], "dilation": [1, 1], "padding": [0, 0, 0, 0], "groups": 1}'}, "kernel is"),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "sentence"), BAD, ids=[row[1] for row in BAD])
def test_bad_feature_files(tmp_path: Path, metadata: dict[str, str], sentence: str) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({"windows": torch.rand(2, 3, 8, 8), "features": torch.rand(2, 4, 1, 1)}, path, metadata=metadata)  # fmt: skip
    with pytest.raises(InvalidArgument, match=f"a feature file.*{sentence}"):
        load_probe(path)


def test_bad_folders(model: Model, tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(InvalidArgument, match="a feature file"):
        probed_key(tmp_path, model.canvas)
    (tmp_path / "cut.safetensors").unlink()
    with pytest.raises(InvalidArgument, match="feature files, found none"):
        probed_key(tmp_path, model.canvas)
    with pytest.raises(InvalidArgument, match="readable pictures"):
        take_probe(model, tmp_path)
