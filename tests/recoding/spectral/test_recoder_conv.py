"""The spectral recoder on an overlapping convolution: one file a picture, strength met, answers kept."""

import pytest
import torch
from torch import nn

from catch11.canvas.frame import Canvas, Fit
from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from tests.fronts.test_find import Net
from tests.recoding.spectral.test_box import picture

CANVAS = Canvas(
    height=40, width=36, top=4, left=2, window_height=32, window_width=32, gain=(2.0, 2.0, 2.0),
    offset=(-1.0, -1.0, -1.0), fit=Fit(resize="exact", height=40, width=36),
)  # fmt: skip
WINDOWS = torch.cat([picture((3, 32, 32), seed=i) for i in range(4)])


@pytest.fixture(scope="module")
def recoder() -> SpectralRecoder:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 16, 3, stride=2, padding=1)
    # Low-pass kernels, as trained ones mostly are.
    with torch.no_grad():
        conv.weight.copy_(conv.weight.mean((2, 3), keepdim=True) + 0.1 * conv.weight)
    key = build_key(Net(conv, window=(32, 32)).eval(), canvas=CANVAS, secret=bytes(32))
    return SpectralRecoder(key, psnr=12.0)


def test_same_picture_same_file_whatever_the_batch(recoder: SpectralRecoder) -> None:
    together = recoder(WINDOWS).images
    for i in range(4):
        assert torch.equal(recoder(WINDOWS[i : i + 1]).images[0], together[i])
    assert torch.equal(recoder(WINDOWS.flip(0)).images, together.flip(0))


def test_strength_is_met_and_the_front_hardly_moves(recoder: SpectralRecoder) -> None:
    recoded = recoder(WINDOWS)
    assert recoded.psnr == pytest.approx([12.0] * 4, abs=0.2)
    assert torch.equal((recoded.images * 255).round() / 255, recoded.images)
    noise = torch.randn(WINDOWS.shape, generator=torch.Generator().manual_seed(0))
    plain = WINDOWS + 10 ** (-12.0 / 20) * noise
    assert max(recoded.front_shift) < 0.3 * float(recoder.key.front.relative_shift(plain, WINDOWS).min())  # fmt: skip
