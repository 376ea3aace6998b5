"""Sealed copies of real architectures: written, read by stock runtimes, and refused in a sentence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.copies.seal import SealSecret, seal_secret
from catch11.data.windows import to_pixels
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.image import seal as module
from catch11.modalities.image.seal import check_levels, seal
from catch11.models.canvases import canvas_prepare
from catch11.models.files.sidecar import canvas_facts, stated_canvas
from catch11.models.frame import Model
from catch11.models.hub.pictures import processor_canvas
from catch11.models.load import load_picture_model
from tests.models.test_canvases import ROWS, Row, processor

OFF = 1e-4  # of logits of about 1: runtimes differ by less
FIVE: dict[str, Any] = {"num_labels": 5}
BASE: dict[str, Any] = {"do_resize": True, "do_rescale": True, "do_normalize": True}
NETS: dict[str, tuple[type[PreTrainedModel], PretrainedConfig, dict[str, Any]]] = {
    "ViT": (
        ViTForImageClassification,
        ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=24, patch_size=8, **FIVE),
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 24, "width": 24}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    ),
    "ResNet": (
        ResNetForImageClassification,
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", **FIVE),
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 28}, "crop_pct": 0.875, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    ),
    "EfficientNet": (
        EfficientNetForImageClassification,
        EfficientNetConfig(width_coefficient=0.1, depth_coefficient=0.1, image_size=66, hidden_dim=128, **FIVE),
        {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 66, "width": 66}, "rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    ),
}  # fmt: skip


def settled(net: nn.Module, canvas: Canvas) -> None:
    """Weights and statistics with which activations keep their size, as training leaves them: as they
    are drawn, EfficientNet's logits are 0.0 of any picture."""
    norms = [one for one in net.modules() if isinstance(one, nn.BatchNorm2d)]
    for one in net.modules():
        if isinstance(one, nn.Linear | nn.Conv2d):
            nn.init.kaiming_normal_(one.weight)
    for norm in norms:
        nn.init.ones_(norm.weight)
        norm.momentum = None  # the plain mean of all that is seen
        norm.reset_running_stats()
    with torch.no_grad():
        for _ in range(3 if norms else 0):
            net.train()(canvas.normalise(torch.rand(32, *canvas.shape)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_a_stock_pipeline_gets_what_the_model_says(name: str, tmp_path: Path) -> None:
    """transformers' own processor, onnxruntime and torch, on whole files, one and 32 at a time."""
    kind, config, settings = NETS[name]
    torch.manual_seed(0)
    net = kind(config)
    net.save_pretrained(tmp_path / "net")
    (tmp_path / "net" / "preprocessor_config.json").write_text(json.dumps(BASE | settings))
    own = AutoImageProcessor.from_pretrained(tmp_path / "net")
    settled(net, processor_canvas(own)[0])
    net.save_pretrained(tmp_path / "net")
    model = load_picture_model(f"hf:{tmp_path / 'net'}")
    secret = seal(model, tmp_path / "copy.onnx")

    windows = torch.randint(0, 256, (32, *model.canvas.shape)) / 255
    meant = secret.cleared(windows)
    whole = model.canvas.place(secret.as_read(windows), secret.around(meant))
    pictures = [Image.fromarray(to_pixels(image)) for image in whole]
    session = onnxruntime.InferenceSession(tmp_path / "copy.onnx")
    copy = load_picture_model(f"onnx:{tmp_path / 'copy.onnx'}")
    programs = []
    if name == "EfficientNet":  # one takes long enough
        seal(model, tmp_path / "copy.pt2", secret=secret)
        programs = [torch.export.load(tmp_path / "copy.pt2").module()]
    said = model.logits(model.canvas.normalise(meant))
    apart = (said[None] - said[:, None]).abs().amax(2) + torch.eye(32)
    assert float(apart.min()) > 100 * OFF  # each picture is answered in its own way
    assert copy.sealed == secret.fingerprint
    for some in (slice(0, 1), slice(0, 32)):
        values = own(images=pictures[some], return_tensors="pt")["pixel_values"]
        (found,) = session.run(None, {"pixel_values": values.numpy()})
        every = [torch.from_numpy(found), *(program(values)["logits"] for program in programs)]
        every.append(copy.logits(copy.preprocess(pictures[some])))
        for logits in every:
            torch.testing.assert_close(logits, said[some], rtol=0, atol=OFF)


@pytest.mark.parametrize("logits", [(0.0, 0.0, 0.0), (3.0, 1.0, 2.0)])
def test_a_model_that_answers_everything_alike_is_refused(
    logits: tuple[float, ...], tmp_path: Path
) -> None:
    """Zeros beside zeros would be taken for the same answer, whatever the copy opens."""
    model = net_model()
    assert isinstance(model.module, Net)
    nn.init.zeros_(model.module.head.weight)
    model.module.head.bias.copy_(torch.tensor(logits))
    with pytest.raises(
        InvalidArgument, match=r"answers that tell a picture from noise.*differ by 0 "
    ):
        seal(model, tmp_path / "copy.onnx")
    assert list(tmp_path.iterdir()) == []


class Net(nn.Module):
    """A patch front; stubborn: what it does after depends on the values, which no exporter writes."""

    def __init__(self, *, stubborn: bool = False) -> None:
        super().__init__()
        self.front, self.head, self.stubborn = (
            nn.Conv2d(3, 4, 4, stride=4),
            nn.Linear(36, 3),
            stubborn,
        )

    def forward(self, x: Tensor) -> Tensor:
        made = self.head(self.front(x).flatten(1))
        return made * 2 if self.stubborn and float(made.sum()) > 0 else made


def net_model(mean: float = 0.5, std: float = 0.25, *, stubborn: bool = False) -> Model:
    torch.manual_seed(3)
    net = Net(stubborn=stubborn).eval().requires_grad_(False)
    canvas = plain_canvas(12, 12, mean=(mean,) * 3, std=(std,) * 3)
    return Model(
        name="net", spec="py:net", module=net, canvas=canvas, labels=("a", "b", "c"),
        fingerprint=module_fingerprint(net), prepare=canvas_prepare(canvas),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 0.25), (0.0, 1 / 255), (0.0, 1.0), (0.9, 1e-4), (0.485, 0.229)]
)
def test_levels_come_back(mean: float, std: float) -> None:
    model = net_model(mean, std)
    check_levels(model, seal_secret(model, secret=bytes(32)))


@pytest.mark.parametrize(("mean", "std"), [(1e5, 1.0), (3e5, 0.1)])
def test_levels_that_float32_cannot_tell_apart_are_refused(mean: float, std: float) -> None:
    model = net_model(mean, std)
    secret = SealSecret(secret=bytes(32), canvas=model.canvas, original="a" * 64)
    with pytest.raises(InvalidArgument, match="8-bit values to be told apart in float32"):
        check_levels(model, secret)


def test_a_pipeline_that_moves_levels_is_refused() -> None:
    """One that says another normalisation than it does, or another order of the colours."""
    model = net_model()
    for prepare in (lambda p: model.prepare(p) * 1.01, lambda p: model.prepare(p).flip(1)):
        other = replace(model, prepare=prepare)
        with pytest.raises(InvalidArgument, match="levels away from their own"):
            check_levels(other, seal_secret(model, secret=bytes(32)))


@pytest.mark.parametrize(("suffix", "other"), [(".onnx", ".pt2"), (".pt2", ".onnx")])
def test_what_no_exporter_writes_is_refused(
    suffix: str, other: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one sentence with the cause; exporters print graphs, and colour what they say."""
    path = tmp_path / f"copy{suffix}"
    with pytest.raises(InvalidArgument) as raised:
        seal(net_model(stubborn=True), path)
    said = str(raised.value)
    assert f"a copy of py:net as {suffix}, found none (" in said
    assert "Could not guard on data-dependent expression" in said
    assert said.endswith(f"write the other format, -o {tmp_path / 'copy'}{other}.")
    assert "\x1b" not in said
    assert "\n" not in said
    assert tuple(capfd.readouterr()) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_beside_anothers_json_is_refused(tmp_path: Path) -> None:
    """Bare copies bear their seal's name too: it would say that it opens what it does not."""
    secret = seal(net_model(), tmp_path / "copy.onnx")
    beside = tmp_path / "copy.json"
    facts = json.loads(beside.read_text())
    for other, said in ({"sealed": "b" * 32}, "seal " + "b" * 16), ({"sealed": ""}, "no seal"):
        beside.write_text(json.dumps(facts | other))
        match = f"for seal {secret.fingerprint[:16]}, and the JSON beside it says {said};"
        with pytest.raises(ModelRefused, match=match):
            load_picture_model(f"onnx:{tmp_path / 'copy.onnx'}")


def test_a_json_that_says_otherwise_stays(tmp_path: Path) -> None:
    path = tmp_path / "copy.onnx"
    path.with_suffix(".json").write_text('{"input_size": [3, 12, 12]}')
    with pytest.raises(InvalidArgument, match=r"copy\.json, which says otherwise"):
        seal(net_model(), path)
    assert [one.read_text() for one in tmp_path.iterdir()] == ['{"input_size": [3, 12, 12]}']


def test_what_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMES", 1 << 50)
    with pytest.raises(InvalidArgument, match=r"needs \d+ MiB and \d+ are free.*-o .*/copy.pt2"):
        seal(net_model(), tmp_path / "copy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_answers_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one key is not the other, and the file that was written tells."""
    right = SealSecret.as_read
    monkeypatch.setattr(SealSecret, "as_read", lambda self, windows: 1 - right(self, windows))
    with pytest.raises(InvalidArgument, match="does not answer as the model does"):
        seal(net_model(), tmp_path / "copy.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_the_json_beside_a_copy_says_the_canvas(row: Row) -> None:
    """All of it, but for an odd pixel of margin that pipelines split otherwise; then seal refuses."""
    canvas, _ = processor_canvas(processor(row.kind, row.settings))
    said = stated_canvas(canvas_facts(canvas))
    assert (said.size, said.shape, said.order) == (canvas.size, canvas.shape, canvas.order)
    assert said.gain == pytest.approx(canvas.gain, rel=1e-6)
    assert said.offset == pytest.approx(canvas.offset, rel=1e-6, abs=1e-6)
    odd = (canvas.height - canvas.window_height) % 2
    assert odd or (said.top, said.left) == (canvas.top, canvas.left)
