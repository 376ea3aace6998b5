"""Modules as users keep them, in other precisions, compiled or scripted, are the plain module."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.errors import ModelRefused
from catch11.models.frame import Model
from catch11.models.load import load_picture_model

SIDE = 16


def net() -> nn.Module:
    torch.manual_seed(0)
    patch = nn.Conv2d(3, 6, 4, 4)
    patch.weight.data = patch.weight.data.bfloat16().float()  # held by every precision below
    return nn.Sequential(patch, nn.ReLU(), nn.Flatten(), nn.Linear(96, 5)).eval()


KEPT: dict[str, Callable[[nn.Module], Any]] = {
    "half": lambda n: n.half(),
    "bfloat16": lambda n: n.bfloat16(),
    "double": lambda n: n.double(),
    "compiled": lambda n: torch.compile(n, backend="eager"),
    "scripted": lambda n: torch.jit.trace(n, torch.zeros(1, 3, SIDE, SIDE)),
    "exported": lambda n: torch.export.export(n, (torch.zeros(1, 3, SIDE, SIDE),)).module(),
}


def build(module: nn.Module) -> tuple[nn.Module, Canvas]:
    return module, plain_canvas(SIDE, SIDE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KEPT)
def test_a_module_kept_otherwise_is_the_plain_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = KEPT[name](copy.deepcopy(net()))
    monkeypatch.setattr(f"{__name__}.made", lambda: build(held), raising=False)
    model = load_picture_model(f"py:{__name__}:made")
    front, plain = model.front(), load_plain(monkeypatch).front()
    assert (front.geometry, front.fingerprint()) == ("patch", plain.fingerprint())
    windows = torch.rand(3, 3, SIDE, SIDE)
    torch.testing.assert_close(model.logits(windows), net()(windows).detach(), rtol=0.02, atol=0.02)


def load_plain(monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(f"{__name__}.made", lambda: build(net()), raising=False)
    return load_picture_model(f"py:{__name__}:made")


@pytest.mark.filterwarnings("ignore")
def test_a_weight_without_a_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = nn.Sequential(nn.LazyConv2d(4, 4), nn.Flatten(), nn.LazyLinear(3))
    monkeypatch.setattr(f"{__name__}.made", lambda: build(lazy), raising=False)
    with pytest.raises(
        ModelRefused, match=r"weight 0\.weight has no size yet; run it on a picture"
    ):
        load_picture_model(f"py:{__name__}:made")
