"""Each ONNX operator in torch computes what onnxruntime computes, and has a gradient."""

import copy
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from catch11.models.onnx.convert import GraphModule, Unsupported, onnx_to_torch
from catch11.models.onnx.ops import OPS, operator

RANDOM = np.random.default_rng(4)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def node(kind: str, given: str, made: str = "y", **facts: Any) -> Any:
    return helper.make_node(
        kind, [n if n != "-" else "" for n in given.split()], made.split(), **facts
    )


class Row(NamedTuple):
    nodes: list[Any]
    constants: dict[str, Any]
    shape: tuple[int, ...] = (2, 3, 8, 6)
    opset: int = 18
    smooth: bool = True  # has a gradient


def one(
    kind: str, given: str = "x", *, constants: dict[str, Any] | None = None, **facts: Any
) -> Row:
    return Row([node(kind, given, **facts)], constants or {})


FUSED = "com.microsoft"
AXES = np.array([2, 3])
FLAT = (2, 12)
ROWS: dict[str, Row] = {
    **{kind: one(kind) for kind in ["Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Abs", "Neg", "Softplus", "Mish", "HardSwish", "Identity", "Dropout", "HardSigmoid", "LeakyRelu", "Elu", "GlobalAveragePool", "GlobalMaxPool", "Softmax", "LogSoftmax", "Flatten", "Transpose"]},
    **{kind: one(kind, "x c", constants={"c": np.abs(normal(3, 1, 1)) + 0.5})
       for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")},
    **{kind: Row([node("Abs", "x", "a"), node("Add", "a c", "b"), node(kind, "b")], {"c": np.float32(1)})
       for kind in ("Sqrt", "Log", "Reciprocal")},
    "Floor": one("Floor")._replace(smooth=False),
    "Ceil": one("Ceil")._replace(smooth=False),
    "Gelu": Row([node("Gelu", "x")], {}, opset=20),
    "Gelu tanh": Row([node("Gelu", "x", approximate="tanh")], {}, opset=20),
    "Pow": one("Pow", "x c", constants={"c": np.float32(2)}),
    "two tensors": Row([node("Relu", "x", "a"), node("Mul", "a x")], {}),
    "MatMul": one("MatMul", "x c", constants={"c": normal(6, 5)}),
    "MatMul, constant first": one("MatMul", "c x", constants={"c": normal(5, 8)}),
    "MatMul of two": Row([node("Transpose", "x", "a", perm=[0, 1, 3, 2]), node("MatMul", "x a")], {}),
    "Clip": one("Clip", "x lo hi", constants={"lo": np.float32(-0.5), "hi": np.float32(1)}),
    "Clip above": one("Clip", "x - hi", constants={"hi": np.float32(1)}),
    "Clip 6": Row([node("Clip", "x", min=0.0, max=0.5)], {}, opset=10),
    "Clip none": one("Clip"),
    "Softmax 11": Row([node("Softmax", "x", axis=2)], {}, opset=11),
    "Softmax axis": one("Softmax", axis=1),
    "LayerNormalization": one("LayerNormalization", "x g b", constants={"g": normal(6), "b": normal(6)}),
    "LayerNormalization 2": one("LayerNormalization", "x g", axis=-2, epsilon=0.1, constants={"g": normal(8, 6)}),
    "BatchNormalization": one("BatchNormalization", "x g b m v", epsilon=0.01, constants={
        "g": normal(3), "b": normal(3), "m": normal(3), "v": np.abs(normal(3))}),
    "InstanceNormalization": one("InstanceNormalization", "x g b", constants={"g": normal(3), "b": normal(3)}),
    "Conv": one("Conv", "x w b", pads=[1, 1, 1, 1], constants={"w": normal(4, 3, 3, 3), "b": normal(4)}),
    "Conv uneven": one("Conv", "x w", pads=[0, 1, 2, 0], strides=[2, 1], constants={"w": normal(4, 3, 3, 3)}),
    "Conv grouped": one("Conv", "x w", group=3, dilations=[2, 1], constants={"w": normal(6, 1, 3, 3)}),
    "Conv same": one("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2], constants={"w": normal(4, 3, 3, 3)}),
    "Conv valid": one("Conv", "x w", auto_pad="VALID", constants={"w": normal(4, 3, 3, 3)}),
    "Conv 1-D": one("Conv", "x w", pads=[1, 0], constants={"w": normal(4, 3, 2)})._replace(shape=(2, 3, 9)),
    "Conv 3-D": one("Conv", "x w", constants={"w": normal(4, 3, 2, 2, 2)})._replace(shape=(2, 3, 4, 4, 4)),
    "Conv computed weight": Row([node("Mul", "w k", "v"), node("Conv", "x v")], {"w": normal(4, 3, 3, 3), "k": np.float32(2)}),
    "Gemm": Row([node("Gemm", "x w c", alpha=0.5, beta=2.0)], {"w": normal(12, 5), "c": normal(5)}, FLAT),
    "Gemm transposed": Row([node("Gemm", "x w c", transB=1)], {"w": normal(5, 12), "c": normal(5)}, FLAT),
    "Gemm one bias": Row([node("Gemm", "x w c")], {"w": normal(12, 5), "c": normal(1)}, FLAT),
    "Gemm of transposed": Row([node("Gemm", "x w", transA=1)], {"w": normal(2, 5)}, FLAT),
    "MaxPool": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "MaxPool uneven": one("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[0, 1, 1, 0]),
    "MaxPool dilated": one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    "MaxPool ceil": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "MaxPool same": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    "AveragePool": one("AveragePool", kernel_shape=[2, 3], strides=[2, 1]),
    "AveragePool padded": one("AveragePool", kernel_shape=[3, 3], pads=[1, 0, 1, 2]),
    "AveragePool counted": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "AveragePool same": one("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "Pad": one("Pad", "x p v", constants={"p": np.array([0, 0, 1, 2, 0, 1, 0, 3]), "v": np.float32(0.5)}),
    "Pad 10": Row([node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 3], value=0.25)], {}, opset=10),
    "Pad reflect": one("Pad", "x p", mode="reflect", constants={"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])}),
    "Pad edge": one("Pad", "x p", mode="edge", constants={"p": np.array([0, 0, 1, 2, 0, 0, 0, 3])}),
    "Pad axes": one("Pad", "x p - ax", constants={"p": np.array([1, 2]), "ax": np.array([-1])}),
    "ReduceMean": one("ReduceMean", "x ax", constants={"ax": AXES}, keepdims=0),
    "ReduceMean 13": Row([node("ReduceMean", "x", axes=[2, 3])], {}, opset=13),
    "ReduceSum": one("ReduceSum", "x ax", constants={"ax": np.array([1])}),
    "ReduceSum all": one("ReduceSum"),
    "ReduceSum none": one("ReduceSum", noop_with_empty_axes=1),
    "ReduceMax": one("ReduceMax", "x ax", constants={"ax": AXES}),
    "ReduceMin": one("ReduceMin", "x ax", constants={"ax": AXES}),
    "ReduceL2": one("ReduceL2", "x ax", constants={"ax": np.array([1])}),
    "Reshape": one("Reshape", "x s", constants={"s": np.array([0, -1, 6])}),
    "Flatten 2": one("Flatten", axis=2),
    "Flatten 0": one("Flatten", axis=0),
    "Transpose perm": one("Transpose", perm=[0, 3, 1, 2]),
    "Squeeze": Row([node("ReduceMean", "x ax", "a"), node("Squeeze", "a ax")], {"ax": AXES}),
    "Unsqueeze": one("Unsqueeze", "x ax", constants={"ax": np.array([0, -1])}),
    "Unsqueeze 11": Row([node("Unsqueeze", "x", axes=[1])], {}, opset=11),
    "Concat": Row([node("Relu", "x", "a"), node("Concat", "x a", axis=1)], {}),
    "Concat constant": one("Concat", "c x", axis=0, constants={"c": normal(1, 3, 8, 6)}),
    "Split": Row([node("Split", "x s", "a b", axis=2), node("Concat", "b a", axis=2)], {"s": np.array([3, 5])}),
    "Split even": Row([node("Split", "x", "a b", axis=2, num_outputs=2), node("Sub", "b a")], {}),
    "Slice": one("Slice", "x b e ax", constants={"b": np.array([1, -4]), "e": np.array([3, 2**31]), "ax": np.array([1, 2])}),
    "Slice steps": one("Slice", "x b e ax st", constants={
        "b": np.array([0, 7]), "e": np.array([100, -100]), "ax": np.array([3, 2]), "st": np.array([2, -3])}),
    "Slice 9": Row([node("Slice", "x", starts=[1], ends=[3], axes=[2])], {}, opset=9),
    "Gather one": one("Gather", "x i", axis=1, constants={"i": np.array(-1)}),
    "Gather many": one("Gather", "x i", axis=2, constants={"i": np.array([[0, 2], [-1, 5]])}),
    "GatherND": one("GatherND", "x i", constants={"i": np.array([[1, 2], [0, 0]])}),
    "Expand": Row([node("ReduceMean", "x ax", "a"), node("Expand", "a s")], {"ax": AXES, "s": np.array([1, 1, 4, 5])}),
    "SpaceToDepth": one("SpaceToDepth", blocksize=2),
    "DepthToSpace": one("DepthToSpace", blocksize=2)._replace(shape=(2, 12, 4, 5)),
    "DepthToSpace CRD": one("DepthToSpace", blocksize=2, mode="CRD")._replace(shape=(2, 12, 4, 5)),
    "Where": Row([node("Where", "m x c")], {"m": normal(8, 6) > 0, "c": np.float32(2)}),
    "Cast": Row([node("Cast", "x", "a", to=11), node("Cast", "a", to=1)], {}),
    "DequantizeLinear": Row([node("DequantizeLinear", "q s z", "w", axis=0), node("Conv", "x w")], {
        "q": RANDOM.integers(-99, 99, (4, 3, 3, 3)).astype(np.int8), "s": np.abs(normal(4)) + 0.1, "z": np.zeros(4, np.int8)}),
    "quantised": Row([node("QuantizeLinear", "x s z", "a"), node("DequantizeLinear", "a s z")], {
        "s": np.float32(0.02), "z": np.uint8(100)}),
    **{kind: one(kind) for kind in ("Sin", "Cos", "Selu", "Celu", "Softsign")},
    "Round": one("Round")._replace(smooth=False),
    "Sign": one("Sign")._replace(smooth=False),
    "IsNaN": Row([node("Sqrt", "x", "a"), node("IsNaN", "a", "n"), node("Where", "n x a")], {}, smooth=False),
    **{kind: Row([node(kind, "x c", "m"), node("Not", "m", "n"), node("Or", "m n", "o"), node("And", "m o", "p"), node("Where", "p x c")],
                 {"c": np.float32(0.2)}) for kind in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal")},
    **{f"{kind} of three": Row([node("Relu", "x", "a"), node(kind, "x a c")], {"c": normal(3, 1, 1)})
       for kind in ("Sum", "Mean", "Max", "Min")},
    "Swish": Row([node("Swish", "x", alpha=1.5)], {}, opset=24),
    "Einsum": Row([node("Einsum", "x c", equation="nchw,wk->nckh")], {"c": normal(6, 5)}),
    "RMSNormalization": Row([node("RMSNormalization", "x g", epsilon=0.1)], {"g": normal(6)}, opset=23),
    "GroupNormalization": Row([node("GroupNormalization", "x g b", num_groups=2)], {"g": normal(4), "b": normal(4)}, (2, 4, 8, 6), opset=21),
    "GroupNormalization 18": Row([node("GroupNormalization", "x g b", num_groups=2)], {"g": normal(2), "b": normal(2)}, (2, 4, 8, 6)),
    "Attention": Row([node("Attention", "x x x", scale=0.3)], {}, opset=23),
    "Attention of heads": Row([node("Attention", "x x x m", q_num_heads=2, kv_num_heads=2)], {"m": normal(5, 5)}, (2, 5, 6), opset=23),
    "ConvTranspose": one("ConvTranspose", "x w b", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0], constants={"w": normal(3, 4, 3, 3), "b": normal(4)}),
    "Resize": one("Resize", "x - k", mode="linear", constants={"k": np.array([1, 1, 2, 1.5], np.float32)}),
    "Resize corners": one("Resize", "x - - k", mode="linear", coordinate_transformation_mode="align_corners", constants={"k": np.array([2, 3, 5, 9])}),
    "Resize nearest": one("Resize", "x - k", coordinate_transformation_mode="asymmetric", nearest_mode="floor", constants={"k": np.array([1, 1, 2, 3], np.float32)}),
    "Upsample": Row([node("Upsample", "x k")], {"k": np.array([1, 1, 2, 2], np.float32)}, opset=9),
    **{kind: Row([node(kind, "x", domain=FUSED)], {}) for kind in ("QuickGelu", "FastGelu")},
    "BiasGelu": Row([node("BiasGelu", "x c", domain=FUSED)], {"c": normal(6)}),
    "FusedMatMul": Row([node("FusedMatMul", "x x", domain=FUSED, transB=1, alpha=0.3)], {}),
    "SkipLayerNormalization": Row([node("Relu", "x", "a"), node("SkipLayerNormalization", "x a g b c", domain=FUSED)],
                                  {"g": normal(6), "b": normal(6), "c": normal(6)}, (2, 5, 6)),
    "shapes": Row([
        node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Unsqueeze", "n ax", "n1"),
        node("Concat", "n1 rest", "t", axis=0), node("Reshape", "x t")],
        {"i": np.array(0), "ax": np.array([0]), "rest": np.array([-1])}),
    "shape of a later tensor": Row([
        node("MaxPool", "x", "a", kernel_shape=[2, 2]), node("Shape", "a", "s", start=2), node("Cast", "s", "f", to=1),
        node("ReduceProd", "f", "p", keepdims=0), node("Div", "a p")], {}),
}  # fmt: skip


def build(row: Row) -> Any:
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in row.constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", *row.shape[1:]))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(row.nodes, "g", [x], [y], tensors)
    return helper.make_model(
        graph,
        ir_version=10,
        opset_imports=[helper.make_opsetid("", row.opset), helper.make_opsetid(FUSED, 1)],
    )


@pytest.mark.parametrize("name", ROWS)
def test_operator_computes_what_onnxruntime_computes(name: str) -> None:
    row = ROWS[name]
    model = build(row)
    x = torch.from_numpy(normal(*row.shape)).requires_grad_()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, ["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, {"x": x.detach().numpy()})
    made = onnx_to_torch(model)(x)
    torch.testing.assert_close(made.detach(), torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    if row.smooth:
        (gradient,) = torch.autograd.grad(made.sum(), x)
        assert gradient.isfinite().all()


def test_every_operator_has_a_row() -> None:
    used = {node.op_type for row in ROWS.values() for node in row.nodes}
    assert set(OPS) <= used


def test_an_operator_is_registered_once() -> None:
    with pytest.raises(KeyError, match="Relu is registered twice"):
        operator("Relu")(OPS["Relu"])


def test_unknown_operators_are_listed() -> None:
    nodes = [
        node("GridSample", "x g", "a"),
        node("Hardmax", "a", "b"),
        node("Relu", "b"),
    ]
    with pytest.raises(Unsupported, match="torch cannot run its operators GridSample, Hardmax"):
        onnx_to_torch(build(Row(nodes, {"g": normal(2, 4, 4, 2)})))


def test_control_flow_is_refused() -> None:
    branch = helper.make_graph(
        [node("Relu", "x")], "b", [], [helper.make_tensor_value_info("y", 1, None)]
    )
    nodes = [node("If", "c", "y", then_branch=branch, else_branch=branch)]
    with pytest.raises(Unsupported, match="If"):
        onnx_to_torch(build(Row(nodes, {"c": np.array(True)})))


def test_several_inputs_are_refused() -> None:
    model = build(ROWS["Relu"])
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, None))
    with pytest.raises(Unsupported, match=r"takes 2 inputs \(x, more\), not one"):
        onnx_to_torch(model)


def test_layers_are_torch_layers() -> None:
    row = Row([node("Conv", "x w", "a", name="/stem/conv"), node("Flatten", "a", "b"), node("Gemm", "b d", name="head")],
              {"w": normal(4, 3, 3, 3), "d": normal(96, 2)})  # fmt: skip
    net = onnx_to_torch(build(row))
    assert isinstance(net.get_submodule("stem_conv"), nn.Conv2d)
    assert isinstance(net.get_submodule("head"), nn.Linear)
    assert {name for name, _ in net.named_parameters()} == {"stem_conv.weight", "head.weight"}
    x = torch.from_numpy(normal(2, 3, 8, 6))
    torch.testing.assert_close(copy.deepcopy(net)(x), net(x))


def test_any_batch_and_many_sizes() -> None:
    net = onnx_to_torch(build(ROWS["shapes"]))
    for batch in (1, 2, 5, 1):
        assert net(torch.zeros(batch, 3, 8, 6)).shape == (batch, 144)
    assert isinstance(net, GraphModule)
    for side in range(4, 24):
        assert net(torch.zeros(1, 3, side, 6)).shape == (1, side * 18)
    assert len(net.memory) <= 8


def test_precision_follows_the_module() -> None:
    net = onnx_to_torch(build(ROWS["Clip"])).double()
    assert net(torch.zeros(1, 3, 8, 6, dtype=torch.float64)).dtype == torch.float64
    both = onnx_to_torch(build(ROWS["BatchNormalization"])).double()
    assert both(torch.zeros(1, 3, 8, 6, dtype=torch.float64)).dtype == torch.float64
