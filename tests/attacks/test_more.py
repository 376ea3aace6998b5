"""Detectors and strippers, near-duplicates, fronts known by frequency, counter-trained rivals."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from catch11.attacks import several
from catch11.attacks.adaptation import Reader
from catch11.attacks.counter import Counter, CounterTrain, noise_root, simulated
from catch11.attacks.detection import Detection, detector, octaves
from catch11.attacks.frame import Material, attack_of
from catch11.attacks.projection import FrontWiener
from catch11.attacks.tiles import cut, moments, paste
from catch11.canvas.grid import psnr
from catch11.errors import InvalidArgument, Unsuited
from catch11.evaluation.interval import Interval
from catch11.fronts.find import find_front
from catch11.keys.key import key_of
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule
from tests.attacks.conftest import CANVAS, PATCH, Scene, pictures

torch.set_num_threads(1)


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _quality(images: torch.Tensor | None, clean: torch.Tensor) -> float:
    assert images is not None
    return float(psnr(images, clean).mean())


def test_octaves_know_where_energy_is() -> None:
    """A chequerboard of single pixels is all in the first octave, one of 2 x 2 in the second."""
    place = torch.arange(16)
    fine = ((place[:, None] + place) % 2).float().expand(1, 3, 16, 16)
    coarse = ((place[:, None] // 2 + place // 2) % 2).float().expand(1, 3, 16, 16)
    one, two = octaves(fine)[0], octaves(coarse)[0]
    assert one[:3].argmax() == 0
    assert two[:3].argmax() == 1
    assert torch.allclose(one[3:], torch.log(torch.tensor(1e-7)).expand(3), atol=1e-3)


def test_octaves_of_checks_in_closed_form() -> None:
    checks = ((torch.arange(8)[:, None] + torch.arange(8)[None]) % 2).float().expand(1, 3, 8, 8)
    finest, *rest = octaves(checks)[0].exp().tolist()
    assert finest == pytest.approx(0.25, rel=1e-5)  # a half up and a half down of their mean
    assert rest == pytest.approx([1e-7] * len(rest), rel=1e-3)


def _told_apart(scene: Scene, material: Material) -> Interval:
    (found,) = Detection()(material, scene.jury)
    (measured,) = found.measures
    assert (measured.metric, measured.n) == ("auc", len(material.released))
    return measured.value


def test_the_detector_tells_noise_and_not_other_pictures(scene: Scene) -> None:
    assert scene.material.public is not None
    assert _told_apart(scene, scene.material).estimate > 0.99
    others = _told_apart(scene, replace(scene.material, released=pictures(60, seed=77)))
    assert others.low < 0.6
    assert others.estimate < 0.7
    few = replace(scene.material, public=scene.material.public[:3])
    with pytest.raises(Unsuited, match="attack detection: needs 4 public pictures"):
        _told_apart(scene, few)


def test_stripping_helps_and_leaves_ordinary_pictures_alone(scene: Scene) -> None:
    attack = attack_of("strip")()
    (attempt,) = attack.run(scene.material, generator=_seeded())
    before = _quality(scene.material.released, scene.clean)
    assert _quality(attempt.restored, scene.clean) > before + 4
    plain = replace(scene.material, released=pictures(40, seed=77))
    (attempt,) = attack.run(plain, generator=_seeded())
    assert attempt.restored is not None
    kept = (attempt.restored == plain.released).flatten(1).all(1)
    assert int(kept.sum()) >= 32


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 4)])
def test_near_duplicates_are_found_and_averaged(shift: tuple[int, int], scene: Scene) -> None:
    wide = torch.nn.functional.interpolate(pictures(24, seed=5), (64, 64), mode="bicubic")
    down, across = shift
    first = wide[..., 16:48, 16:48].clamp(0, 1)
    second = wide[..., 16 + down : 48 + down, 16 + across : 48 + across].clamp(0, 1)
    made, mask = several.aligned(second, first)
    exact = ((made - first) * mask).abs().amax((1, 2, 3)) < 1e-5
    assert int(exact.sum()) >= 18
    noisy = [
        (part + 0.2 * torch.randn(part.shape, generator=_seeded(n))).clamp(0, 1)
        for n, part in enumerate((first, second))
    ]
    material = replace(scene.material, released=noisy[0], others=(noisy[1],))
    (attempt,) = attack_of("near-duplicates")().run(material, generator=_seeded())
    assert _quality(attempt.restored, first) > _quality(noisy[0], first) + 1.0


def test_a_known_convolution_helps_at_each_frequency(scene: Scene) -> None:
    torch.manual_seed(4)
    front = nn.Conv2d(3, 8, 3, padding=1)
    low = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    front.weight.data = 0.1 * front.weight.data + torch.randn(8, 3, 1, 1) * low
    key = key_of(
        find_front(nn.Sequential(front, nn.ReLU()), CANVAS), canvas=CANVAS,
        rule=Rule(kind="energy", value=1e-3), secret=bytes(32),
    )  # fmt: skip
    clean = scene.clean[:20]
    released = SpectralRecoder(key, psnr=14.0)(clean).images
    material = replace(scene.material, released=released, front=key.front, subspace=key.subspace)
    attempts = list(FrontWiener().run(material, generator=_seeded()))
    best = max(_quality(attempt.restored, clean) for attempt in attempts)
    assert best > _quality(released, clean) + 6
    with pytest.raises(Unsuited, match="no overlapping convolution"):
        list(FrontWiener().run(scene.material, generator=_seeded()))


def test_simulated_noise_has_the_covariance_that_was_read(scene: Scene) -> None:
    size = (PATCH, PATCH)
    grey = torch.full((400, 3, 32, 32), 0.5)
    mixing = 0.02 * torch.randn(192, 192, generator=_seeded(3)).double() / 192**0.5
    tiles = torch.randn(400, 16, 192, generator=_seeded(4)).double() @ mixing.T
    released = paste(cut(grey, size) + tiles, grey, size)
    root = noise_root(released, grey, size)
    made = simulated(grey, root, size, generator=_seeded(5))
    _, wanted = moments(tiles.flatten(0, 1))
    _, found = moments(cut(made, size).flatten(0, 1))
    assert float((found - wanted).norm() / wanted.norm()) < 0.25


def test_a_counter_trained_rival_overlooks_the_noise(scene: Scene) -> None:
    """Without a label: on noise drawn anew it answers more as it answers the originals."""
    public = scene.material.public
    assert public is not None
    attack = CounterTrain(Counter(rates=(3e-3,), epochs=30))
    (attempt,) = attack.run(scene.material, generator=_seeded())
    assert attempt.classify is not None
    assert attempt.rival == "theirs"
    size = (PATCH, PATCH)
    root = noise_root(scene.material.released, public, size)
    noisy = simulated(scene.clean, root, size, generator=_seeded(9))
    before = Reader(scene.rival).eval()
    with torch.no_grad():
        wanted = before(scene.clean)
        away = [(net(noisy) - wanted).square().mean() for net in (before, attempt.classify)]
    assert float(away[1]) < 0.75 * float(away[0])


def test_counter_training_refuses(scene: Scene) -> None:
    with pytest.raises(InvalidArgument, match="counter: expected rates"):
        Counter(epochs=0)
    few = replace(scene.material, released=scene.material.released[:0])
    with pytest.raises(Unsuited, match="too few released files"):
        next(CounterTrain().run(few, generator=_seeded()))


def test_detectors_need_little() -> None:
    tiny = torch.rand(3, 1, 8, 8, generator=_seeded())
    assert detector(tiny)(tiny).shape == (3,)
