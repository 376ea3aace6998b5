"""ONNX files from strangers: external data stays in its folder, damage is one sentence."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from catch11.errors import CanvasRefused, MissingExtra, ModelRefused
from catch11.models.load import load_picture_model
from catch11.models.onnx.file import graph_fingerprint, read_graph

FACTS = {"input_size": [3, 8, 8], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
WEIGHT = np.random.default_rng(0).normal(size=(192, 4)).astype(np.float32)


def model(
    weight: np.ndarray = WEIGHT, *, nodes: list[Any] | None = None, batch: Any = "n", kind: int = 1
) -> Any:
    nodes = nodes or [
        helper.make_node("Flatten", ["x"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["logits"], name="head"),
    ]
    x = helper.make_tensor_value_info("x", kind, (batch, 3, 8, 8))
    y = helper.make_tensor_value_info("logits", kind, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save(proto: Any, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    path.with_suffix(".json").write_text(json.dumps(FACTS))
    return path


def external(location: str, *, offset: str = "0", length: str | None = None) -> Any:
    proto = model()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    facts = {"location": location, "offset": offset, "length": length or str(WEIGHT.nbytes)}
    for key, value in facts.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return proto


def test_an_onnx_file_is_a_model(tmp_path: Path) -> None:
    found = load_picture_model(str(save(model(), tmp_path)))
    x = torch.randn(5, 3, 8, 8)
    expected = x.flatten(1) @ torch.from_numpy(WEIGHT)
    torch.testing.assert_close(found.logits(x, batch=2), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.forward(x), expected, rtol=1e-4, atol=1e-4)
    assert (found.name, found.labels, found.front().geometry) == (
        "net",
        ("0", "1", "2", "3"),
        "dense",
    )
    assert found.logits(x[:0]).shape == (0, 4)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, batch: int) -> None:
    found = load_picture_model(str(save(model(batch=batch), tmp_path)))
    x = torch.randn(5, 3, 8, 8)
    expected = x.flatten(1) @ torch.from_numpy(WEIGHT)
    torch.testing.assert_close(found.logits(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.forward(x), expected, rtol=1e-4, atol=1e-4)


def test_channels_last_are_fed_as_such(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Flatten", ["t"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["logits"], name="head"),
    ]
    proto = model(nodes=nodes)
    shape = proto.graph.input[0].type.tensor_type.shape
    for side, value in zip(shape.dim[1:], (8, 8, 3), strict=True):
        side.dim_value = value
    found = load_picture_model(str(save(proto, tmp_path)))
    x = torch.randn(2, 3, 8, 8)
    expected = x.flatten(1) @ torch.from_numpy(WEIGHT)
    torch.testing.assert_close(found.logits(x), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.forward(x), expected, rtol=1e-4, atol=1e-4)


def test_half_precision_is_fed_as_such(tmp_path: Path) -> None:
    proto = model(WEIGHT.astype(np.float16), kind=TensorProto.FLOAT16)
    x = torch.randn(2, 3, 8, 8)
    expected = x.flatten(1) @ torch.from_numpy(WEIGHT)
    logits = load_picture_model(str(save(proto, tmp_path))).logits(x)
    torch.testing.assert_close(logits, expected, rtol=0.05, atol=0.1)


def test_a_graph_torch_cannot_run_still_answers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["x"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["b"], name="head"),
        helper.make_node("Hardmax", ["b"], ["logits"]),
    ]
    found = load_picture_model(str(save(model(nodes=nodes), tmp_path)))
    x = torch.randn(2, 3, 8, 8)
    assert found.module is None
    assert found.logits(x).shape == (2, 4)
    assert found.front().geometry == "dense"
    with pytest.raises(ModelRefused, match="no gradient: torch cannot run its operators Hardmax"):
        found.forward(x)


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"junk" * 4 + WEIGHT.tobytes())
    path = save(external("data/w.bin", offset="16"), tmp_path)
    inside = save(model(), tmp_path / "data")
    assert load_picture_model(str(path)).fingerprint == load_picture_model(str(inside)).fingerprint


def _link(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-secret.bin"
    outside.write_bytes(WEIGHT.tobytes())
    (folder / "w.bin").symlink_to(outside)


def _linked_folder(folder: Path) -> None:
    outside = folder.parent / f"{folder.name}-secrets"
    outside.mkdir()
    (outside / "w.bin").write_bytes(WEIGHT.tobytes())
    (folder / "data").symlink_to(outside)


def _short(folder: Path) -> None:
    (folder / "w.bin").write_bytes(WEIGHT.tobytes()[:-4])


def _nothing(folder: Path) -> None:
    pass


class Outside(NamedTuple):
    proto: Callable[[], Any]
    make: Callable[[Path], None]
    match: str


OUTSIDE = (
    Outside(lambda: external("/etc/passwd"), _nothing, "'/etc/passwd' is absolute"),
    Outside(lambda: external("C:\\w.bin"), _nothing, "is absolute"),
    Outside(lambda: external("\\\\host\\w.bin"), _nothing, "is absolute"),
    Outside(lambda: external("../w.bin"), _nothing, "leaves the model's folder"),
    Outside(lambda: external("data/../../w.bin"), _nothing, "leaves the model's folder"),
    Outside(lambda: external("data\\..\\..\\w.bin"), _nothing, "leaves the model's folder"),
    Outside(lambda: external("w.bin"), _link, "a link out of the model's folder"),
    Outside(lambda: external("data/w.bin"), _linked_folder, "a link out of the model's folder"),
    Outside(lambda: external("w.bin"), _nothing, "there is no file 'w.bin' beside the model"),
    Outside(lambda: external("."), _nothing, "there is no file"),
    Outside(lambda: external(""), _nothing, "its location is empty"),
    Outside(lambda: external("a\0b"), _nothing, "its location is empty or not a path"),
    Outside(lambda: external("w.bin"), _short, "beyond the end of 'w.bin'"),
    Outside(lambda: external("w.bin", offset="-8"), _short, "not a number"),
    Outside(lambda: external("w.bin", length="x"), _short, "not a number"),
)


@pytest.mark.parametrize("row", OUTSIDE, ids=lambda row: row.match)
def test_external_data_elsewhere_is_refused(tmp_path: Path, row: Outside) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    row.make(folder)
    path = save(row.proto(), folder)
    with pytest.raises(ModelRefused, match="external data of w: ") as caught:
        load_picture_model(str(path))
    assert row.match in str(caught.value)


def test_external_data_of_constants_and_branches_is_checked(tmp_path: Path) -> None:
    tensor = external("../w.bin").graph.initializer[0]
    value = helper.make_tensor_value_info("logits", 1, None)
    for nodes in (
        [helper.make_node("Constant", [], ["logits"], value=tensor)],
        [helper.make_node("If", ["x"], ["logits"], else_branch=helper.make_graph([], "e", [], [value], [tensor]))],
        [helper.make_node("If", ["x"], ["logits"], then_branch=helper.make_graph(
            [helper.make_node("Constant", [], ["logits"], value=tensor)], "e", [], [value]))],
    ):  # fmt: skip
        with pytest.raises(ModelRefused, match="leaves the model's folder"):
            load_picture_model(str(save(model(nodes=nodes), tmp_path)))


def _not_finite(value: float) -> np.ndarray:
    weight = WEIGHT.copy()
    weight[3, 1] = value
    return weight


CONSTANT = [helper.make_node("Constant", [], ["logits"], value_floats=[1.0, 2.0])]


class Damaged(NamedTuple):
    data: Callable[[], bytes]
    match: str


DAMAGED = (
    Damaged(lambda: b"", "its graph has no nodes"),
    Damaged(lambda: os.urandom(64), "not an ONNX file|no nodes"),
    Damaged(lambda: model().SerializeToString()[:400], "not an ONNX file|onnxruntime refuses it"),
    Damaged(lambda: model(_not_finite(float("nan"))).SerializeToString(), "NaN or infinity in its weight w"),
    Damaged(lambda: model(_not_finite(float("-inf"))).SerializeToString(), "NaN or infinity in its weight w"),
    Damaged(lambda: model(WEIGHT[:7]).SerializeToString(), "does not run on its own input|refuses it"),
    Damaged(lambda: model(nodes=[helper.make_node("Nonsense", ["x"], ["logits"])]).SerializeToString(), "onnxruntime refuses it"),
    Damaged(lambda: model(nodes=[helper.make_node("Relu", ["x"], ["logits"])]).SerializeToString(), r"its output is \(1, 3, 8, 8\)"),
    Damaged(lambda: model(kind=TensorProto.INT64).SerializeToString(), "refuses it|not one float tensor"),
)  # fmt: skip


@pytest.mark.parametrize("row", DAMAGED, ids=lambda row: row.match)
def test_damaged_files_are_refused(tmp_path: Path, row: Damaged) -> None:
    path = save(model(), tmp_path)
    path.write_bytes(row.data())
    with pytest.raises(ModelRefused, match=row.match) as caught:
        load_picture_model(str(path))
    assert "\n" not in str(caught.value)


def test_weightless_graphs_are_refused(tmp_path: Path) -> None:
    proto = model(nodes=CONSTANT)
    proto.graph.ClearField("initializer")
    path = save(proto, tmp_path)
    with pytest.raises(ModelRefused, match="it holds no weights"):
        graph_fingerprint("onnx:net", read_graph("onnx:net", path))


def test_a_tensor_whose_bytes_do_not_fit_is_refused(tmp_path: Path) -> None:
    proto = model()
    proto.graph.initializer[0].raw_data = b"\0" * 12
    path = save(proto, tmp_path)
    with pytest.raises(ModelRefused, match="its tensor w is damaged"):
        graph_fingerprint("onnx:net", read_graph("onnx:net", path))


def test_a_missing_json_is_said(tmp_path: Path) -> None:
    path = save(model(), tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(CanvasRefused, match=r"net\.json is missing"):
        load_picture_model(str(path))


def test_a_json_of_another_size_is_refused(tmp_path: Path) -> None:
    path = save(model(), tmp_path)
    path.with_suffix(".json").write_text(json.dumps({**FACTS, "input_size": [3, 9, 9]}))
    with pytest.raises(ModelRefused, match="does not run on its own input of 3 x 9 x 9"):
        load_picture_model(str(path))


def test_fingerprint_sees_names_values_and_constants() -> None:
    def of(proto: Any) -> str:
        return graph_fingerprint("onnx:net", proto)

    renamed = model()
    renamed.graph.initializer[0].name = "v"
    moved = model()
    value = onnx.TensorProto()
    value.CopyFrom(moved.graph.initializer[0])
    moved.graph.ClearField("initializer")
    moved.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=value))
    assert of(model()) == of(moved)
    assert len({of(model()), of(renamed), of(model(WEIGHT + 1)), of(model(WEIGHT.T.copy()))}) == 4


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_names_the_extra(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(model(), tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtra, match=rf"^{package} is needed .* pip install 'catch11\[onnx\]'"
    ):
        load_picture_model(str(path))
