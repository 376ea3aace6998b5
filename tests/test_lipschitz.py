import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from catch11.canvas import plain_canvas
from catch11.errors import InvalidArgument
from catch11.fingerprint import module_fingerprint
from catch11.gains import convolution_gain, gain
from catch11.key import build_key
from catch11.lipschitz import chain, chain_of_key
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model

torch.set_num_threads(1)
CANVAS = plain_canvas(12, 12)


class Conv(NamedTuple):
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    side: int = 9


def _dense(layer: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """The slow oracle: the matrix of a linear layer, column by column."""
    basis = torch.eye(math.prod(shape)).double().view(-1, *shape)
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros(1, *shape).double())).flatten(1).T


@pytest.mark.parametrize(
    "case",
    [Conv(1), Conv(3, padding=1), Conv(4, 2, 1), Conv(3, 2, 1), Conv(3, dilation=2, padding=2),
     Conv(3, padding=1, groups=2), Conv(7, 4, 3, side=16), Conv(4, 4, side=16)],
    ids=repr,
)  # fmt: skip
def test_convolutions_against_a_dense_matrix(case: Conv) -> None:
    """An upper bound for pictures of any size, and no looser than a few per cent where the picture
    is large against the kernel."""
    torch.manual_seed(0)
    layer = nn.Conv2d(
        4, 6, case.kernel, stride=case.stride, padding=case.padding, dilation=case.dilation,
        groups=case.groups,
    ).double()  # fmt: skip
    exact = float(torch.linalg.matrix_norm(_dense(layer, (4, case.side, case.side)), 2))
    bound = gain(layer, torch.zeros(1, 4, case.side, case.side))
    assert exact <= bound * (1 + 1e-9)
    assert bound <= exact * 1.35
    fine = convolution_gain(
        layer.weight.detach(), stride=(case.stride,) * 2, dilation=(case.dilation,) * 2,
        groups=case.groups, grid=64,
    )  # fmt: skip
    assert exact <= fine * (1 + 1e-9)
    assert fine <= bound * 1.001


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Tanh(), nn.MaxPool2d(3, 2), nn.MaxPool2d(2),
     nn.AvgPool2d(3, 2), nn.AvgPool2d(2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
     nn.BatchNorm2d(3), nn.LayerNorm(8)],
    ids=repr,
)  # fmt: skip
def test_no_pair_beats_a_gain(layer: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    if isinstance(layer, nn.BatchNorm2d):
        layer.weight.data = torch.tensor([1.0, -3.0, 0.2])
        layer.running_var = torch.tensor([0.5, 2.0, 1.0])
    layer.eval()
    first = 3 * torch.randn(300, 3, 8, 8, generator=generator)
    for reach in (1e-2, 1.0, 10.0):
        second = first + reach * torch.randn(first.shape, generator=generator)
        with torch.no_grad():
            moved = (layer(second) - layer(first)).flatten(1).norm(dim=1)
        bound = gain(layer, first) * (second - first).flatten(1).norm(dim=1)
        assert (moved <= bound * (1 + 1e-4) + 1e-5).all()


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 2)
        self.linear = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.bn1(self.conv1(x)))
        short = functional.pad(x[:, :, ::1, ::1], (0, 0, 0, 0, 0, 0))
        x = self.pool(functional.relu(self.conv2(x)) + short)
        x = torch.cat([x, 0.5 * x], 1)
        x = functional.avg_pool2d(x, x.size(3))
        return self.linear(x.flatten(1))


class _Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.linear = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.softmax(x @ x.transpose(1, 2), -1) @ x
        return self.linear(x.mean(1))


class _Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)[:, :4] if x.sum() > 0 else -x.flatten(1)[:, :4]


def _model(module: nn.Module) -> Model:
    return Model(
        name="m", spec="test:m", module=module.eval().requires_grad_(False), canvas=CANVAS,
        labels=tuple("abcd"), fingerprint=module_fingerprint(module), prepare=canvas_prepare(CANVAS),
    )  # fmt: skip


def _pictures(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def test_a_chain_holds_what_it_says() -> None:
    torch.manual_seed(2)
    model = _model(_Residual())
    clean, other = _pictures(20, 1), _pictures(20, 2)
    links = chain(model, layer="conv1", clean=clean, released=other)
    assert links[0].name == "bn1", "a key's front has the norm behind it folded in"
    assert links[0].ceiling == 1.0
    assert links[-1].name == "linear"
    for link in links:
        for moved, first in zip(link.moved, links[0].moved, strict=True):
            assert moved <= link.ceiling * first * (1 + 1e-5)
        assert 0 < link.ceiling < math.inf


def test_no_search_beats_a_chain() -> None:
    """Gradient ascent on what the logits move, for what the front moves."""
    torch.manual_seed(3)
    model = _model(_Residual())
    module = model.module
    assert isinstance(module, _Residual)
    clean = _pictures(4, 5)
    other = (clean + 0.05 * torch.randn(clean.shape)).requires_grad_(True)

    def front(x: torch.Tensor) -> torch.Tensor:
        return module.bn1(module.conv1(x)).flatten(1)

    for _ in range(60):
        ratio = (module(other) - module(clean)).norm(dim=1) / (front(other) - front(clean)).norm(dim=1)  # fmt: skip
        (step,) = torch.autograd.grad(ratio.log().sum(), other)
        other = (other + 0.02 * step / step.flatten(1).norm(dim=1)[:, None, None, None]).detach()
        other.requires_grad_(True)
    ceiling = chain(model, layer="conv1", clean=clean, released=other.detach())[-1].ceiling
    assert float(ratio.detach().max()) <= ceiling


def test_what_has_no_bound_is_said_to_have_none() -> None:
    torch.manual_seed(4)
    model = _model(_Attending())
    links = chain(model, layer="patch", clean=_pictures(3, 1), released=_pictures(3, 2))
    assert [link.ceiling for link in links if link.name == "linear"] == [math.inf]
    assert links[0].ceiling == 1.0
    assert all(value > 0 for value in links[-1].relative)


def test_refusals() -> None:
    with pytest.raises(InvalidArgument, match="expected a torch module that torch"):
        chain(_model(_Branching()), layer="x", clean=_pictures(1, 1), released=_pictures(1, 2))
    with pytest.raises(InvalidArgument, match="layer: expected a module called once"):
        chain(_model(_Residual()), layer="no", clean=_pictures(1, 1), released=_pictures(1, 2))


def test_a_recoded_picture_through_a_key_s_model(tmp_path: Path) -> None:
    torch.manual_seed(6)
    model = _model(_Residual())
    key = build_key(model, energy=0.05, secret=bytes(32))
    Image.fromarray((_pictures(1, 3)[0] * 255).byte().permute(1, 2, 0).numpy()).save(
        tmp_path / "a.png"
    )
    for source in (None, tmp_path):
        links = chain_of_key(key, model, psnr=20.0, source=source, count=1)
        assert max(links[-1].moved) <= links[-1].bound
        assert links[0].to_dict()["ceiling"] == 1.0
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidArgument, match="source: expected pictures"):
        chain_of_key(key, model, psnr=20.0, source=tmp_path / "none")
