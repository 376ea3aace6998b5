"""The front of an ONNX graph: the same as the torch model's, and as the graph's own output."""

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from catch11.canvas.frame import Canvas, Fit
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.find import evaluating, find_front
from catch11.models.onnx import front as front_module
from catch11.models.onnx.convert import onnx_to_torch
from catch11.models.onnx.front import find_onnx_front

CANVAS = Canvas(
    height=20, width=20, top=2, left=2, window_height=16, window_width=16,
    gain=(4.0, 3.0, 5.0), offset=(-2.0, -1.5, -2.5), order=(2, 1, 0),
    fit=Fit(resize="exact", height=20, width=20),
)  # fmt: skip


def export(net: nn.Module, path: Path, *, dynamo: bool, batch: int = 2) -> Any:
    """The model as its exporter writes it, with a free batch axis where it writes one."""
    x = torch.zeros(batch, 3, 16, 16)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, verbose=False)
        else:
            axes = {"x": {0: "batch"}}
            torch.onnx.export(net, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    return onnx.load(path)


def norm(channels: int, *, kind: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    layer: Any = kind(channels)
    nn.init.uniform_(layer.weight, 0.5, 1.5)
    nn.init.normal_(layer.bias)
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.5, 2.0)
    return layer


class Net(nn.Module):
    """A front, an optional change of the picture before it, and a small head."""

    def __init__(self, front: nn.Module, before: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.front, self.before = front, before
        with torch.no_grad(), evaluating(self):
            features = self._front(torch.zeros(1, 3, 16, 16)).flatten(1).shape[1]
        self.head = nn.Linear(features, 4)

    def _front(self, x: Tensor) -> Tensor:
        return self.front(x if self.before is None else self.before(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self._front(x)).flatten(1))


class Patches(nn.Module):
    """A dense layer applied to each 4 x 4 tile, written with reshapes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        tiles = x.reshape(-1, 3, 4, 4, 4, 4).permute(0, 2, 4, 3, 5, 1)
        return self.embed(tiles.reshape(-1, 16, 48))


def conv(inputs: int, outputs: int, kernel: int, **settings: Any) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, **settings)


MEAN, STD = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.9, 1.1, 1.3])

NETS: dict[str, Callable[[], nn.Module]] = {
    "conv": lambda: Net(conv(3, 8, 3, padding=1)),
    "conv, norm": lambda: Net(
        nn.Sequential(conv(3, 8, 5, stride=2, padding=2, bias=False), norm(8))
    ),
    "conv, dilated": lambda: Net(conv(3, 8, 3, dilation=2, stride=2, padding=(0, 1))),
    "conv, groups": lambda: Net(nn.Sequential(conv(3, 9, 3, groups=3), norm(9))),
    "conv, even same": lambda: Net(conv(3, 8, 4, padding="same")),
    "pad, conv": lambda: Net(conv(3, 8, 3, stride=2), lambda x: F.pad(x, (0, 1, 0, 1))),
    "mean and std, conv": lambda: Net(
        conv(3, 8, 3), lambda x: (x - MEAN[:, None, None]) / STD[:, None, None]
    ),
    "BGR, conv": lambda: Net(conv(3, 8, 3), lambda x: x.flip(1)),
    "BGR by index, conv": lambda: Net(conv(3, 8, 3), lambda x: x[:, [2, 0, 1]]),
    "norm, conv": lambda: Net(nn.Sequential(norm(3), conv(3, 8, 3, padding=1))),
    "patch": lambda: Net(conv(3, 20, 4, stride=4)),
    "patch by reshape": lambda: Net(Patches()),
    "dense": lambda: Net(nn.Sequential(nn.Flatten(), nn.Linear(768, 20))),
    "dense, norm": lambda: Net(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 20, bias=False), norm(20, kind=nn.BatchNorm1d))
    ),
    "dense, channels last": lambda: Net(
        nn.Sequential(nn.Flatten(), nn.Linear(768, 20)), lambda x: x.permute(0, 2, 3, 1)
    ),
}


@pytest.mark.parametrize("dynamo", [False, True], ids=["traced", "dynamo"])
@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_a_model_and_its_export_share_the_front(name: str, dynamo: bool, tmp_path: Path) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
    torch.manual_seed(7)
    net = NETS[name]().eval()
    graph = export(net, tmp_path / "net.onnx", dynamo=dynamo)
    expected, found = find_front(net, CANVAS), find_onnx_front(graph, CANVAS)
    assert found.geometry == expected.geometry
    assert found.padding == expected.padding
    torch.testing.assert_close(found.weight, expected.weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.bias, expected.bias, rtol=1e-5, atol=1e-5)
    assert found.neutral == pytest.approx(expected.neutral, abs=1e-6)
    assert found.fingerprint() == expected.fingerprint()
    x = torch.randn(3, 3, 16, 16)  # the graph may have a fixed batch of two
    torch.testing.assert_close(onnx_to_torch(graph)(x), net(x), rtol=1e-4, atol=1e-5)


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for seed in range(3):
        torch.manual_seed(seed)
        net = Net(nn.Sequential(conv(3, 8, 3, bias=False), norm(8))).eval()
        graph = export(net, tmp_path / f"{seed}.onnx", dynamo=False)
        prints.add(find_onnx_front(graph, CANVAS).fingerprint())
    assert len(prints) == 3


# --- graphs written by hand -----------------------------------------------------------------------

W = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)


def graph(
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    *,
    shape: tuple[Any, ...] = ("n", 3, 16, 16),
    output: str = "y",
    inputs: list[Any] | None = None,
    opset: int = 17,
) -> Any:
    tensors = [
        numpy_helper.from_array(np.asarray(v), name) for name, v in (constants or {"w": W}).items()
    ]
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    made = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    body = helper.make_graph(nodes, "g", [picture, *(inputs or [])], [made], tensors)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(kind: str, given: str, made: str, **facts: Any) -> Any:
    return helper.make_node(kind, given.split(), made.split(), name=facts.pop("name", ""), **facts)


PLAIN = plain_canvas(16, 16)


class Pads(NamedTuple):
    mode: str
    kernel: int
    stride: int
    dilation: int
    padding: tuple[int, int, int, int]


# 16 pixels; output ceil(16 / stride); total padding (out - 1) * stride + reach - 16
PADS = (
    Pads("SAME_UPPER", 3, 1, 1, (1, 1, 1, 1)),
    Pads("SAME_UPPER", 3, 2, 1, (0, 1, 0, 1)),
    Pads("SAME_LOWER", 3, 2, 1, (1, 0, 1, 0)),
    Pads("SAME_UPPER", 4, 1, 1, (1, 2, 1, 2)),
    Pads("SAME_LOWER", 4, 1, 1, (2, 1, 2, 1)),
    Pads("SAME_UPPER", 3, 3, 2, (2, 2, 2, 2)),
    Pads("SAME_UPPER", 2, 5, 1, (0, 1, 0, 1)),
    Pads("SAME_UPPER", 1, 2, 1, (0, 0, 0, 0)),
    Pads("VALID", 3, 1, 1, (0, 0, 0, 0)),
)


@pytest.mark.parametrize("row", PADS, ids=repr)
def test_automatic_padding(row: Pads) -> None:
    weight = np.random.default_rng(1).normal(size=(4, 3, row.kernel, row.kernel)).astype(np.float32)
    facts = {"strides": [row.stride] * 2, "dilations": [row.dilation] * 2, "auto_pad": row.mode}
    model = graph([node("Conv", "x w", "y", **facts)], {"w": weight})
    front = find_onnx_front(model, PLAIN)
    assert front.padding == row.padding
    _is_what_the_graph_computes(model, front)


def _is_what_the_graph_computes(model: Any, front: Any, *, tolerance: float = 1e-4) -> None:
    """The reference implementation's response to a change of the window equals the front's."""
    from onnx.reference import ReferenceEvaluator

    run: Any = ReferenceEvaluator(model)
    a, b = torch.rand(2, 1, 3, 16, 16)
    high, low = (np.asarray(run.run(None, {"x": v.numpy()})[0]) for v in (a, b))
    response = front.apply((a - b).double())
    expected = torch.from_numpy(high - low).double()
    if expected.dim() == 3:  # tokens: (n, tiles, out)
        expected = expected.transpose(1, 2)
    torch.testing.assert_close(
        response.reshape(expected.shape), expected, rtol=tolerance, atol=tolerance
    )


SCALE = np.array([0.5, 2.0, 4.0], np.float32).reshape(1, 3, 1, 1)
OUT = np.linspace(0.5, 2.0, 6).astype(np.float32)

# Each graph computes something linear in x whose front is one convolution with weight w.
CHAINS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "identity, cast": (
        [node("Identity", "x", "a"), node("Cast", "a", "b", to=1), node("Conv", "b w", "y")],
        {},
    ),
    "sub, div": (
        [node("Sub", "x m", "a"), node("Div", "a s", "b"), node("Conv", "b w", "y")],
        {"m": SCALE, "s": SCALE},
    ),
    "constant minus pixels": (
        [node("Sub", "m x", "a"), node("Neg", "a", "b"), node("Conv", "b w", "y")],
        {"m": SCALE},
    ),
    "scale of 255, shift": (
        [node("Mul", "k x", "a"), node("Add", "a m", "b"), node("Conv", "b w", "y")],
        {"k": np.float32(255), "m": SCALE},
    ),
    "pad after normalising": (
        [node("Sub", "x m", "a"), node("Pad", "a p", "b"), node("Conv", "b w", "y", strides=[2, 2])],
        {"m": SCALE, "p": np.array([0, 0, 0, 2, 0, 0, 1, 1])},
    ),
    "pad on named axes": (
        [node("Pad", "x p v ax", "b"), node("Conv", "b w", "y")],
        {"p": np.array([1, 2]), "v": np.float32(0), "ax": np.array([-1])},
    ),
    "pad and pads": (
        [node("Pad", "x p", "b"), node("Conv", "b w", "y", pads=[1, 0, 0, 1])],
        {"p": np.array([0, 0, 0, 1, 0, 0, 1, 0])},
    ),
    "channels last and back": (
        [node("Transpose", "x", "a", perm=[0, 2, 3, 1]), node("Mul", "a k", "b"),
         node("Transpose", "b", "c", perm=[0, 3, 1, 2]), node("Conv", "c w", "y")],
        {"k": SCALE.reshape(3)},
    ),
    "BGR by gather": (
        [node("Gather", "x i", "a", axis=1), node("Conv", "a w", "y")],
        {"i": np.array([2, 1, 0])},
    ),
    "BGR by slice": (
        [node("Slice", "x b e ax st", "a"), node("Conv", "a w", "y")],
        {"b": np.array([2]), "e": np.array([-(2**31)]), "ax": np.array([1]), "st": np.array([-1])},
    ),
    "split, scale, concat": (
        [node("Split", "x", "r g b", axis=1), node("Mul", "g k", "h"),
         node("Concat", "b h r", "a", axis=1), node("Conv", "a w", "y")],
        {"k": np.float32(3)},
    ),
    "there and back by reshape": (
        [node("Shape", "x", "s"), node("Flatten", "x", "a"), node("Reshape", "a s", "b"),
         node("Conv", "b w", "y")],
        {},
    ),
    "norm before": (
        [node("BatchNormalization", "x g b m v", "a"), node("Conv", "a w", "y")],
        {"g": SCALE.reshape(3), "b": SCALE.reshape(3), "m": SCALE.reshape(3), "v": SCALE.reshape(3)},
    ),
    "norm behind": (
        [node("Conv", "x w", "a"), node("BatchNormalization", "a g b m v", "y", epsilon=0.01)],
        {"g": OUT, "b": OUT, "m": OUT, "v": OUT},
    ),
    "mul, add behind": (
        [node("Conv", "x w", "a"), node("Mul", "a g", "c"), node("Add", "b c", "y")],
        {"g": OUT.reshape(6, 1, 1), "b": OUT.reshape(1, 6, 1, 1)},
    ),
    "sub, div behind": (
        [node("Conv", "x w", "a"), node("Sub", "b a", "c"), node("Div", "c g", "y")],
        {"g": OUT.reshape(6, 1, 1), "b": np.float32(2)},
    ),
    "dequantised weight": (
        [node("DequantizeLinear", "q qs qz", "w2", axis=0), node("Conv", "x w2", "y")],
        {"q": np.round(W * 20).astype(np.int8), "qs": OUT / 20, "qz": np.zeros(6, np.int8)},
    ),
    "transposed weight": (
        [node("Transpose", "wt", "w2", perm=[3, 2, 0, 1]), node("Conv", "x w2", "y")],
        {"wt": np.ascontiguousarray(W.transpose(2, 3, 1, 0))},
    ),
    "gemm": (
        [node("Flatten", "x", "a"), node("Gemm", "a d c", "y", alpha=0.5, beta=2.0)],
        {"d": np.random.default_rng(2).normal(size=(768, 5)).astype(np.float32), "c": OUT[:5]},
    ),
    "gemm, transposed": (
        [node("Flatten", "x", "a"), node("Gemm", "a d", "y", transB=1)],
        {"d": np.random.default_rng(2).normal(size=(5, 768)).astype(np.float32)},
    ),
    "matmul, add, norm": (
        [node("Reshape", "x s", "a"), node("MatMul", "a d", "b"), node("Add", "b c", "y")],
        {"s": np.array([0, -1]), "c": OUT[:5],
         "d": np.random.default_rng(2).normal(size=(768, 5)).astype(np.float32)},
    ),
    "sub, div, gemm": (
        [node("Sub", "x m", "a"), node("Div", "a m", "b"), node("Flatten", "b", "c"), node("Gemm", "c d", "y")],
        {"m": SCALE, "d": np.random.default_rng(2).normal(size=(768, 5)).astype(np.float32)},
    ),
    "space to depth and back": (
        [node("SpaceToDepth", "x", "a", blocksize=4), node("DepthToSpace", "a", "b", blocksize=4),
         node("Conv", "b w", "y")],
        {},
    ),
    "mul, tiles": (
        [node("Mul", "x m", "z"), node("Reshape", "z s1", "a"), node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3, 5]),
         node("Reshape", "b s2", "c"), node("MatMul", "c d", "y")],
        {"m": SCALE, "s1": np.array([0, 3, 4, 4, 2, 8]), "s2": np.array([0, 8, 96]),
         "d": np.random.default_rng(2).normal(size=(96, 5)).astype(np.float32)},
    ),
    "tiles": (
        [node("Reshape", "x s1", "a"), node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3, 5]),
         node("Reshape", "b s2", "c"), node("MatMul", "c d", "e"), node("Add", "e k", "y")],
        {"s1": np.array([0, 3, 4, 4, 2, 8]), "s2": np.array([0, 8, 96]), "k": OUT[:5],
         "d": np.random.default_rng(2).normal(size=(96, 5)).astype(np.float32)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_what_lies_around_the_layer_is_folded(name: str) -> None:
    nodes, constants = CHAINS[name]
    model = graph(nodes, {"w": W, **constants}, opset=21)
    front = find_onnx_front(model, PLAIN)
    _is_what_the_graph_computes(model, front, tolerance=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["side by side", "space to depth"])
def test_a_graph_and_its_net_share_a_front_of_another_kind(how: str, tmp_path: Path) -> None:
    torch.manual_seed(0)

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.thin = nn.Conv2d(3, 4, 5, 2, 2), nn.Conv2d(3, 2, 3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat(
                [self.wide(x).relu().mean((2, 3)), self.thin(x).tanh().mean((2, 3))], 1
            )

    folded = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 5, 3, 1, 1), nn.ReLU(), nn.Flatten())
    net = (Beside() if how == "side by side" else folded).eval()
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (torch.zeros(1, 3, 16, 16),), path, dynamo=False, input_names=["x"])
    found = find_onnx_front(onnx.load(path), PLAIN)
    plain = find_front(net, PLAIN)
    assert found.fingerprint() == plain.fingerprint()
    assert found.kernel == ((5, 5) if how == "side by side" else (6, 6))


def test_folding_stops_where_others_read() -> None:
    """A position embedding differs from place to place; a second reader sees the layer as it is."""
    place = np.random.default_rng(3).normal(size=(1, 6, 14, 14)).astype(np.float32)
    plain = find_onnx_front(graph([node("Conv", "x w", "y")]), PLAIN)
    for nodes in (
        [node("Conv", "x w", "a"), node("Add", "a place", "b"), node("Mul", "b k", "y")],
        [node("Conv", "x w", "a"), node("Sigmoid", "a", "b"), node("Mul", "a b", "y")],
        [node("Conv", "x w", "a"), node("Mul", "a k", "b"), node("Add", "a b", "y")],
    ):
        model = graph(nodes, {"w": W, "place": place, "k": np.float32(3)})
        assert find_onnx_front(model, PLAIN).fingerprint() == plain.fingerprint()


def test_quantised_input_and_layer() -> None:
    """Rounding aside, the quantised graph has the front of the plain one."""
    q = np.round(W * 40).astype(np.int8)
    nodes = [
        node("QuantizeLinear", "x s z", "a"),
        node("QLinearConv", "a s z q qs qz s z", "b"),
        node("DequantizeLinear", "b s z", "y"),
    ]
    facts = {
        "s": np.float32(1 / 255),
        "z": np.uint8(3),
        "q": q,
        "qs": np.float32(1 / 40),
        "qz": np.int8(0),
    }
    found = find_onnx_front(graph(nodes, facts), PLAIN)
    plain = find_onnx_front(
        graph([node("Conv", "x w", "y")], {"w": q.astype(np.float32) / 40}), PLAIN
    )
    torch.testing.assert_close(found.weight, plain.weight, rtol=1e-5, atol=1e-6)
    nodes = [
        node("QuantizeLinear", "x s z", "a"),
        node("DequantizeLinear", "a s z", "b"),
        node("Conv", "b w", "y"),
    ]
    found = find_onnx_front(graph(nodes, {"w": W, **facts}), PLAIN)
    torch.testing.assert_close(found.weight, torch.from_numpy(W).double(), rtol=1e-5, atol=1e-6)


def test_free_sides_before_three_channels_are_channels_last() -> None:
    nodes = [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "y")]
    for sides in (("h", "w", 3), ("h", 16, 3), (16, 16, 3)):
        model = graph(nodes, {"w": W}, shape=("n", *sides))
        assert (
            find_onnx_front(model, PLAIN).fingerprint()
            == find_onnx_front(graph([node("Conv", "x w", "y")], {"w": W}), PLAIN).fingerprint()
        )


def test_a_graphs_front_is_held_against_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer read otherwise than the runtime runs it is refused, by name and by how much."""
    model = graph([node("Conv", "x w", "y", name="stem", pads=[1, 1, 1, 1])], {"w": W})
    find_onnx_front(model, PLAIN)
    read = front_module.torch_layer
    monkeypatch.setattr(
        front_module, "torch_layer",
        lambda n, facts, fixed: read(n, {**facts, "strides": [2, 2]}, fixed),
    )  # fmt: skip
    with pytest.raises(
        NoFront, match=r"stem: what this Conv2d.* puts out is of another shape than"
    ):
        find_onnx_front(model, PLAIN)
    monkeypatch.setattr(
        front_module, "torch_layer", lambda n, f, fixed: _doubled(read(n, f, fixed))
    )
    with pytest.raises(NoFront, match=r"stem: what this Conv2d.* puts out is 50\.0% away from"):
        find_onnx_front(model, PLAIN)


def _doubled(layer: Any) -> Any:
    layer.weight.data *= 2
    return layer


def test_half_precision_does_not_round_the_window() -> None:
    nodes = [node("Cast", "x", "a", to=10), node("Mul", "a k", "b"), node("Conv", "b w", "y")]
    half = graph(nodes, {"w": W.astype(np.float16), "k": np.float16(0.25)})
    plain = graph(nodes[-1:], {"w": W.astype(np.float16).astype(np.float32)})
    plain.graph.node[0].input[0] = "x"
    expected = find_onnx_front(plain, PLAIN).weight / 4
    torch.testing.assert_close(find_onnx_front(half, PLAIN).weight, expected, rtol=1e-12, atol=0)


def test_tiles_of_a_fixed_batch() -> None:
    nodes = [node("Reshape", "x s1", "a"), node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3, 5]),
             node("Reshape", "b s2", "c"), node("MatMul", "c d", "y")]  # fmt: skip
    d = np.random.default_rng(2).normal(size=(96, 5)).astype(np.float32)
    free, fixed = (
        {"d": d, "s1": np.array([b, 3, 4, 4, 2, 8]), "s2": np.array([s, 96])}
        for b, s in ((0, -1), (2, 16))
    )
    found = find_onnx_front(graph(nodes, fixed, shape=(2, 3, 16, 16)), PLAIN)
    assert found.fingerprint() == find_onnx_front(graph(nodes, free), PLAIN).fingerprint()
    assert found.geometry == "patch"


def test_what_torch_cannot_run_behind_the_layer_does_not_count() -> None:
    nodes = [node("Conv", "x w", "a"), node("Hardmax", "a", "y")]
    plain = find_onnx_front(graph([node("Conv", "x w", "y")]), PLAIN)
    assert find_onnx_front(graph(nodes), PLAIN).fingerprint() == plain.fingerprint()


def test_a_fused_layer_is_read_without_its_activation() -> None:
    fused = graph([node("FusedConv", "x w", "y", activation="Relu")])
    fused.graph.node[0].domain = "com.microsoft"
    fused.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    plain = find_onnx_front(graph([node("Conv", "x w", "y")]), PLAIN)
    assert find_onnx_front(fused, PLAIN).fingerprint() == plain.fingerprint()


def test_unused_branches_do_not_count() -> None:
    nodes = [node("Relu", "x", "unused"), node("Conv", "x w", "y", name="stem")]
    assert find_onnx_front(graph(nodes), PLAIN).layer == "stem"


def test_a_layer_is_named_by_node_or_output() -> None:
    model = graph([node("Conv", "x w", "y", name="stem")])
    assert find_onnx_front(model, PLAIN, layer="stem").layer == "stem"
    assert find_onnx_front(model, PLAIN, layer="y").layer == "stem"
    with pytest.raises(InvalidArgument, match="layer: expected one of stem"):
        find_onnx_front(model, PLAIN, layer="other")


class Bad(NamedTuple):
    nodes: list[Any]
    match: str
    constants: Mapping[str, Any] = MappingProxyType({})


NONE = (
    Bad([node("Relu", "x", "a", name="act"), node("Conv", "a w", "y")], "act: a Relu changes the pixels"),
    Bad([node("Conv", "x w", "a", name="one"), node("Conv", "x w", "b", name="two", strides=[2, 2]), node("Concat", "a b", "y")],
        "one: the input also reaches two around it; two: the input also reaches one"),
    Bad([node("Conv", "x w", "a", name="one"), node("Sigmoid", "x", "b", name="gate"), node("Concat", "a b", "y", axis=1)],
        "one: the input also reaches gate around it; gate: a Sigmoid"),
    Bad([node("Pad", "x p", "a", name="pad", mode="reflect"), node("Conv", "a w", "y")],
        "y: the model pads its input with more than a constant", {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}),
    Bad([node("Pad", "x p", "a", name="pad"), node("Conv", "a w", "y")],
        "y: its input .* does not hold the window 16 x 16", {"p": np.array([0, 0, -1, 0, 0, 0, 0, 0])}),
    Bad([node("Pad", "x p", "a", name="pad"), node("Conv", "a w", "y")],
        "y: what lies before it does not fit the window .a Pad adds more than 4096", {"p": np.array([0, 0, 0, 0, 0, 0, 10**6, 0])}),
    Bad([node("Slice", "x b e ax", "a"), node("Conv", "a w", "y", name="c")],
        "c: its input .* does not hold the window 16 x 16", {"b": np.array([2]), "e": np.array([12]), "ax": np.array([2])}),
    Bad([node("Transpose", "x", "a", perm=[0, 1, 3, 2]), node("Conv", "a w", "y", name="c")], "c: its input is not the model's input"),
    Bad([node("Mul", "x m", "a"), node("Conv", "a w", "y", name="c")],
        "c: its input is not the model's input", {"m": np.linspace(1, 2, 16).astype(np.float32)}),
    Bad([node("Mul", "x z", "a"), node("Conv", "a w", "y", name="c")], "c: its input is not the model's input", {"z": np.float32(0)}),
    Bad([node("Div", "x z", "a", name="d"), node("Conv", "a w", "y")], "y: its input is not the model's input", {"z": np.float32(0)}),
    Bad([node("Div", "k x", "a", name="d"), node("Conv", "a w", "y")], "y: its input is not the model's input", {"k": np.float32(1)}),
    Bad([node("Mul", "x x", "a", name="sq"), node("Conv", "a w", "y")], "y: its input is not the model's input"),
    Bad([node("Cast", "x", "a", name="cast", to=2), node("Cast", "a", "b", to=1), node("Conv", "b w", "y")], "y: what lies before it .*a Cast to whole numbers rounds the pixels"),
    Bad([node("ReduceMean", "x", "m", axes=[2, 3], name="mean"), node("Sub", "x m", "a"), node("Conv", "a w", "y")], "mean: a ReduceMean"),
    Bad([node("Identity", "x", "w2"), node("Conv", "x w2", "y", name="c")], "c: its weight w2 is not constant"),
    Bad([node("Flatten", "x", "a"), node("MatMul", "d a", "y", name="m")], "m: the pixels are its second factor",
        {"d": np.ones((2, 1), np.float32)}),
    Bad([node("MatMul", "x d", "y", name="rows")], "rows: its vectors are not whole tiles|rows: its vectors are not the tiles",
        {"d": np.ones((16, 2), np.float32)}),
    Bad([node("Flatten", "x", "a"), node("Gemm", "a d", "y", name="g")], "g: its weight .* does not fit", {"d": np.ones((7, 2), np.float32)}),
    Bad([node("Reshape", "x s", "a", name="r"), node("Conv", "a w", "y")], "y: what lies before it does not fit the window .shape", {"s": np.array([1, 5, 5, 5])}),
    Bad([node("Conv", "x w3", "y", name="c")], "c: its weight .* does not fit an input", {"w3": np.ones((2, 4, 3, 3), np.float32)}),
    Bad([node("Conv", "x w", "y", name="c", pads=[-1, 0, 0, 0])], "c: its padding is negative"),
    Bad([node("Sub", "x t", "a"), node("Reshape", "a s", "b"), node("MatMul", "b d", "y", name="m")], "m: its normalisation differs from tile to tile",
        {"t": np.ones((3, 16, 16), np.float32).cumsum(1), "s": np.array([-1, 16, 48]), "d": np.ones((48, 2), np.float32)}),
    Bad([node("Conv", "x w3", "y", name="c")], "c: its weight is not one kernel or matrix", {"w3": np.ones((2, 3), np.float32)}),
    Bad([node("Shape", "x", "s"), node("Cast", "s", "y", to=1)], "it has no layers"),
)  # fmt: skip


@pytest.mark.parametrize("row", NONE, ids=lambda row: row.match[:50])
def test_no_usable_front_names_every_layer(row: Bad) -> None:
    with pytest.raises(NoFront, match=row.match) as caught:
        find_onnx_front(graph(row.nodes, {"w": W, **row.constants}), PLAIN)
    assert "\n" not in str(caught.value)


def test_a_graph_that_takes_channels_last() -> None:
    last = graph(
        [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "y")],
        shape=("n", 16, 16, 3),
    )
    plain = graph([node("Conv", "x w", "y")])
    found = find_onnx_front(last, CANVAS)
    assert found.fingerprint() == find_onnx_front(plain, CANVAS).fingerprint()
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(onnx_to_torch(last)(x), onnx_to_torch(plain)(x))


def test_graphs_of_other_inputs() -> None:
    mask = helper.make_tensor_value_info("mask", TensorProto.FLOAT, None)
    both = [node("Mul", "x mask", "a"), node("Conv", "a w", "y")]
    with pytest.raises(NoFront, match=r"2 inputs \(x, mask\)"):
        find_onnx_front(graph(both, inputs=[mask]), PLAIN)
    plain = [node("Conv", "x w", "y")]
    with pytest.raises(NoFront, match="batch is fixed at 64; export it with a free batch axis"):
        find_onnx_front(graph(plain, shape=(64, 3, 16, 16)), PLAIN)
    with pytest.raises(InvalidArgument, match="canvas: expected the window"):
        find_onnx_front(graph(plain, shape=("n", 3, 24, 16)), PLAIN)


HUGE = 1 << 40


@pytest.mark.parametrize(
    "nodes",
    [
        [
            node("ConstantOfShape", "big", "c"),
            node("Reshape", "x c", "a"),
            node("Conv", "a w", "y"),
        ],
        [node("Expand", "one big", "c"), node("Add", "x c", "a"), node("Conv", "a w", "y")],
        [node("Tile", "one big", "c"), node("Add", "x c", "a"), node("Conv", "a w", "y")],
        [node("Range", "zero far step", "c"), node("Add", "x c", "a"), node("Conv", "a w", "y")],
        [node("Add", "row column", "c"), node("Mul", "x c", "a"), node("Conv", "a w", "y")],
    ],
    ids=["ConstantOfShape", "Expand", "Tile", "Range", "broadcast"],
)
def test_graphs_that_ask_for_terabytes(nodes: list[Any]) -> None:
    constants = {
        "w": W, "big": np.array([HUGE]), "one": np.ones(1, np.float32), "zero": np.float32(0),
        "far": np.float32(HUGE), "step": np.float32(1),
        "row": np.ones((1, 1 << 15), np.float32), "column": np.ones((1 << 15, 1), np.float32),
    }  # fmt: skip
    with pytest.raises(NoFront, match="not constant"):
        find_onnx_front(graph(nodes, constants), PLAIN)


def test_a_cycle_of_constants_ends() -> None:
    nodes = [
        node("Add", "b one", "a"),
        node("Add", "a one", "b"),
        node("Conv", "x b", "y", name="c"),
    ]
    with pytest.raises(NoFront, match="c: its weight b is not constant"):
        find_onnx_front(graph(nodes, {"one": np.float32(1)}), PLAIN)
