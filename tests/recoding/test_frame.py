"""The frame of every recoder: what is measured, and when."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from catch11.canvas.grid import psnr
from catch11.keys.key import Key, build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.windows import WindowDomain
from tests.world import CANVAS


@pytest.fixture(scope="module")
def key() -> Key:
    torch.manual_seed(0)
    return build_key(nn.Conv2d(CANVAS.channels, 40, 8, 8), canvas=CANVAS)


def test_what_a_recoding_measures_is_measured_when_it_is_asked_for(
    key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, on the items, as of old: who wants the items alone does not pay for it."""
    asked: list[str] = []

    def noted(name: str) -> Callable[..., float]:
        measure = getattr(WindowDomain, name)

        def measured(self: WindowDomain, *given: torch.Tensor) -> float:
            asked.append(name)
            return float(measure(self, *given))

        return measured

    for name in ("psnr", "shift"):
        monkeypatch.setattr(WindowDomain, name, noted(name))
    windows = torch.rand(2, *CANVAS.shape, generator=torch.Generator().manual_seed(1))
    made = SpectralRecoder(key, psnr=14.0)(windows)
    assert made.reasons == (None, None)
    assert not asked
    assert made.psnr == pytest.approx(psnr(made.items, windows).tolist(), abs=1e-6)
    assert made.distances == made.front_shift
    shifts = key.front.relative_shift(made.items, windows).tolist()
    assert made.front_shift == pytest.approx(shifts, abs=1e-6)
    assert asked == ["psnr", "psnr", "shift", "shift"]
