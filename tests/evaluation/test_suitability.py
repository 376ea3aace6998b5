"""Suitability: the verdict follows what was measured."""

from pathlib import Path

import pytest
import torch
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.evaluation import suitability as module
from catch11.evaluation.suitability import draw_spectrum, photograph_like, suitability
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model, finish

SIDE = 16


def model_of(front: nn.Module) -> Model:
    canvas = plain_canvas(SIDE, SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)
    net = nn.Sequential(front, nn.Flatten(), nn.LazyLinear(4)).eval()
    with torch.no_grad():
        net(torch.zeros(1, *canvas.shape))
    return finish(
        spec="py:x:y",
        name="net",
        module=net,
        canvas=canvas,
        prepare=canvas_prepare(canvas),
        fingerprint=module_fingerprint(net),
        labels=lambda count: tuple(map(str, range(count))),
    )


def weights(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def patch_front(outputs: int, weight: torch.Tensor) -> nn.Module:
    front = nn.Conv2d(3, outputs, 4, stride=4)
    front.weight.data = weight
    return front


def test_a_wide_null_space_is_good() -> None:
    found = suitability(model_of(patch_front(8, weights((8, 3, 4, 4)))))
    assert found.verdict == "good"
    assert (found.dimension, found.ambient) == (16 * 40, 3 * SIDE**2)
    assert found.psnr is not None
    assert found.psnr < module.STRONG
    assert found.shift is not None
    assert found.shift <= module.SHIFT
    assert "spectral" in found.advice


def test_a_front_that_sees_everything_gets_none() -> None:
    found = suitability(
        model_of(patch_front(48, torch.linalg.qr(weights((48, 48))).Q.reshape(48, 3, 4, 4)))
    )
    assert (found.verdict, found.dimension, found.psnr) == ("none", 0, None)
    assert "--method deep" in found.advice


def test_a_null_space_of_fine_texture_is_weak() -> None:
    # All 4 x 4 patterns are seen but one: a checkerboard in each channel, which a blur removes.
    checker = torch.tensor([[(-1.0) ** (i + j) for j in range(4)] for i in range(4)]) / 4
    board = torch.stack([torch.stack([checker if c == k else checker * 0 for c in range(3)])
                         for k in range(3)]).flatten(1)  # fmt: skip
    seen = torch.linalg.qr(torch.cat([board, weights((45, 48))]).T).Q.T[3:]
    found = suitability(model_of(patch_front(45, seen.reshape(45, 3, 4, 4))))
    assert found.dimension == 16 * 3
    assert found.coarse is not None
    assert found.coarse < module.COARSE
    assert found.verdict in ("weak", "none")


def test_probes_are_pictures_with_the_spectrum_of_photographs() -> None:
    pictures = photograph_like((3, 64, 64))
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    power = torch.fft.rfft2(pictures - pictures.mean()).abs().square().mean((0, 1))[1:24, 1:24]
    place = torch.arange(1.0, 24.0)
    radius = (place[:, None].square() + place.square()).sqrt()
    x, y = radius.log().flatten(), power.log().flatten()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    assert slope == pytest.approx(-2, abs=0.3)


def test_spectrum_is_drawn(tmp_path: Path) -> None:
    found = suitability(model_of(patch_front(8, weights((8, 3, 4, 4)))))
    draw_spectrum(found, tmp_path / "spectrum.svg")
    assert "<svg" in (tmp_path / "spectrum.svg").read_text()
