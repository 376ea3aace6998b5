"""Fronts of torch models: for each way to read a picture, A(v - neutral) + bias is what the layer says."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from catch11.canvas.frame import Canvas, Fit
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.find import find_front, run_probe
from catch11.fronts.front import Front
from catch11.keys.key import build_key

# torch says once that padding="same" with an even kernel copies its input; that case is meant.
SAME_COPIES = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
STD, MEAN = (0.229, 0.224, 0.225), (0.485, 0.456, 0.406)


def canvas_of(height: int, width: int, *, order: tuple[int, ...] = (0, 1, 2)) -> Canvas:
    return Canvas(
        height=height, width=width, top=0, left=0, window_height=height, window_width=width,
        gain=tuple(1 / s for s in STD), offset=tuple(-m / s for m, s in zip(MEAN, STD, strict=True)),
        order=order, fit=Fit(resize="exact", height=height, width=width),
    )  # fmt: skip


class Net(nn.Module):
    """A front behind `before`, then a head; `after` sees the front's output."""

    def __init__(
        self,
        layer: nn.Module,
        *,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        norm: nn.Module | None = None,
        window: tuple[int, int] = (19, 17),
    ) -> None:
        super().__init__()
        self.layer, self.norm, self.before = layer, norm or nn.Identity(), before
        with torch.no_grad():
            size = self.norm(layer(before(torch.zeros(2, 3, *window)))).flatten(1).shape[1]
        self.head = nn.Linear(size, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.layer(self.before(x)))).flatten(1))

    def pre_activation(self, x: Tensor) -> Tensor:
        return self.norm(self.layer(self.before(x)))


def busy_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.3, 3)
    nn.init.uniform_(norm.weight, -2, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    return norm


def patches(x: Tensor) -> Tensor:
    return rearrange(x, "b c (h p) (w q) -> b (h w) (p q c)", p=4, q=4)


class Row(NamedTuple):
    name: str
    make: Callable[[], Net]
    geometry: str
    window: tuple[int, int] = (19, 17)


ROWS = [
    Row("plain", lambda: Net(nn.Conv2d(3, 5, 3)), "conv"),
    Row("stride", lambda: Net(nn.Conv2d(3, 5, 7, stride=2, padding=3, bias=False)), "conv"),
    Row("dilation", lambda: Net(nn.Conv2d(3, 5, 3, dilation=2, padding=2)), "conv"),
    Row("groups", lambda: Net(nn.Conv2d(3, 6, 3, groups=3, padding=1)), "conv"),
    Row("same", lambda: Net(nn.Conv2d(3, 4, 4, padding="same")), "conv"),
    Row("norm", lambda: Net(nn.Conv2d(3, 5, 3, padding=1), norm=busy_norm(5)), "conv"),
    Row("asymmetric", lambda: Net(nn.Conv2d(3, 4, 3, stride=2), before=lambda x: F.pad(x, (0, 1, 0, 2))), "conv"),
    Row("pad and padding", lambda: Net(nn.Conv2d(3, 4, 3, padding=1), before=lambda x: F.pad(x, (2, 0, 1, 1))), "conv"),
    Row("flipped channels", lambda: Net(nn.Conv2d(3, 4, 3), before=lambda x: x.flip(1)), "conv"),
    Row("second normalisation", lambda: Net(nn.Conv2d(3, 4, 3, padding=1), before=lambda x: 2 * x - 0.3), "conv"),
    Row("grey", lambda: Net(nn.Conv2d(1, 4, 3), before=lambda x: x[:, :1]), "conv"),
    Row("one dimension", lambda: Net(nn.Conv1d(3, 4, 5, stride=2, padding=2), before=lambda x: x.flatten(2), window=(1, 40)), "conv", (1, 40)),
    Row("patch", lambda: Net(nn.Conv2d(3, 9, 4, stride=4), window=(16, 20)), "patch", (16, 20)),
    Row("patch with a rim", lambda: Net(nn.Conv2d(3, 9, 4, stride=4)), "patch"),
    Row("patch by linear", lambda: Net(nn.Linear(48, 9), before=patches, window=(16, 20)), "patch", (16, 20)),
    Row("dense", lambda: Net(nn.Linear(3 * 19 * 17, 6), before=lambda x: x.flatten(1)), "dense"),
    Row("dense, channels last", lambda: Net(nn.Linear(3 * 19 * 17, 6), before=lambda x: x.permute(0, 2, 3, 1).flatten(1)), "dense"),
    Row("space to depth", lambda: Net(nn.Conv2d(48, 5, 3, padding=1, bias=False), before=lambda x: F.pixel_unshuffle(x, 4), window=(16, 24)), "conv", (16, 24)),
    Row("focus", lambda: Net(nn.Conv2d(12, 5, 3, stride=2, padding=1), before=fold, window=(16, 24)), "conv", (16, 24)),
    Row("patch of a fold", lambda: Net(nn.Conv2d(12, 9, 2, 2), before=lambda x: -fold(x), window=(16, 24)), "patch", (16, 24)),
    Row("frames", lambda: Net(nn.Conv3d(3, 5, (2, 4, 4), stride=(2, 4, 4)), before=lambda x: x[:, :, None].expand(-1, -1, 2, -1, -1), window=(16, 16)), "patch", (16, 16)),
]  # fmt: skip


@SAME_COPIES
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["rgb", "bgr"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_front_is_the_layer(row: Row, order: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net, canvas = row.make().eval(), canvas_of(*row.window, order=order)
    front = find_front(net, canvas)
    assert (front.geometry, front.layer) == (row.geometry, "layer")
    window = torch.rand(2, *canvas.shape, dtype=torch.float64)
    with torch.no_grad():
        expected = net.pre_activation(canvas.normalise(window.float()))
    found = front.apply(front.centred(window)) + front.bias.reshape(
        -1, *(1,) * (2 if front.geometry != "dense" else 0)
    )
    if row.name == "patch by linear":
        found = rearrange(found, "b o h w -> b (h w) o")
    torch.testing.assert_close(found.float().flatten(1), expected.flatten(1), atol=2e-5, rtol=1e-5)
    assert not net.training
    assert net.head.training is False


def test_training_mode_is_restored() -> None:
    net = Net(nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)).train()
    net.norm.eval()
    before = [child.training for child in net.modules()]
    find_front(net, canvas_of(19, 17))
    assert [child.training for child in net.modules()] == before


class Skip(nn.Module):
    """Reads its input twice, so neither layer alone is the front."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x).relu().mean((2, 3)) + self.two(x).tanh().mean((2, 3))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.layer(x)).mean((2, 3))


def test_layers_side_by_side_are_stacked() -> None:
    torch.manual_seed(0)
    net, canvas = Skip().eval(), canvas_of(18, 16)
    front, window = find_front(net, canvas), torch.rand(2, 3, 18, 16)
    assert (front.layer, front.outputs) == ("one + two", 8)
    made = front.apply(front.centred(window)) + front.bias.float().reshape(-1, 1, 1)
    with torch.no_grad():
        meant = net.one(canvas.normalise(window)), net.two(canvas.normalise(window))
    for part, response in zip(made.split(4, dim=1), meant, strict=True):
        torch.testing.assert_close(part[:, :, :18, :16], response, atol=1e-5, rtol=1e-4)


def test_what_patches_side_by_side_do_not_see_moves_no_answer() -> None:
    """An adapter that lies beside its layer, not merged into it."""

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.down, self.up = (
                nn.Conv2d(3, 5, 4, 4),
                nn.Conv2d(3, 2, 4, 4),
                nn.Conv2d(2, 5, 1),
            )

        def forward(self, x: Tensor) -> Tensor:
            return (self.base(x) + self.up(self.down(x))).relu().mean((2, 3))

    torch.manual_seed(0)
    net, canvas = Beside().eval(), canvas_of(16, 16)
    key = build_key(net, canvas=canvas, energy=1e-9)
    assert (key.front.geometry, key.front.layer) == ("patch", "base + down")
    window = torch.rand(2, *canvas.shape)
    unseen = key.subspace.project(torch.randn_like(window))
    assert unseen.norm() > window.norm()
    with torch.no_grad():
        before, after = (net(canvas.normalise(x)) for x in (window, window + unseen))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)


def fold(x: Tensor) -> Tensor:
    """As YOLO's focus: four pixels in the channels of one."""
    return torch.cat([x[..., a::2, b::2] for b in (0, 1) for a in (0, 1)], 1)


class Shares(nn.Module):
    """Reads its input twice, and answers with shares of many classes, each next to nothing."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.eyes = nn.ModuleList([nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 5, 2)])
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([eye(x).relu().mean((2, 3)) for eye in self.eyes], 1)).softmax(1)


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Asking(nn.Module):
    """Its layer asks for more than the picture."""

    class Layer(nn.Conv2d):
        def forward(self, input: Tensor, factor: float) -> Tensor:  # type: ignore[override]
            return factor * super().forward(input)

    def __init__(self) -> None:
        super().__init__()
        self.layer = self.Layer(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, 2.0).mean((2, 3))


class Refused(NamedTuple):
    name: str
    net: Callable[[], nn.Module]
    why: str


REFUSED = [
    Refused("two readers", lambda: Skip(2), r"one: the input also reaches the output around it; two: "),
    Refused("the input beside its reader", Residual, "layer: the input also reaches the output around it"),
    Refused("squared", lambda: Net(nn.Conv2d(3, 4, 3), before=lambda x: x**2), "not the model's input"),
    Refused("reflected", lambda: Net(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")), "padding mode is reflect"),
    Refused("pooled", lambda: Net(nn.Conv2d(3, 4, 3), before=lambda x: F.avg_pool2d(x, 2)), "does not hold the window"),
    Refused("reflect pad", lambda: Net(nn.Conv2d(3, 4, 3), before=lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")), "more than a constant"),
    Refused("no layers", lambda: nn.Flatten(), "it has no layers"),
    Refused("two readers, many classes", lambda: Shares(20_000), "0: the input also reaches the output around it"),
    Refused("two readers, faint answers", lambda: nn.Sequential(Skip(2), Scaled(1e-6)), "one: the input also reaches"),
    Refused("clipped within the pixels", lambda: Net(nn.Conv2d(3, 4, 3), before=lambda x: x.clamp(-1, 1.5)), "not the model's input"),
    Refused("a layer of two inputs", Asking, r"layer: it does not run by itself \(TypeError"),
    Refused("blended dense", lambda: Net(nn.Linear(3 * 19 * 17, 6), before=lambda x: x.flatten(1).cumsum(1)), "not a rearrangement"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_no_front_names_every_layer(row: Refused) -> None:
    with pytest.raises(NoFront, match=row.why):
        find_front(row.net(), canvas_of(19, 17))


def test_layer_override() -> None:
    net = Net(nn.Conv2d(3, 4, 3))
    assert find_front(net, canvas_of(19, 17), layer="layer").layer == "layer"
    with pytest.raises(InvalidArgument, match="one of layer, head"):
        find_front(net, canvas_of(19, 17), layer="nowhere")
    with pytest.raises(NoFront, match="head: "):
        find_front(net, canvas_of(19, 17), layer="head")


def test_bad_weights() -> None:
    net = Net(nn.Conv2d(3, 4, 3))
    canvas = canvas_of(19, 17)
    good = find_front(net, canvas)
    nn.init.zeros_(net.get_parameter("layer.weight"))
    with pytest.raises((InvalidArgument, NoFront)):
        find_front(net, canvas)
    for value in (float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match="finite weights"):
            Front(geometry="conv", weight=good.weight * value, bias=good.bias, neutral=good.neutral, shape=good.shape, layer="x")  # fmt: skip


def test_fingerprint_knows_noise_from_training() -> None:
    torch.manual_seed(1)
    net, canvas = Net(nn.Conv2d(3, 16, 3)), canvas_of(19, 17)
    own = find_front(net, canvas).fingerprint()
    assert find_front(net, canvas).fingerprint() == own
    layer = net.get_parameter("layer.weight")
    weight = layer.data.clone()
    layer.data = weight * (1 + 2e-8 * torch.randn_like(weight))
    assert find_front(net, canvas).fingerprint() == own
    layer.data = weight * (1 + 1e-3 * torch.randn_like(weight))
    assert find_front(net, canvas).fingerprint() != own
    assert find_front(net, canvas_of(19, 17, order=(2, 1, 0))).fingerprint() != own


def test_output_tensor_is_found() -> None:
    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"score": x.mean((1, 2, 3))}

    assert run_probe(Wrapped(), torch.ones(2, 3, 4, 4)).tolist() == [1.0, 1.0]


def test_the_sentence_shows_some_of_the_layers_that_were_tried() -> None:
    deep = nn.Sequential(nn.InstanceNorm2d(3), *(nn.Conv2d(3, 3, 1) for _ in range(9)))
    with pytest.raises(
        NoFront, match="and 3 more; name one with --layer, or make a key for"
    ) as caught:
        find_front(deep, canvas_of(19, 17))
    assert len(caught.value.tried) == 9


def test_autocast_rounds_and_has_a_front() -> None:
    """Layers are heard in bfloat16, and hold float32."""

    class Auto(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return self.head(self.layer(x).relu().mean((2, 3))).float()

    torch.manual_seed(0)
    net = Auto().eval()
    front = find_front(net, canvas_of(16, 20))
    assert (front.geometry, front.layer) == ("patch", "layer")
    plain = find_front(Net(net.layer, window=(16, 20)), canvas_of(16, 20))
    assert torch.equal(front.weight, plain.weight)


class Busy(nn.BatchNorm2d):
    """Like those of timm: an activation comes with it, and writes over what the norm made."""

    def __init__(self, channels: int, *, more: float = 0.0) -> None:
        super().__init__(channels)
        self.act, self.more = nn.ReLU(inplace=True), more

    def forward(self, input: Tensor) -> Tensor:
        return self.act(super().forward(input)) + self.more


@pytest.mark.parametrize("stem", ["norm", "bare", "busy", "odd"])
def test_an_activation_that_writes_over_a_response(stem: str) -> None:
    """The front is that of the same net whose activation writes elsewhere; a norm that does more stays out of it."""
    torch.manual_seed(3)
    conv, norm = nn.Conv2d(3, 6, 3, stride=2, padding=1), busy_norm(6)
    behind: dict[str, tuple[nn.Module, ...]] = {
        "norm": (norm, nn.ReLU(inplace=True)), "bare": (nn.Hardswish(inplace=True),),
        "busy": (Busy(6),), "odd": (Busy(6, more=1.0),),
    }  # fmt: skip
    for one in behind[stem]:
        if isinstance(one, Busy):
            one.load_state_dict(norm.state_dict())
    plain = (conv, norm, nn.ReLU()) if stem in ("norm", "busy") else (conv, nn.ReLU())
    tail = (nn.Flatten(), nn.Linear(6 * 8 * 8, 4))
    canvas = canvas_of(16, 16)
    found = find_front(nn.Sequential(conv, *behind[stem], *tail), canvas)
    assert found.fingerprint() == find_front(nn.Sequential(*plain, *tail), canvas).fingerprint()
