"""timm: canvases as timm's own transforms make them, local weights, refusals."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from catch11.data.pictures import fit_picture
from catch11.errors import CanvasRefused, MissingExtra, ModelRefused
from catch11.fronts.find import find_front
from catch11.models.load import load_picture_model

try:
    import timm
    import timm.data
except (ImportError, RuntimeError):
    pytest.skip("timm has an environment of its own: tests/timm/run.sh", allow_module_level=True)

from catch11.models.hub.timm import timm_canvas, timm_prepare

pytestmark = pytest.mark.filterwarnings("ignore")


class Row(NamedTuple):
    settings: dict[str, Any]
    size: tuple[int, int]
    start: tuple[int, int]
    resize: str


BASE: dict[str, Any] = {
    "input_size": (3, 224, 224), "interpolation": "bicubic", "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225), "crop_pct": 0.875, "crop_mode": "center",
}  # fmt: skip
ROWS = (
    Row({}, (256, 256), (16, 16), "short"),
    Row({"crop_pct": 0.9}, (248, 248), (12, 12), "short"),  # 248.9 is floored
    Row({"crop_pct": 0.95}, (235, 235), (6, 6), "short"),  # 235.8; (235 - 224) / 2 = 5.5, half to even
    Row({"crop_pct": 1.0}, (224, 224), (0, 0), "short"),
    Row({"crop_pct": 1.0, "crop_mode": "squash"}, (224, 224), (0, 0), "exact"),
    Row({"crop_pct": 0.95, "crop_mode": "squash"}, (235, 235), (6, 6), "exact"),
    Row({"interpolation": "bilinear", "input_size": (3, 32, 32)}, (36, 36), (2, 2), "short"),
    Row({"input_size": (3, 32, 48), "crop_pct": 1.0, "crop_mode": "squash"}, (32, 48), (0, 0), "exact"),
    Row({"input_size": (3, 33, 33), "crop_pct": 0.875}, (37, 37), (2, 2), "short"),
    Row({"input_size": (3, 33, 33), "crop_pct": 0.8}, (41, 41), (4, 4), "short"),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_canvas_of_a_timm_transform(row: Row) -> None:
    config = {**BASE, **row.settings}
    prepare = timm_prepare(timm.data.create_transform(**config, is_training=False))
    canvas, notes = timm_canvas(config, prepare)
    assert (canvas.height, canvas.width) == row.size
    assert (canvas.top, canvas.left) == row.start
    assert canvas.fit.resize == row.resize
    assert canvas.fit.resample == config["interpolation"]
    assert canvas.gain == tuple(1 / s for s in BASE["std"])
    assert notes == ()
    picture = Image.fromarray(
        np.random.default_rng(5).integers(0, 256, (97, 151, 3), dtype=np.uint8)
    )
    fitted = torch.from_numpy(fit_picture(picture, canvas)).permute(2, 0, 1)[None] / 255
    seen = canvas.normalise(canvas.window(fitted))
    torch.testing.assert_close(prepare([picture]), seen, rtol=0, atol=2e-5)


class Refused(NamedTuple):
    settings: dict[str, Any]
    match: str


@pytest.mark.parametrize(
    "row",
    [
        Refused({"interpolation": "random"}, "drawn at random"),
        Refused({"crop_mode": "border"}, "pads pictures"),
        Refused({"input_size": (3, 32, 48)}, "other sizes are not brought there"),
    ],
    ids=repr,
)
def test_transforms_without_a_canvas(row: Refused) -> None:
    config = {**BASE, **row.settings}
    prepare = timm_prepare(timm.data.create_transform(**{**config, "interpolation": "bicubic"}))
    with pytest.raises(CanvasRefused, match=row.match):
        timm_canvas(config, prepare)


class Net(NamedTuple):
    name: str
    geometry: str
    canvas: int


NETS = (
    Net("vit_tiny_patch16_224", "patch", 248),
    Net("deit_tiny_patch16_224", "patch", 248),
    Net("resnet10t", "conv", 201),
    Net("mobilenetv2_050", "conv", 256),
    Net("tf_mobilenetv3_small_minimal_100", "conv", 256),
    Net("convnext_atto", "patch", 256),
    Net("swin_tiny_patch4_window7_224", "patch", 248),
)


@pytest.mark.parametrize("row", NETS, ids=lambda row: row.name)
def test_models_load_and_have_a_front(row: Net) -> None:
    torch.manual_seed(0)
    model = load_picture_model(f"timm:{row.name}@random")
    assert len(model.labels) == 1000
    assert model.front().geometry == row.geometry
    assert model.module is not None
    assert find_front(model.module, model.canvas).fingerprint() == model.front().fingerprint()
    picture = Image.new("RGB", (300, 200), (90, 120, 30))
    x = model.preprocess([picture])
    assert model.logits(x).shape == (1, 1000)
    assert model.canvas.height == row.canvas


def test_local_weights(tmp_path: Path) -> None:
    net = timm.create_model("resnet10t", pretrained=False)
    path = tmp_path / "w.safetensors"
    save_file(net.state_dict(), path)
    model = load_picture_model(f"timm:resnet10t@{path}")
    assert model.fingerprint == load_picture_model(f"timm:resnet10t@{path}").fingerprint
    x = torch.randn(2, *model.canvas.shape)
    torch.testing.assert_close(model.logits(x), net.eval()(x).detach())
    with pytest.raises(ModelRefused, match="holds other weights"):
        load_picture_model(f"timm:resnet18@{path}")
    torch.save(net, tmp_path / "w.pth")
    with pytest.raises(ModelRefused, match="reading it would run code"):
        load_picture_model(f"timm:resnet10t@{tmp_path / 'w.pth'}")


def test_what_is_not_there() -> None:
    with pytest.raises(ModelRefused, match="timm has no model resnet9999; near it: "):
        load_picture_model("timm:resnet9999")
    with pytest.raises(ModelRefused, match="there is no file nowhere"):
        load_picture_model("timm:resnet10t@nowhere.safetensors")
    with pytest.raises(ModelRefused, match="give local weights after @"):
        load_picture_model("timm:resnet10t")


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'catch11\[timm\]'"):
        load_picture_model("timm:resnet10t")
