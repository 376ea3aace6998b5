import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.attacks import purify
from catch11.attacks.frame import Attack, attack_of
from catch11.errors import MissingExtra
from tests.attacks.conftest import Scene, pictures

torch.set_num_threads(1)
FILTERS = (
    "codec",
    "blur",
    "non-local-means",
    "total-variation",
    "resize",
    "bit-depth",
    "crop-flip",
)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_shape_range_and_repeat(scene: Scene, name: str) -> None:
    attack: Attack = attack_of(name)()
    material = scene.material.cut(attack.knowledge)
    settings = set()
    again = attack.run(material, generator=_generator())
    for attempt, other in zip(attack.run(material, generator=_generator()), again, strict=True):
        assert attempt.restored is not None
        assert other.restored is not None
        assert attempt.restored.shape == material.released.shape
        assert 0 <= float(attempt.restored.min()) <= float(attempt.restored.max()) <= 1
        assert torch.equal(attempt.restored, other.restored)
        settings.add(attempt.setting)
    assert len(settings) >= 4


@pytest.mark.parametrize("name", FILTERS)
def test_filters_take_grey(name: str) -> None:
    grey = pictures(1, seed=0)[:, :1]
    attack = attack_of(name)()
    assert isinstance(attack, purify._Filter)
    for _, change in attack.grid(_generator()):
        assert purify.each(grey, change).shape == grey.shape


def test_the_codec_is_the_real_one() -> None:
    array = (pictures(1, seed=1)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=30)
    expected = np.asarray(Image.open(buffer))
    assert np.array_equal(purify.codec(array, format="JPEG", quality=30), expected)
    assert not np.array_equal(expected, array)


def _variation(values: np.ndarray) -> float:
    return sum(float(np.abs(np.diff(values.astype(float) / 255, axis=a)).sum()) for a in (0, 1))


def test_total_variation_minimises_its_sum() -> None:
    """Against the energy at many other pictures, and exactly for a step of two levels: each side
    moves by weight · (length of the edge) / (area of the side)."""
    step = np.full((16, 16, 1), 51, dtype=np.uint8)
    step[:, 8:] = 204
    made = purify.total_variation(step, weight=0.4, rounds=4000) / 255
    assert made[:, :8].mean() == pytest.approx(0.2 + 0.4 / 8, abs=4e-3)
    assert made[:, 8:].mean() == pytest.approx(0.8 - 0.4 / 8, abs=4e-3)
    noisy = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    assert _variation(purify.total_variation(noisy, weight=0.3)) < 0.4 * _variation(noisy)
    flat = np.full((8, 8, 3), 77, dtype=np.uint8)
    assert np.array_equal(purify.total_variation(flat, weight=1.0), flat)


def test_gradient_and_divergence_are_adjoint() -> None:
    rng = np.random.default_rng(1)
    u, p = rng.normal(size=(6, 7, 2)), rng.normal(size=(2, 6, 7, 2))
    assert (purify._gradient(u) * p).sum() == pytest.approx(-(u * purify._divergence(p)).sum())


def test_bits_and_crops() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert set(np.unique(purify.quantise(ramp, bits=1))) == {0, 255}
    assert np.array_equal(purify.quantise(ramp, bits=8), ramp)
    whole = purify.crop(ramp, share=1.0, place=(0.3, 0.9), flip=False)
    assert np.array_equal(whole.reshape(16, 16), ramp.reshape(16, 16))
    mirrored = purify.crop(ramp, share=1.0, place=(0.0, 0.0), flip=True)
    assert np.array_equal(mirrored.reshape(16, 16), ramp.reshape(16, 16)[:, ::-1])


def test_bm3d_is_an_extra(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    with pytest.raises(MissingExtra, match=r"bm3d is needed .*catch11\[attacks\]"):
        attack_of("bm3d")()(scene.material, scene.jury)
