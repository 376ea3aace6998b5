"""Saved programs get their layers back: same answers, same tensors, same front as the module."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.fronts.find import evaluating, find_front
from catch11.models.files.nets import CifarResNet
from catch11.models.files.program import layered_export, layered_script

CANVAS = plain_canvas(16, 16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


class Bare(nn.Module):
    """A convolution written as a function of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.head = nn.Linear(4 * 256, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(F.conv2d(x, self.kernel, padding="same")).flatten(1))


class Shared(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again, self.head = (
            nn.Conv2d(3, 4, 4, stride=4),
            nn.Conv2d(4, 4, 1),
            nn.Linear(64, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(F.relu(self.again(F.relu(self.stem(x)))))
        return self.head(x.flatten(1))


def dense() -> nn.Module:
    layers = [
        nn.Flatten(),
        nn.Linear(768, 12),
        nn.BatchNorm1d(12),
        nn.GELU(),
        nn.Linear(12, 3, bias=False),
    ]
    return nn.Sequential(*layers)


def dilated() -> nn.Module:
    conv = nn.Conv2d(3, 6, 3, stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=3)
    return nn.Sequential(
        conv, nn.BatchNorm2d(6, affine=False), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


NETS: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: CifarResNet(1, classes=3),
    "bare": Bare,
    "shared": Shared,
    "dense": dense,
    "dilated": dilated,
}


def build(name: str) -> nn.Module:
    torch.manual_seed(2)
    net = NETS[name]()
    with torch.no_grad(), evaluating(net):
        net(torch.zeros(2, 3, 16, 16))
    for child in net.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            torch.nn.init.uniform_(child.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            torch.nn.init.normal_(child.running_mean)  # type: ignore[arg-type]
    return net.eval().requires_grad_(False)


def export(net: nn.Module) -> Any:
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    return torch.export.export(net, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes).module()


def script(net: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(net, torch.zeros(2, 3, 16, 16))


@pytest.mark.parametrize("name", NETS)
def test_an_exported_program(name: str) -> None:
    net = build(name)
    layered = layered_export(export(net)).eval()
    x = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(layered(x), net(x))
    kept = {name for name, _ in net.named_parameters()} - {"kernel"}
    assert kept <= set(layered.state_dict())
    same_front(layered, net)


def same_front(layered: nn.Module, net: nn.Module) -> None:
    found = find_front(layered, CANVAS)
    if isinstance(net, Bare):  # as written it has no layer to find
        scale = torch.tensor([0.2, 0.3, 0.25], dtype=torch.float64).reshape(1, 3, 1, 1)
        torch.testing.assert_close(found.weight * scale, net.kernel.double(), rtol=1e-5, atol=1e-6)
        assert found.padding == (1, 1, 1, 1)
        return
    assert found.fingerprint() == find_front(net, CANVAS).fingerprint()


@pytest.mark.parametrize("name", NETS)
def test_a_scripted_program(name: str) -> None:
    net = build(name)
    layered = layered_script(script(net), (3, 16, 16))
    assert not isinstance(layered, torch.jit.ScriptModule)
    x = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(layered(x), net(x), rtol=1e-4, atol=1e-5)
    same_front(layered, net)


def test_a_script_that_cannot_be_rebuilt_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    program = script(build("shared"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert layered_script(program, (3, 16, 16)) is program
