"""The strength that is taken where none is asked for."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from catch11.canvas.plain import plain_canvas
from catch11.data.fields import random_fields
from catch11.keys.key import Key, build_key
from catch11.recoding.choose import recoder_for
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.spectral.strength import CONV, SHIFT, STRENGTHS, front_shift, usual_psnr
from catch11.subspaces.tiles import TileSubspace


def key_with(module: nn.Module, energy: float, side: int = 48) -> Key:
    return build_key(module, canvas=plain_canvas(side, side), energy=energy)


def patches(outputs: int) -> nn.Module:
    """A patch front with the smooth kernels of a trained one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.Conv2d(3, outputs, 8, 8)
        kernels = random_fields((3, 8, 8), outputs, generator=torch.Generator().manual_seed(1))
        layer.weight.data = kernels - 0.5
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(36 * outputs, 4))


def tiles_of(key: Key) -> TileSubspace:
    assert isinstance(key.subspace, TileSubspace)
    return key.subspace


def test_an_exact_null_space_takes_the_strongest() -> None:
    key = key_with(patches(40), 1e-6)
    assert usual_psnr(key) == STRENGTHS[0]
    assert front_shift(tiles_of(key), STRENGTHS[0]) < 0.01


def test_a_front_that_sees_everything_takes_what_its_spectrum_allows() -> None:
    key = key_with(patches(192), 1e-3)
    taken = usual_psnr(key)
    louder = STRENGTHS[STRENGTHS.index(taken) - 1]
    assert STRENGTHS[0] < taken <= STRENGTHS[-1]
    assert front_shift(tiles_of(key), taken) <= SHIFT < front_shift(tiles_of(key), louder)


@pytest.mark.parametrize("energy", [1e-4, 1e-3, 1e-2])
def test_the_shift_expected_is_about_the_one_measured(energy: float) -> None:
    key = key_with(patches(192), energy)
    pictures = random_fields(key.canvas.shape, 8, generator=torch.Generator().manual_seed(2))
    made = SpectralRecoder(key, psnr=20.0, noise="gaussian")(pictures)
    measured = sum(made.front_shift) / len(pictures)
    assert 0.5 < front_shift(tiles_of(key), 20.0) / measured < 2.0


def test_overlapping_convolutions_take_less() -> None:
    conv = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 256, 4))
    key = key_with(conv, 1e-2, side=16)
    assert usual_psnr(key) == CONV


def test_the_recoder_takes_it_and_a_key_that_was_tuned_says_its_own() -> None:
    key = key_with(patches(40), 1e-6)
    made = recoder_for(key)
    assert isinstance(made, SpectralRecoder)
    assert made.psnr == STRENGTHS[0]
    for tuned in (recoder_for(replace(key, psnr=9.5)), recoder_for(key, psnr=9.5)):
        assert isinstance(tuned, SpectralRecoder)
        assert tuned.psnr == 9.5
