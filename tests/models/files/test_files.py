"""Model files from strangers: known nets load, code and damage are refused with one sentence."""

import io
import json
import pickle
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import CanvasRefused, InvalidArgument, MissingExtra, ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.files.nets import (
    ARCHITECTURES,
    CifarResNet,
    SqueezeNet,
    architecture,
    recognise,
)
from catch11.models.files.sidecar import class_names, stated_canvas
from catch11.models.frame import Model
from catch11.models.load import load_picture_model, parse_spec

FACTS: dict[str, Any] = {
    "input_size": [3, 32, 32],
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.3, 0.25],
}


def small_net() -> nn.Module:
    torch.manual_seed(3)
    return CifarResNet(1, classes=4).eval()


def beside(path: Path, facts: Any = FACTS) -> Path:
    path.with_suffix(".json").write_text(facts if isinstance(facts, str) else json.dumps(facts))
    return path


def save_net(folder: Path, net: nn.Module | None = None, name: str = "net.safetensors") -> Path:
    path = folder / name
    save_file((net or small_net()).state_dict(), path)
    return beside(path)


def test_a_tensor_file_is_recognised(tmp_path: Path) -> None:
    net = small_net()
    model = load_picture_model(f"torch:{save_net(tmp_path, net)}")
    assert (model.name, model.canvas.size, model.labels) == (
        "net",
        (3, 32, 32),
        ("0", "1", "2", "3"),
    )
    assert model.fingerprint == module_fingerprint(net)
    x = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(model.logits(x, batch=2), net(x).detach())
    assert "Model('net'" in repr(model)


def test_a_bare_path_is_enough(tmp_path: Path) -> None:
    path = save_net(tmp_path)
    assert (
        load_picture_model(str(path)).fingerprint == load_picture_model(f"torch:{path}").fingerprint
    )


def test_preprocess_is_what_the_json_says(tmp_path: Path) -> None:
    path = save_net(tmp_path)
    beside(path, FACTS | {"crop_pct": 0.8, "interpolation": "bilinear"})
    model = load_picture_model(str(path))
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    )
    resized = picture.resize((80, 40), Image.Resampling.BILINEAR).crop((24, 4, 56, 36))
    v = np.asarray(resized, dtype=np.float64) / 255
    expected = (v - FACTS["mean"]) / FACTS["std"]
    got = model.preprocess([picture])
    np.testing.assert_allclose(got[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_forward_has_a_gradient_and_logits_none(tmp_path: Path) -> None:
    model = load_picture_model(str(save_net(tmp_path)))
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    assert torch.autograd.grad(model.forward(x).sum(), x)[0].abs().sum() > 0
    assert not model.logits(x).requires_grad
    assert model.module is not None
    assert not any(p.requires_grad for p in model.module.parameters())
    assert model.logits(x[:0]).shape == (0, 4)
    assert model.preprocess([]).shape == (0, 3, 32, 32)
    with pytest.raises(InvalidArgument, match="batch: expected at least 1"):
        model.logits(x, batch=0)


def _state(path: Path) -> None:
    torch.save(small_net().state_dict(), path)


def _wrapped(path: Path) -> None:
    state = {f"module.{name}": value for name, value in small_net().state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, path)


@pytest.mark.parametrize("save", [_state, _wrapped])
@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.bin"])
def test_torch_files_of_tensors_load(
    tmp_path: Path, save: Callable[[Path], None], name: str
) -> None:
    path = beside(tmp_path / name)
    save(path)
    assert load_picture_model(str(path)).fingerprint == module_fingerprint(small_net())


class Bomb:
    """A pickle that would leave a file behind if it were read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def _bomb(path: Path) -> None:
    torch.save({"weight": Bomb()}, path)


def _raw_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb()))


def _module(path: Path) -> None:
    torch.save(small_net(), path)


def _scripted(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(small_net(), torch.zeros(1, 3, 32, 32), check_trace=False).save(str(path))


def _exported(path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(small_net(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=shapes)
    torch.export.save(program, path)


class Code(NamedTuple):
    save: Callable[[Path], None]
    suffix: str
    match: str


CODE = (
    Code(_bomb, ".pt", "reading it would run code"),
    Code(_raw_pickle, ".bin", "reading it would run code"),
    Code(_module, ".pth", "reading it would run code"),
    Code(_scripted, ".pt", "TorchScript archive, which runs code"),
    Code(_scripted, ".ts", "TorchScript archive, which runs code"),
    Code(_exported, ".pt2", r"torch\.export archive, which runs code"),
)


@pytest.mark.parametrize("row", CODE, ids=lambda row: row.save.__name__ + row.suffix)
def test_files_with_code_are_refused(
    tmp_path: Path, row: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = beside(tmp_path / f"net{row.suffix}")
    row.save(path)
    with pytest.raises(ModelRefused, match=row.match):
        load_picture_model(str(path))
    assert not Path("exploded").exists()


@pytest.mark.parametrize("row", CODE[2:], ids=lambda row: row.save.__name__ + row.suffix)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_files_with_code_load_by_leave(tmp_path: Path, row: Code) -> None:
    path = beside(tmp_path / f"net{row.suffix}")
    row.save(path)
    model = load_picture_model(str(path), allow_code=True)
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(model.logits(x), small_net()(x).detach(), rtol=1e-4, atol=1e-4)


def _bytes(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def _cut(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(small_net().state_dict(), buffer)
    path.write_bytes(buffer.getvalue()[:2000])


def _tensors(tensors: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    return lambda path: save_file(tensors, path)


def _changed(name: str, value: Any) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        state = small_net().state_dict()
        state[name] = value(state[name])
        save_file(state, path)

    return save


def _nan(value: torch.Tensor) -> torch.Tensor:
    return value.index_fill(0, torch.tensor([1]), float("nan"))


class Damaged(NamedTuple):
    save: Callable[[Path], Any]
    suffix: str
    match: str


DAMAGED = (
    Damaged(_bytes(b""), ".safetensors", "the file is damaged"),
    Damaged(_bytes(b"\xff" * 64), ".safetensors", "the file is damaged"),
    Damaged(_bytes(b"\x10" + b"\0" * 7 + b'{"a":{"dtype":1}}'), ".safetensors", "the file is damaged"),
    Damaged(_bytes(b""), ".pt", "the file is damaged|run code"),
    Damaged(_bytes(b"PK\3\4 not an archive"), ".pt", "the file is damaged|run code"),
    Damaged(_cut, ".pt", "the file is damaged|run code"),
    Damaged(lambda path: torch.save([1, 2], path), ".pt", "it holds a list, not named tensors"),
    Damaged(lambda path: torch.save({"lr": 0.1}, path), ".pt", "it holds no weights"),
    Damaged(_tensors({}), ".safetensors", "it holds no weights"),
    Damaged(_tensors({"a": torch.zeros(3)}), ".safetensors", r"1 tensors are those of no known architecture \(squeezenet1_1, cifar.*py:module:function"),
    Damaged(_changed("linear.weight", lambda w: torch.zeros(4, 63)), ".safetensors", "no known architecture"),
    Damaged(_changed("conv1.weight", _nan), ".safetensors", "NaN or infinity in 1 of its weights, first in conv1.weight"),
    Damaged(_changed("linear.bias", lambda b: b + float("inf")), ".safetensors", "NaN or infinity .* linear.bias"),
    Damaged(_changed("bn1.running_var", _nan), ".safetensors", "NaN or infinity .* bn1.running_var"),
)  # fmt: skip


@pytest.mark.parametrize("row", DAMAGED, ids=lambda row: row.match[:40])
def test_damaged_files_are_refused(tmp_path: Path, row: Damaged) -> None:
    path = beside(tmp_path / f"net{row.suffix}")
    row.save(path)
    with pytest.raises(ModelRefused, match=row.match) as caught:
        load_picture_model(str(path))
    assert "\n" not in str(caught.value)


class Beside(NamedTuple):
    facts: Any
    match: str


BESIDE = (
    Beside("{", "is not readable JSON"),
    Beside("[" * 100_000, "is not readable JSON"),
    Beside([1], "does not state input_size"),
    Beside({"mean": [0, 0, 0]}, "does not state input_size"),
    Beside(FACTS | {"input_size": 32}, "input_size: expected a list of 3"),
    Beside(FACTS | {"input_size": [3, 32, 32.5]}, "input_size: expected 3 positive whole"),
    Beside(FACTS | {"input_size": [3, 32, 10**9]}, "input_size: expected 3 positive whole"),
    Beside(FACTS | {"input_size": [4, 32, 32]}, "input_size: expected 1 or 3 channels"),
    Beside(FACTS | {"std": [0, 1, 1]}, "std: expected no zero"),
    Beside(FACTS | {"std": [1, 1]}, "std: expected a list of 3"),
    Beside(FACTS | {"mean": [0, "0", 0]}, "mean: expected a list of 3"),
    Beside('{"input_size": [3, 32, 32], "mean": [NaN, 0, 0]}', "mean: expected a list of 3"),
    Beside(FACTS | {"crop_pct": 1.5}, "crop_pct: expected 0.05 to 1"),
    Beside(FACTS | {"crop_pct": "x"}, "crop_pct: expected a list of 1 finite"),
    Beside(FACTS | {"interpolation": "random"}, "interpolation: expected one of nearest"),
    Beside(
        FACTS | {"mean": [123.675, 116.28, 103.53]},
        "mean: .*these are of pixels from 0 to 255: divide them by 255",
    ),
    Beside(FACTS | {"std": [58.395, 57.12, 57.375]}, "std: .*divide them by 255"),
    Beside(FACTS | {"std": [-0.2, 0.3, 0.3]}, "std: expected numbers from 0 to 1"),
    Beside(FACTS | {"mean": [300, 0, 0]}, "mean: expected numbers from 0 to 1"),
    Beside(
        FACTS | {"input_size": [3, 224, 224], "crop_pct": 0.9},
        'is 248 as timm floors it and 249 rounded; say which, for timm {"resize": 248}',
    ),
    Beside(FACTS | {"resize": 16}, "resize: expected at least 32 x 32"),
    Beside(FACTS | {"crop_mode": "border"}, 'crop_mode: expected one of "center", "squash"'),
    Beside(
        FACTS | {"input_size": [3, 32, 64], "crop_mode": "center"},
        "for a window that is not square",
    ),
    Beside(FACTS | {"input_space": "YUV"}, 'input_space: expected one of "RGB", "BGR"'),
    Beside(FACTS | {"input_range": [-1, 1]}, "input_range: expected one of"),
    Beside(FACTS | {"image_mean": [0, 0, 0]}, r"image_mean: expected what mean says"),
    Beside(
        FACTS | {"crop_pc": 0.9},
        r"net\.json: expected settings that are known, found crop_pc; the nearest known is crop_pct",
    ),
    Beside(FACTS | {"size": 32}, "found size; the nearest known is input_size"),
    Beside(FACTS | {"do_resize": True}, "found do_resize"),
)


@pytest.mark.parametrize("row", BESIDE, ids=lambda row: row.match[:40])
def test_hostile_json_beside_is_refused(tmp_path: Path, row: Beside) -> None:
    path = beside(save_net(tmp_path), row.facts)
    with pytest.raises((CanvasRefused, InvalidArgument), match=row.match):
        load_picture_model(str(path))


def test_a_missing_json_says_what_to_write(tmp_path: Path) -> None:
    path = save_net(tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(CanvasRefused, match=r'net\.json is missing.*"input_size": \[3, 224, 224\]'):
        load_picture_model(str(path))


def test_stated_canvas_rounds_the_size() -> None:
    canvas = stated_canvas({"input_size": [3, 224, 224], "crop_pct": 0.875})
    assert (canvas.height, canvas.top, canvas.fit.resize) == (256, 16, "short")
    odd = stated_canvas({"input_size": [3, 224, 224], "crop_pct": 0.9, "resize": 249})
    assert (odd.height, odd.top) == (249, 12)  # (249 - 224) / 2 = 12.5, half to even
    both = stated_canvas({"input_size": [3, 32, 64], "resize": [40, 72]})
    assert (both.height, both.width, both.fit.resize) == (40, 72, "exact")
    squashed = stated_canvas({"input_size": [3, 32, 32], "crop_mode": "squash", "crop_pct": 0.8})
    assert (squashed.height, squashed.fit.resize) == (40, "exact")
    wide = stated_canvas({"input_size": [3, 32, 64]})
    assert (wide.height, wide.width, wide.fit.resize) == (32, 64, "exact")


def test_grey_models_have_one_channel() -> None:
    canvas = stated_canvas({"input_size": [1, 28, 28], "mean": [0.13], "std": [0.31]})
    assert (canvas.shape, canvas.order) == ((1, 28, 28), (0,))


def test_class_names() -> None:
    spec = "torch:net"
    assert class_names(spec, {"classes": ["cat", "dog"]}, 2) == ("cat", "dog")
    assert class_names(spec, {"classes": {"0": "cat", "1": "dog"}}, 2) == ("cat", "dog")
    for none in ("imagenet-1k", None):
        assert class_names(spec, {"classes": none}, 2) == ("0", "1")
    for wrong in (["cat"], [1, 2], {"0": "cat"}):
        with pytest.raises(ModelRefused, match=r"it names 1 labels|no list of names"):
            class_names(spec, {"classes": wrong}, 2)


def test_other_words_for_the_same_settings() -> None:
    """timm's, transformers', and those of models whose pixels go from 0 to 255, blue first."""
    size = {"input_size": [3, 32, 32]}
    plain = stated_canvas(
        size | {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "interpolation": "bilinear"}
    )
    hub = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25], "resample": 2}
    assert stated_canvas(size | hub) == plain
    of_bytes = {"input_range": [0, 255], "mean": [102, 127.5, 153], "std": [51, 76.5, 63.75]}
    wide = stated_canvas(size | of_bytes)
    assert wide.gain == pytest.approx(plain.gain)
    assert wide.offset == pytest.approx(plain.offset)
    assert stated_canvas(size | {"input_range": [0, 255]}).gain == (255.0,) * 3
    blue = stated_canvas(size | {"input_space": "BGR", "mean": [0.1, 0.2, 0.3]})
    red_only = torch.tensor([1.0, 0.0, 0.0])[None, :, None, None]
    assert blue.normalise(red_only).flatten().tolist() == pytest.approx([-0.1, -0.2, 0.7])


def test_a_config_of_timm_is_read(tmp_path: Path) -> None:
    cfg = FACTS | {"crop_mode": "center", "first_conv": "conv1", "num_classes": 4, "url": ""}
    path = beside(save_net(tmp_path), {"architecture": "net", "pretrained_cfg": cfg})
    assert load_picture_model(str(path)).canvas.height == 32


@pytest.mark.parametrize(
    "prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."]
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_prefixes_of_wrappers_are_taken_off(tmp_path: Path, prefix: str, suffix: str) -> None:
    net = small_net()
    tensors = {prefix + name: value for name, value in net.state_dict().items()}
    path = beside(tmp_path / f"net{suffix}")
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    assert load_picture_model(str(path)).fingerprint == module_fingerprint(net)


class Spec(NamedTuple):
    spec: str
    match: str


SPECS = (
    Spec("nowhere/net.xyz", "no such file or folder; write one of hf:ID_OR_DIR"),
    Spec("hf:", "nothing follows hf:"),
    Spec("torch:/nowhere.pt", "there is no such file"),
    Spec("onnx:/nowhere.onnx", "there is no such file"),
    Spec("py:os.path", "does not name a function"),
    Spec("py:os:nothing_here", "os has no function nothing_here"),
    Spec("py:no_such_module_here:f", "No module named"),
    Spec("py:nowhere.py:f", "is not a Python file"),
    Spec("hf:/nowhere/at/all", "cannot load the model"),
)


@pytest.mark.parametrize("row", SPECS, ids=lambda row: row.spec)
def test_specs_that_name_nothing(row: Spec) -> None:
    with pytest.raises(ModelRefused, match=row.match):
        load_picture_model(row.spec)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"^timm is needed .* pip install 'catch11\[timm\]'"):
        load_picture_model("timm:resnet18@random")
    with pytest.raises(MissingExtra, match=r"^timm is needed"):
        load_picture_model("timm:resnet18")


def test_an_unknown_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="device: expected cpu, cuda"):
        load_picture_model(str(save_net(tmp_path)), device="gpu")


def test_bare_paths_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelRefused, match=r"no config\.json"):
        parse_spec(str(tmp_path / "model"))
    (tmp_path / "model" / "config.json").write_text("{}")
    assert parse_spec(str(tmp_path / "model")) == ("hf", str(tmp_path / "model"))
    assert parse_spec("a/b.ONNX") == ("onnx", "a/b.ONNX")
    assert parse_spec("my.module:build") == ("py", "my.module:build")
    assert parse_spec("timm:resnet50@w.safetensors") == ("timm", "resnet50@w.safetensors")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelRefused, match="a file of unknown kind"):
        parse_spec(str(tmp_path / "notes.txt"))


def build_pair() -> tuple[nn.Module, Canvas]:
    return small_net(), plain_canvas(32, 32)


def build_named() -> tuple[nn.Module, Canvas, list[str]]:
    return small_net(), plain_canvas(32, 32), ["a", "b", "c", "d"]


def build_misnamed() -> tuple[nn.Module, Canvas, list[str]]:
    return small_net(), plain_canvas(32, 32), ["a"]


def build_nothing() -> int:
    return 3


def build_weightless() -> tuple[nn.Module, Canvas]:
    return nn.Flatten(), plain_canvas(4, 4)


def build_unfit() -> tuple[nn.Module, Canvas]:
    return small_net(), plain_canvas(32, 32, mean=[0.0], std=[1.0])


def build_map() -> tuple[nn.Module, Canvas]:
    return nn.Conv2d(3, 2, 1), plain_canvas(4, 4)


def build_nan() -> tuple[nn.Module, Canvas]:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 2), nn.Threshold(1e9, float("nan"))
    ), plain_canvas(4, 4)


def test_functions_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_picture_model(f"py:{__file__}:build_pair").labels == ("0", "1", "2", "3")
    model = load_picture_model(f"py:{__file__}:build_named")
    assert (model.labels, model.name) == (("a", "b", "c", "d"), "build_named")
    picture = Image.new("RGB", (50, 40), (255, 0, 0))
    assert model.preprocess([picture])[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]
    monkeypatch.chdir(Path(__file__).parent)
    assert isinstance(load_picture_model("py:test_files:build_pair"), Model)


class Built(NamedTuple):
    name: str
    match: str


BUILT = (
    Built("build_misnamed", "names 1 labels and answers with 4 logits"),
    Built("build_nothing", r"returned int; return a Model, \(nn.Module, Canvas\)"),
    Built("build_weightless", "it holds no weights"),
    Built("build_unfit", "does not run on its own input of 1 x 32 x 32"),
    Built("build_map", r"its output is \(1, 2, 4, 4\), not \(1, classes\)"),
    Built("build_nan", "answers a neutral picture with NaN"),
)


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.name)
def test_what_functions_must_return(row: Built) -> None:
    with pytest.raises(ModelRefused, match=row.match):
        load_picture_model(f"py:{__file__}:{row.name}")


@pytest.mark.parametrize("blocks", [1, 3, 5, 7, 9, 18])
def test_cifar_resnets_are_told_apart_by_depth(blocks: int) -> None:
    state = CifarResNet(blocks, classes=10).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    found = recognise(shapes)
    assert found is not None
    assert set(found.state_dict()) == set(shapes)
    uncounted = {name: shape for name, shape in shapes.items() if "num_batches" not in name}
    assert recognise(uncounted) is not None
    assert recognise({**shapes, "extra": (1,)}) is None
    shapes.pop("conv1.weight")
    assert recognise(shapes) is None


def test_squeezenet_is_recognised() -> None:
    shapes = {name: tuple(value.shape) for name, value in SqueezeNet(7).state_dict().items()}
    assert isinstance(recognise(shapes), SqueezeNet)
    assert SqueezeNet(7).eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 7)


def test_an_architecture_is_registered_once() -> None:
    name = next(iter(ARCHITECTURES))
    with pytest.raises(KeyError, match="registered twice"):
        architecture(name)(ARCHITECTURES[name].build)


def test_fingerprint_sees_every_part() -> None:
    def of(**tensors: torch.Tensor) -> str:
        net = nn.Module()
        for name, value in tensors.items():
            net.register_buffer(name, value)
        return module_fingerprint(net)

    base = of(a=torch.zeros(2), b=torch.ones(2))
    assert re.fullmatch("[0-9a-f]{64}", base)
    assert base == of(b=torch.ones(2), a=torch.zeros(2))
    others = [
        of(a=torch.zeros(2), c=torch.ones(2)),
        of(a=torch.ones(2), b=torch.zeros(2)),
        of(a=torch.zeros(2, 1), b=torch.ones(2)),
        of(a=torch.zeros(2, dtype=torch.int32), b=torch.ones(2)),
        of(a=torch.zeros(2)),
    ]
    assert len({base, *others}) == 6
