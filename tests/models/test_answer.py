"""What counts as a model's answer: said by its name or by the user, else refused; asked one at a time
where a batch is answered otherwise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.errors import ModelRefused
from catch11.models.answer import answers_of, choose
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model, finish
from catch11.models.load import load_picture_model
from catch11.recoding.deep.target import Target

SIDE = 8
CANVAS = plain_canvas(SIDE, SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
FACTS: dict[str, Any] = {"input_size": [3, SIDE, SIDE], "mean": [0.5] * 3, "std": [0.25] * 3}


def made(module: nn.Module, **settings: Any) -> Model:
    return finish(
        spec="py:net", name="net", module=module.eval(), canvas=CANVAS, fingerprint="0" * 64,
        prepare=canvas_prepare(CANVAS), labels=lambda count: ("",) * count, **settings,
    )  # fmt: skip


class Net(nn.Module):
    """A patch layer and a head; `say` makes the output of features and logits."""

    def __init__(self, say: Callable[[Tensor, Tensor], object], classes: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.head, self.say = nn.Conv2d(3, 6, 4, 4), nn.Linear(24, classes), say

    def forward(self, x: Tensor) -> object:
        features = torch.relu(self.patch(x)).flatten(1)
        return self.say(features, self.head(features))


def test_logits_are_found_among_several_outputs() -> None:
    plain = made(Net(lambda features, logits: logits))
    for say in (
        lambda f, z: {"features": f, "logits": z},
        lambda f, z: {"prob": z},
        lambda f, z: (z,),
    ):
        model = made(Net(say))
        assert torch.equal(
            model.logits(torch.ones(2, 3, SIDE, SIDE)), plain.logits(torch.ones(2, 3, SIDE, SIDE))
        )
    assert plain.held == "the strongest of 5 classes, output output"
    assert (
        made(Net(lambda f, z: {"features": f, "logits": z})).held
        == "the strongest of 5 classes, output logits"
    )


class Unsaid(NamedTuple):
    say: Callable[[Tensor, Tensor], object]
    match: str
    output: str | None = None
    classes: int = 5


UNSAID = [
    Unsaid(lambda f, z: (f, z), r"is not said; it has 0 1 x 24, 1 1 x 5; call it logits, return it alone"),
    Unsaid(lambda f, z: {"features": f, "prob": z}, r"it has features 1 x 24, prob 1 x 5; .*\"output\": \"NAME\""),
    Unsaid(lambda f, z: {"a": f, "b": z}, "it has no output 'c'; it has a 1 x 24, b 1 x 5", "c"),
    Unsaid(lambda f, z: "nothing", "it has none"),
    Unsaid(lambda f, z: z, "answers with one number, so no class is the strongest; give a classifier", None, 1),
    Unsaid(lambda f, z: z[:, None], r"its output is \(1, 1, 5\), not \(1, classes\)"),
]  # fmt: skip


@pytest.mark.parametrize("row", UNSAID, ids=lambda row: row.match[:30])
def test_what_is_not_said_is_refused(row: Unsaid) -> None:
    with pytest.raises(ModelRefused, match=row.match):
        made(Net(row.say, row.classes), output=row.output)


def test_the_user_says_which_output() -> None:
    both, plain = Net(lambda f, z: (f, z)), made(Net(lambda f, z: z))
    model, x = made(both, output="1"), torch.rand(3, 3, SIDE, SIDE)
    assert torch.equal(model.logits(x), plain.logits(x))
    assert model.front().fingerprint() == plain.front().fingerprint()


def graph(folder: Path, nodes: list[Any], outputs: list[str], **tensors: np.ndarray) -> Path:
    value = helper.make_tensor_value_info
    net = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )  # fmt: skip
    path = folder / "net.onnx"
    onnx.save(
        helper.make_model(net, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return path


def beside(path: Path, **facts: Any) -> str:
    path.with_suffix(".json").write_text(json.dumps(FACTS | facts))
    return str(path)


DRAWS = np.random.default_rng(0)
KERNEL = DRAWS.standard_normal((6, 3, 4, 4)).astype("f")
HEAD = DRAWS.standard_normal((24, 10)).astype("f")
FRONT = [
    helper.make_node("Conv", ["x", "w"], ["c"], strides=[4, 4], name="conv"),
    helper.make_node("Relu", ["c"], ["r"]),
]


def test_a_graph_of_two_outputs_wants_a_name(tmp_path: Path) -> None:
    nodes = [
        *FRONT,
        helper.make_node("Flatten", ["r"], ["features"]),
        helper.make_node("MatMul", ["features", "h"], ["prob"]),
    ]
    path = graph(tmp_path, nodes, ["features", "prob"], w=KERNEL, h=HEAD)
    with pytest.raises(ModelRefused, match=r"it has features .*24, prob .*10; call it logits"):
        load_picture_model(beside(path))
    model = load_picture_model(beside(path, output="prob"))
    assert (model.held, len(model.labels)) == ("the strongest of 10 classes, output prob", 10)
    x = torch.rand(3, 3, SIDE, SIDE)
    torch.testing.assert_close(model.forward(x), model.logits(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"classes": [f"k{k}" for k in range(9)]}, "it names 9 labels and answers with 10 logits"),
        ({"label_names": {"1": "a"}}, "it names"),
        ({"num_classes": 1001}, "its num_classes is 1001 and it answers with 10 logits"),
        ({"classes": [1, 2]}, "its classes are no list of names"),
    ],
)
def test_class_names_are_as_many_as_the_logits(tmp_path: Path, facts: Any, match: str) -> None:
    nodes = [
        *FRONT,
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "h"], ["logits"]),
    ]
    path = graph(tmp_path, nodes, ["logits"], w=KERNEL, h=HEAD)
    with pytest.raises(ModelRefused, match=match):
        load_picture_model(beside(path, **facts))


def reshaped(folder: Path, size: list[int]) -> Path:
    tail = [helper.make_node("Reshape", ["r", "s"], ["f"])]
    if len(size) == 3:
        tail += [helper.make_node("ReduceMean", ["f"], ["p"], axes=[2], keepdims=0)]
    width = HEAD[: size[1]]
    tail += [helper.make_node("MatMul", ["p" if len(size) == 3 else "f", "h"], ["logits"])]
    return graph(folder, [*FRONT, *tail], ["logits"], w=KERNEL, h=width, s=np.array(size))


def exported(folder: Path) -> Path:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.patch, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.patch(x)).reshape(int(x.shape[0]), 6, -1).mean(2))

    one = torch.rand(1, 3, SIDE, SIDE)
    torch.export.save(torch.export.export(Fixed().eval(), (one,)), folder / "net.pt2")
    torch.jit.trace(Fixed().eval(), one).save(folder / "net.pt")
    return folder / "net.pt2"


class OfTheBatch(nn.Module):
    """Answers hang on who else is in the batch."""

    def __init__(self, *, over: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.head, self.over = nn.Conv2d(3, 6, 4, 4), nn.Linear(24, 5), over

    def forward(self, x: Tensor) -> Tensor:
        seen = self.patch(x)
        if self.over == "norm":
            seen = nn.functional.batch_norm(seen, None, None, training=True)
        logits = self.head(torch.relu(seen).flatten(1))
        return logits.softmax(0) + logits if self.over == "softmax" else logits


BATCHES: dict[str, Callable[[Path], Model]] = {
    "fixed rows": lambda p: load_picture_model(beside(reshaped(p, [1, 24]))),
    "one row for all": lambda p: load_picture_model(beside(reshaped(p, [1, 6, -1]))),
    "torch.export": lambda p: load_picture_model(beside(exported(p)), allow_code=True),
    "traced": lambda p: load_picture_model(beside(exported(p).with_suffix(".pt")), allow_code=True),
    "batch norm in training": lambda p: made(OfTheBatch(over="norm")),
    "softmax over the batch": lambda p: made(OfTheBatch(over="softmax")),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BATCHES)
def test_many_are_answered_as_each_alone(name: str, tmp_path: Path) -> None:
    model = BATCHES[name](tmp_path)
    assert model.alone
    x = torch.rand(5, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    apart = torch.cat([model.logits(one) for one in x.split(1)])
    torch.testing.assert_close(model.logits(x), apart)
    torch.testing.assert_close(model.forward(x).detach(), apart, rtol=1e-4, atol=1e-4)
    assert model.front().geometry == "patch"


def test_maps_of_a_model_asked_alone_are_of_every_window() -> None:
    model, windows = made(OfTheBatch(over="norm")), torch.rand(3, 3, SIDE, SIDE)
    target = Target(model, CANVAS, {"patch": 1.0})
    seen = target.read(windows)
    apart = [target.read(one).maps[0] for one in windows.split(1)]
    torch.testing.assert_close(seen.maps[0], torch.cat(apart))
    assert seen.logits.shape == (3, 5)
    assert not made(OfTheBatch(over="")).alone


class Unsteady(nn.Module):
    """Answers anew each time, counts its calls, or writes over what it is given."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net, self.how, self.calls = Net(lambda f, z: z), how, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.how == "drawn":
            x = nn.functional.dropout(x, 0.3, training=True)
        if self.how == "written":
            x.sub_(0.1)
        answer: Tensor = self.net(x)
        return answer + self.calls * torch.arange(5) if self.how == "counted" else answer


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("drawn", "the same picture otherwise each time it is asked; leave out what is drawn anew"),
        ("counted", "the same picture otherwise each time it is asked"),
        ("written", "writes over the pictures that it is given; compute on a copy"),
    ],
)
def test_unsteady_models_are_refused(how: str, match: str) -> None:
    with pytest.raises(ModelRefused, match=match):
        made(Unsteady(how))


def test_a_model_that_fails_says_so() -> None:
    def fails(values: Tensor) -> dict[str, Tensor]:
        raise RuntimeError("no kernel")

    with pytest.raises(
        ModelRefused, match=r"does not run on its own input of 3 x 8 x 8 \(no kernel"
    ):
        answers_of("py:net", fails, CANVAS)
    with pytest.raises(ModelRefused, match="NaN or infinity"):
        answers_of("py:net", lambda v: {"y": torch.full((len(v), 3), torch.nan)}, CANVAS)
    assert choose("py:net", {"only": (1, 2)}) == "only"
