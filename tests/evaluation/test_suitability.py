"""Suitability: the verdict follows what was measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.evaluation import suitability as module
from catch11.evaluation.suitability import draw_spectrum, suitability
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
    # It fits into 8-bit pictures at no loss, stronger than weak noise is, and a blur takes it off.
    assert found.psnr is not None
    assert found.verdict == "weak"
    assert "fine texture" in found.advice


@pytest.mark.parametrize("turns", [(0, 0), (1, 3), (5, 2), (8, 8)], ids=repr)
def test_a_blur_leaves_of_a_wave_what_its_filter_answers(turns: tuple[int, int]) -> None:
    """A wave of f cycles a pixel is multiplied by Σ w(k)·cos(2πfk), once down and once across."""
    place = torch.arange(SIDE) / SIDE
    down, across = (torch.cos(2 * torch.pi * turn * place) for turn in turns)
    taps = np.exp(-(np.arange(-3, 4) ** 2) / 2)
    taps /= taps.sum()
    gains = [float(taps @ np.cos(2 * np.pi * turn / SIDE * np.arange(-3, 4))) for turn in turns]
    wave = (down[:, None] * across).expand(1, 3, SIDE, SIDE)
    assert module._left(wave) == pytest.approx(gains[0] ** 2 * gains[1] ** 2, rel=1e-3)


def test_the_spectrum_is_drawn_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path: drawn.append(self))
    draw_spectrum(
        suitability(model_of(patch_front(8, weights((8, 3, 4, 4))))), tmp_path / "spectrum.svg"
    )
    (axes,) = drawn[0].axes
    seen = torch.linalg.svdvals(weights((8, 48)).double() / 0.25).flip(0)
    heights = torch.tensor(np.asarray(axes.lines[0].get_ydata())).double()
    assert axes.get_yscale() == "log"
    assert torch.allclose(heights[40:], seen, rtol=1e-5)
    assert float(heights[:40].max()) <= 1e-6 * float(seen.max())
    assert axes.patches[0].get_extents().width == pytest.approx(
        axes.transData.transform((40, 1))[0] - axes.transData.transform((0, 1))[0]
    )


def test_the_spectrum_is_written_in_the_format_of_its_suffix(tmp_path: Path) -> None:
    draw_spectrum(
        suitability(model_of(patch_front(8, weights((8, 3, 4, 4))))), tmp_path / "spectrum.svg"
    )
    assert "<svg" in (tmp_path / "spectrum.svg").read_text()
