"""Random pictures with the spectrum of photographs."""

import pytest
import torch

from catch11.data.fields import random_fields


def test_probes_are_pictures_with_the_spectrum_of_photographs() -> None:
    pictures = random_fields((3, 64, 64), 2, generator=torch.Generator().manual_seed(11))
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    power = torch.fft.rfft2(pictures - pictures.mean()).abs().square().mean((0, 1))[1:24, 1:24]
    place = torch.arange(1.0, 24.0)
    radius = (place[:, None].square() + place.square()).sqrt()
    x, y = radius.log().flatten(), power.log().flatten()
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
    assert slope == pytest.approx(-2, abs=0.3)
