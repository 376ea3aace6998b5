"""ONNX files as other tools write them: whole numbers in, half precision, nodes in no order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from catch11.errors import ModelRefused
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.models.onnx import load as load_module

SIDE = 8
DRAWS = np.random.default_rng(0)
KERNEL = DRAWS.standard_normal((6, 3, 4, 4)).astype("f")
HEAD = DRAWS.standard_normal((24, 5)).astype("f")
TAIL = [
    helper.make_node("Conv", ["a", "w"], ["c"], strides=[4, 4]),
    helper.make_node("Relu", ["c"], ["r"]),
    helper.make_node("Flatten", ["r"], ["f"]),
    helper.make_node("MatMul", ["f", "h"], ["logits"]),
]


def file(
    folder: Path, nodes: list[Any], *, kind: int = TensorProto.FLOAT, sides: tuple[int, ...] = (3, SIDE, SIDE),
    made: int = TensorProto.FLOAT, dtype: Any = np.float32, **facts: Any,
) -> str:  # fmt: skip
    value = helper.make_tensor_value_info
    weights = {"w": KERNEL.astype(dtype), "h": HEAD.astype(dtype), "full": np.array(255, dtype)}
    graph = helper.make_graph(
        nodes, "g", [value("x", kind, ["n", *sides])], [value("logits", made, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    path = folder / "net.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    path.with_suffix(".json").write_text(json.dumps({"input_size": [3, SIDE, SIDE], **facts}))
    return str(path)


def plain(folder: Path) -> Model:
    folder.mkdir()
    return load_picture_model(file(folder, [helper.make_node("Identity", ["x"], ["a"]), *TAIL]))


def answers_as(model: Model, other: Model, *, atol: float = 1e-4) -> None:
    """Of 8-bit pictures, by both the runtime and torch."""
    pixels = torch.randint(0, 256, (3, 3, SIDE, SIDE)) / 255
    mine, meant = model.canvas.normalise(pixels), other.logits(other.canvas.normalise(pixels))
    torch.testing.assert_close(model.logits(mine), meant, rtol=0, atol=atol)
    torch.testing.assert_close(model.forward(mine), meant, rtol=0, atol=atol)
    assert model.forward(mine).dtype == torch.float32
    assert model.front().fingerprint() == other.front().fingerprint()


@pytest.mark.parametrize("last", [False, True])
def test_whole_numbers_are_fed_as_such(tmp_path: Path, last: bool) -> None:
    order = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if last else []
    nodes = [
        *order,
        helper.make_node("Cast", ["t" if last else "x"], ["b"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["b", "full"], ["a"]),
        *TAIL,
    ]
    sides = (SIDE, SIDE, 3) if last else (3, SIDE, SIDE)
    facts: dict[str, Any] = {"kind": TensorProto.UINT8, "sides": sides}
    answers_as(
        load_picture_model(file(tmp_path, nodes, **facts, input_range=[0, 255])),
        plain(tmp_path / "p"),
    )
    with pytest.raises(
        ModelRefused, match=r"whole numbers from 0 to 255.*\"input_range\": \[0, 255\]"
    ):
        load_picture_model(file(tmp_path, nodes, **facts))


def test_half_precision_is_searched_in_single(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    nodes = [helper.make_node("Identity", ["x"], ["a"]), *TAIL]
    model = load_picture_model(file(tmp_path, nodes, kind=half, made=half, dtype=np.float16))
    pixels = torch.rand(2, 3, SIDE, SIDE)
    torch.testing.assert_close(model.forward(pixels), model.logits(pixels), rtol=0, atol=0.05)
    assert model.front().geometry == "patch"


def test_nodes_in_no_order_are_put_in_order(tmp_path: Path) -> None:
    """As a converter to half precision leaves them, whose casts stand last."""
    nodes = [*TAIL, helper.make_node("Identity", ["x"], ["a"])]
    answers_as(load_picture_model(file(tmp_path, nodes)), plain(tmp_path / "p"))


def test_pixels_clipped_where_they_end_have_a_front(tmp_path: Path) -> None:
    ends = [
        helper.make_node("Constant", [], [name], value_float=at)
        for name, at in (("lo", 0.0), ("hi", 1.0))
    ]
    nodes = [*ends, helper.make_node("Clip", ["x", "lo", "hi"], ["a"]), *TAIL]
    answers_as(load_picture_model(file(tmp_path, nodes)), plain(tmp_path / "p"))


def test_what_torch_answers_otherwise_is_not_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, [helper.make_node("Identity", ["x"], ["a"]), *TAIL])
    built = load_module.onnx_to_torch

    class Doubled(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.net(x)

    class Raising(Doubled):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise NotImplementedError("a block")

    for wrap, note in (
        (Doubled, "torch answers a picture otherwise than onnxruntime."),
        (Raising, "torch does not run it (a block)."),
    ):
        monkeypatch.setattr(load_module, "onnx_to_torch", lambda *a, w=wrap, **k: w(built(*a, **k)))
        model = load_picture_model(path)
        assert (model.module, model.notes) == (None, (note,))
        with pytest.raises(ModelRefused, match=r"no gradient: torch .*; --keep all needs none"):
            model.forward(torch.zeros(1, 3, SIDE, SIDE))
