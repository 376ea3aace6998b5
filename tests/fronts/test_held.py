"""Fronts are held against what their layers put out, and measured where attributes do not tell."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import NoFront
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.fronts.held import check_kernel

SIDE = 21
STD = (0.25, 0.2, 0.3)


def canvas_of(side: int = SIDE) -> Canvas:
    return plain_canvas(side, side, mean=(0.5, 0.4, 0.6), std=STD)


class Same(nn.Conv2d):
    """Pads in its own forward, as TensorFlow does, and says padding 0."""

    def forward(self, input: Tensor) -> Tensor:
        sides: list[int] = []
        for axis in (1, 0):
            step, size = self.stride[axis], input.shape[2 + axis]
            reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
            need = max((-(-size // step) - 1) * step + reach - size, 0)
            sides += [need // 2, need - need // 2]
        return self._conv_forward(F.pad(input, sides), self.kernel(), self.bias)

    def kernel(self) -> Tensor:
        return self.weight


class Standardised(Same):
    """Its kernel is brought to mean 0 and deviation 1 in forward, too."""

    def kernel(self) -> Tensor:
        flat = self.weight.flatten(1)
        return ((flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)).view_as(
            self.weight
        )


class Adapted(nn.Conv2d):
    """A low-rank adapter on top of the weight."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int) -> None:
        super().__init__(inputs, outputs, size, stride)
        self.down = nn.Parameter(torch.randn(2, inputs * size * size) * 0.1)
        self.up = nn.Parameter(torch.randn(outputs, 2))

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(
            input, self.weight + (self.up @ self.down).view_as(self.weight), self.bias
        )


class Guided(nn.Conv2d):
    """Its kernel hangs on the picture."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight * (1.0 + input.mean()), self.bias)


class Rectified(nn.Conv2d):
    """No linear map at all."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).relu()


class PerPicture(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)


class Net(nn.Module):
    def __init__(self, layer: nn.Module, *, before: nn.Module | None = None) -> None:
        super().__init__()
        self.before, self.layer = before or nn.Identity(), layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(self.before(x))).mean((2, 3))


def found(layer: nn.Module, side: int = SIDE) -> Front:
    return find_front(Net(layer).eval(), canvas_of(side))


class Row(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    side: int = SIDE


ROWS = [
    Row("same", lambda: Same(3, 5, 3, 2)),
    Row("same, even side", lambda: Same(3, 5, 3, 2), 22),
    Row("same, dilated", lambda: Same(3, 5, 3, 1, dilation=2)),
    Row("same, groups", lambda: Same(3, 6, 5, 2, groups=3)),
    Row("standardised", lambda: Standardised(3, 5, 4, 4), 20),
    Row("standardised and same", lambda: Standardised(3, 5, 7, 2)),
    Row("adapter in the layer", lambda: Adapted(3, 5, 4, 4)),
    Row("weight norm", lambda: parametrizations.weight_norm(nn.Conv2d(3, 5, 3))),
    Row("spectral norm", lambda: parametrizations.spectral_norm(nn.Conv2d(3, 5, 3))),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_front_says_what_the_layer_does(row: Row) -> None:
    torch.manual_seed(0)
    layer, canvas = row.make().eval(), canvas_of(row.side)
    front = find_front(Net(layer).eval(), canvas)
    window = torch.rand(2, *canvas.shape)
    with torch.no_grad():
        meant = layer(canvas.normalise(window))
    made = front.apply(front.centred(window).double()) + front.bias[:, None, None]
    torch.testing.assert_close(made.float(), meant, atol=1e-4, rtol=1e-4)


def test_padding_found_by_probing_is_the_plain_layers() -> None:
    torch.manual_seed(0)
    same, plain = Same(3, 8, 3, 2), nn.Conv2d(3, 8, 3, 2, padding=1)
    plain.load_state_dict(same.state_dict())
    one, other = found(same), found(plain)
    assert one.padding == (1, 1, 1, 1)
    assert one.fingerprint() == other.fingerprint()
    assert torch.equal(one.weight, other.weight)


class Refused(NamedTuple):
    name: str
    net: Callable[[], nn.Module]
    why: str


REFUSED = [
    Refused("instance norm", lambda: Net(nn.Conv2d(3, 5, 4, 4), before=nn.InstanceNorm2d(3)), r"layer: the model scales or shifts each picture by what the picture holds"),
    Refused("each picture", lambda: Net(nn.Conv2d(3, 5, 4, 4), before=PerPicture()), "by what the picture holds"),
    Refused("own kernel", lambda: Net(Guided(3, 5, 4, 4)), r"layer: what this Guided puts out is \d+\.\d% away from"),
    Refused("batch statistics", lambda: Net(nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.BatchNorm2d(5, track_running_stats=False))), r"layer\.0: what this Conv2d with its BatchNorm2d puts out is"),
    Refused("no map", lambda: Net(Rectified(3, 5, 4, 4)), r"what this Rectified puts out is \d+\.\d% away"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_what_no_fixed_map_explains_is_refused(row: Refused) -> None:
    torch.manual_seed(0)
    with pytest.raises(NoFront, match=row.why):
        find_front(row.net().eval(), canvas_of())


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_layer_is_named() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4))
    made = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(NoFront, match="tried 1: it is quantised"):
        find_front(made, canvas_of())


def test_a_response_that_is_small_beside_its_level_is_held() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    assert norm.running_mean is not None
    norm.running_mean += 40
    nn.init.constant_(norm.weight, 1e-4)
    nn.init.constant_(norm.bias, 3.0)
    assert found(nn.Sequential(nn.Conv2d(3, 5, 3), norm)).outputs == 5


def test_kernels_taken_without_a_probe_are_held_too() -> None:
    torch.manual_seed(0)
    for plain in (nn.Linear(6, 4), nn.Conv2d(3, 4, 2, 2), nn.Conv3d(3, 4, (2, 2, 2), bias=False)):
        check_kernel("layer", plain)
    with pytest.raises(NoFront, match=r"eyes\.patch: what this Adapted puts out"):
        check_kernel("eyes.patch", Adapted(3, 5, 4, 4))
