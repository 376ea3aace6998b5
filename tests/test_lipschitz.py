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
from catch11.norms import convolution_norm

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
    fine = convolution_norm(
        layer.weight.detach(), stride=(case.stride,) * 2, dilation=(case.dilation,) * 2,
        groups=case.groups, each=24,
    )  # fmt: skip
    assert exact <= fine.high * (1 + 1e-9)
    assert fine.high <= bound * 1.001


WITHIN = 1 / math.cos(math.pi / 12) ** 2


@pytest.mark.parametrize("size", range(1, 41))
@pytest.mark.parametrize("stride", [1, 3])
def test_kernels_of_any_size(size: int, stride: int) -> None:
    """Against a grid of 32 frequencies a tap, taken tap by tap, for a kernel that is all in one
    frequency and one that is not: the bound holds and is no more than 7.2 % above."""
    generator = torch.Generator().manual_seed(size)
    flat = torch.ones(1, 1, size, 2)
    rough = torch.randn(2, 3, 2, size, generator=generator)
    wave = (1.3 * torch.arange(size)).cos()[None, None, None]
    for weight in (flat, rough, wave):
        exact = _on_a_large_grid(weight.double(), stride)
        found = convolution_norm(weight, stride=(stride, stride))
        assert found.low <= exact * (1 + 1e-3)
        assert exact <= found.high * (1 + 1e-9)
        assert found.high <= exact * WITHIN * (1 + 1e-3)
        assert convolution_gain(weight, stride=(stride, stride)) == found.high
    if stride == 1:
        square = torch.ones(1, 1, size, size)
        assert size**2 <= convolution_gain(square) * (1 + 1e-9) <= size**2 * WITHIN * (1 + 1e-6)


def _on_a_large_grid(weight: torch.Tensor, stride: int) -> float:
    """The oracle: at each frequency θ, in turns a pixel, the matrix (out, channel · phase) of the taps
    p = stride·q + phase, each turned by q·θ; no transform, no padding."""
    counts = [32 * n if n > 1 else 1 for n in weight.shape[2:]]
    turns = [torch.arange(n).double() / n for n in counts]
    parts = []
    for down in range(min(stride, weight.shape[2])):
        for across in range(min(stride, weight.shape[3])):
            taps = weight[:, :, down::stride, across::stride].to(torch.complex128)
            waves = [
                torch.exp(2j * math.pi * torch.outer(turn, torch.arange(n)))
                for turn, n in zip(turns, taps.shape[2:], strict=True)
            ]
            parts.append(torch.einsum("ocpq,up,vq->uvoc", taps, *waves))
    return float(torch.linalg.matrix_norm(torch.cat(parts, dim=-1), 2).max())


@pytest.mark.parametrize("size", [17, 23])
def test_large_kernels_against_a_dense_matrix(size: int) -> None:
    """One row of pixels, so that a dense matrix has room for many kernels."""
    layer = nn.Conv2d(1, 1, (1, size), padding=(0, size // 2), bias=False).double()
    nn.init.ones_(layer.weight)
    exact = float(torch.linalg.matrix_norm(_dense(layer, (1, 1, 40 * size)), 2))
    assert exact <= gain(layer, torch.zeros(1, 1, 1, 40 * size)) <= exact * WITHIN * 1.01


def test_too_few_frequencies_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="each: expected 2 or more frequencies a tap"):
        convolution_norm(torch.ones(1, 1, 3, 3), each=1)


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Hardswish(), nn.Tanh(), nn.MaxPool2d(3, 2), nn.MaxPool2d(2),
     nn.AvgPool2d(3, 2), nn.AvgPool2d(2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
     nn.BatchNorm2d(3), nn.LayerNorm(8), nn.MaxPool2d(2, 2, dilation=2),
     nn.AvgPool2d(3, 2, ceil_mode=True)],
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


@pytest.mark.parametrize(
    ("layer", "side"),
    [(nn.AvgPool2d(2, 2, ceil_mode=True), 3), (nn.AvgPool2d(3, 2), 9), (nn.AvgPool2d(2, padding=1), 6)],
    ids=repr,
)  # fmt: skip
def test_averages_against_a_dense_matrix(layer: nn.Module, side: int) -> None:
    exact = float(torch.linalg.matrix_norm(_dense(layer, (1, side, side)), 2))
    assert exact <= gain(layer, torch.zeros(1, 1, side, side)) * (1 + 1e-9)


def test_a_pixel_in_two_dilated_windows_counts_twice() -> None:
    layer = nn.MaxPool2d((1, 2), (1, 2), dilation=(1, 2))
    first = torch.zeros(1, 1, 1, 5)
    second = first.clone()
    second[..., 2] = 1.0
    moved = float((layer(second) - layer(first)).norm())
    assert moved == pytest.approx(math.sqrt(2))
    assert moved <= gain(layer, first) * (1 + 1e-6)


def test_what_has_no_certain_gain() -> None:
    given = torch.zeros(1, 3, 8, 8)
    for layer in (
        nn.AvgPool2d(2, divisor_override=1),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.Softmax(1),
    ):
        assert gain(layer, given) == math.inf


class _Repeating(nn.Module):
    """Adds the mean of all places to each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        return (functional.adaptive_avg_pool2d(x, 1) + 0.01 * x).flatten(1)


def test_a_repeated_term_is_counted_for_every_place() -> None:
    torch.manual_seed(8)
    model = _model(_Repeating())
    clean = _pictures(1, 1)
    last = chain(model, layer="conv1", clean=clean, released=clean + 0.1)[-1]
    assert max(last.moved) <= last.bound * (1 + 1e-5)
    assert last.ceiling == pytest.approx(1.01)


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
    assert len(chain_of_key(key, model, psnr=20.0, count=3)[0].moved) == 3
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidArgument, match="source: expected pictures"):
        chain_of_key(key, model, psnr=20.0, source=tmp_path / "none")
