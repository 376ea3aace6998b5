"""Fronts from features alone, against the weights that made the features."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from catch11.errors import InvalidArgument
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.keys.estimate import Probe, choose_rule, estimate_front, probe_layer
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import tile_subspace
from tests.fronts.test_find import Net, canvas_of


class Row(NamedTuple):
    name: str
    layer: nn.Conv2d
    window: tuple[int, int]


ROWS = [
    Row("patch", nn.Conv2d(3, 20, 4, stride=4), (16, 20)),
    Row("conv", nn.Conv2d(3, 6, 3, stride=2, padding=1), (17, 19)),
    Row("dilated", nn.Conv2d(3, 6, 3, dilation=2), (16, 16)),
    Row("grouped", nn.Conv2d(3, 6, 3, groups=3, padding=2), (12, 12)),
]


def probed(row: Row, count: int = 16) -> tuple[Front, Probe]:
    torch.manual_seed(0)
    net, canvas = Net(row.layer, window=row.window), canvas_of(*row.window)
    front = find_front(net, canvas)
    windows = (torch.rand(count, *canvas.shape) * 255).round() / 255
    features = probe_layer(net, "layer", windows, normalise=canvas.normalise)
    probe = Probe(
        windows=windows, features=features, kernel=front.kernel, stride=front.stride,
        dilation=front.dilation, padding=front.padding, groups=front.groups,
    )  # fmt: skip
    return front, probe


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_estimate_is_the_front(row: Row) -> None:
    front, probe = probed(row)
    found = estimate_front(probe, canvas_of(*row.window))
    assert (found.geometry, found.shape, found.padding) == (
        front.geometry,
        front.shape,
        front.padding,
    )
    torch.testing.assert_close(found.weight, front.weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.bias, front.bias, atol=1e-4, rtol=1e-4)


def test_dense_estimate() -> None:
    torch.manual_seed(0)
    net = Net(nn.Linear(48, 5), before=lambda x: x.flatten(1), window=(4, 4))
    canvas = canvas_of(4, 4)
    windows = torch.rand(80, 3, 4, 4)
    features = probe_layer(net, "layer", windows, normalise=canvas.normalise)
    found = estimate_front(Probe(windows=windows, features=features, kernel=(4, 4), stride=(4, 4)), canvas)  # fmt: skip
    front = find_front(net, canvas)
    assert found.geometry == "dense"
    torch.testing.assert_close(found.weight, front.weight, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.bias, front.bias, atol=1e-4, rtol=1e-4)


def test_estimated_subspace_is_unseen_by_the_real_front() -> None:
    front, probe = probed(ROWS[0])
    rule = choose_rule(estimate_front(probe, canvas_of(16, 20)), probe.windows, deviation=0.01)
    subspace = tile_subspace(estimate_front(probe, canvas_of(16, 20)), rule)
    noise = subspace.project(torch.randn(4, *front.shape, dtype=torch.float64))
    assert front.apply(noise).norm() < 0.02 * front.apply(torch.randn_like(noise)).norm()


@pytest.mark.parametrize("deviation", [0.3, 0.05, 0.001])
def test_chosen_rule_keeps_its_promise(deviation: float) -> None:
    front, probe = probed(ROWS[0])
    rule = choose_rule(front, probe.windows, psnr=12.0, deviation=deviation)
    noise = tile_subspace(front, rule).project(torch.randn(16, *front.shape))
    noise = noise * (10 ** (-12 / 20) / noise.flatten(1).square().mean(1).sqrt()).reshape(
        -1, 1, 1, 1
    )
    shifts = front.relative_shift(probe.windows + noise, probe.windows)
    assert float(shifts.median()) < 1.3 * deviation + 1e-6
    tighter = choose_rule(front, probe.windows, psnr=12.0, deviation=deviation / 10)
    assert tighter.value <= rule.value


def test_bad_probes() -> None:
    canvas = canvas_of(16, 20)
    _, probe = probed(ROWS[0])
    facts: dict[str, Any] = {"kernel": (4, 4), "stride": (4, 4)}
    with pytest.raises(InvalidArgument, match=r"at least 49 kernel positions.*found 20"):
        estimate_front(
            Probe(windows=probe.windows[:1], features=probe.features[:1], **facts), canvas
        )
    flat = torch.full_like(probe.windows, 0.5)
    with pytest.raises(InvalidArgument, match="directions untried"):
        estimate_front(Probe(windows=flat, features=probe.features, **facts), canvas)
    with pytest.raises(InvalidArgument, match="before its nonlinearity"):
        estimate_front(
            Probe(windows=probe.windows, features=probe.features.relu(), **facts), canvas
        )
    with pytest.raises(InvalidArgument, match=r"found features of \(4, 5\)"):
        estimate_front(Probe(windows=probe.windows, features=probe.features, kernel=(4, 4), stride=(2, 2)), canvas)  # fmt: skip
    with pytest.raises(InvalidArgument, match="windows of"):
        estimate_front(probe, canvas_of(8, 8))
    with pytest.raises(InvalidArgument, match="as many windows as features"):
        Probe(windows=probe.windows[:2], features=probe.features[:3], **facts)
    with pytest.raises(InvalidArgument, match="finite values"):
        Probe(windows=probe.windows * float("nan"), features=probe.features, **facts)


def test_no_rule_is_said() -> None:
    front, probe = probed(ROWS[0])
    with pytest.raises(InvalidArgument, match="moves the features by at most"):
        choose_rule(front, probe.windows, psnr=0.0, deviation=1e-12)
    assert isinstance(choose_rule(front, probe.windows, psnr=40.0, deviation=0.1), Rule)
