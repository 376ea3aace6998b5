"""Attacks on tensors: each recovers what its knowledge allows, and repeats."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from catch11.attacks import blind
from catch11.attacks.frame import Attempt, Finding, attack_of
from catch11.attacks.probing import seen_by_queries
from catch11.attacks.projection import fill
from catch11.attacks.tiles import cut, moments, seen_by_difference
from catch11.canvas.grid import psnr
from catch11.subspaces.tiles import TileSubspace
from tests.attacks.conftest import PATCH, Scene, pictures

torch.set_num_threads(1)


def _find(scene: Scene, name: str) -> Finding:
    (found,) = attack_of(name)()(scene.material, scene.jury)
    return found


def _attempts(scene: Scene, name: str) -> list[Attempt]:
    attack = attack_of(name)()
    generator = torch.Generator().manual_seed(0)
    return list(attack.run(scene.material.cut(attack.knowledge), generator=generator))


class Gain(NamedTuple):
    name: str
    decibels: float


# Least gain in PSNR over the released 10 dB: what these attacks must go on reaching.
GAINS = [
    Gain("blur", 6.0),
    Gain("blind-wiener", 9.0),
    Gain("blind-subspace", 9.0),
    Gain("frequency-wiener", 8.0),
    Gain("fastica", 0.2),  # these fields are Gaussian: there is little for it to find
    Gain("project-out", 2.0),
    Gain("project-inpaint", 12.0),
    Gain("probe", 12.0),
    Gain("average", 2.0),
    Gain("linear-reconstruction", 12.0),
]


@pytest.mark.parametrize("row", GAINS, ids=repr)
def test_attacks_gain(scene: Scene, row: Gain) -> None:
    before = float(psnr(scene.material.released, scene.clean).mean())
    best = max(
        float(psnr(attempt.restored.clamp(0, 1), scene.clean).mean())
        for attempt in _attempts(scene, row.name)
        if attempt.restored is not None
    )
    assert best >= before + row.decibels


def test_knowing_more_helps(scene: Scene) -> None:
    none, unseen, seen = (
        _find(scene, name) for name in ("none", "blind-subspace", "project-inpaint")
    )
    assert none.psnr is not None
    assert unseen.psnr is not None
    assert seen.psnr is not None
    assert none.psnr + 6 < unseen.psnr < seen.psnr
    assert sum(none.hits) < sum(seen.hits)
    clean = scene.jury.hits("theirs", Attempt(setting="clean", restored=scene.clean))
    assert sum(seen.hits) >= 0.8 * sum(clean)


@pytest.mark.parametrize("name", ["blind-wiener", "crop-flip"])
def test_attacks_repeat(scene: Scene, name: str) -> None:
    assert _find(scene, name) == _find(scene, name)


def test_the_blind_attack_finds_the_tile_and_the_subspace(scene: Scene) -> None:
    released, public = scene.material.released, scene.material.public
    assert public is not None
    assert (4, 4) in blind.tile_sizes(released)
    sizes = blind.tile_sizes(released)
    best = max(sizes, key=lambda size: blind.tile_contrast(released, public, size))
    assert best == (PATCH, PATCH)
    _, ours = moments(cut(released, best).flatten(0, 1))
    _, theirs = moments(cut(public, best).flatten(0, 1))
    vectors, _ = seen_by_difference(ours, theirs, weight=2.0)
    assert isinstance(scene.key.subspace, TileSubspace)
    kept = scene.key.subspace.kept
    overlap = (vectors[:, : kept.shape[1]].T @ kept).square().sum() / kept.shape[1]
    assert float(overlap) > 0.9


def test_mean_patch_undoes_repeated_noise_and_only_that(scene: Scene) -> None:
    generator = torch.Generator().manual_seed(1)
    noise = 0.2 * torch.randn(1, 3, PATCH, PATCH, generator=generator).repeat(1, 1, 4, 4)
    repeated = replace(scene.material, released=(scene.clean + noise).clamp(0, 1))
    attack = attack_of("mean-patch")()
    gained = max(
        float(psnr(attempt.restored, scene.clean).mean())
        for attempt in attack.run(repeated, generator=generator)
        if attempt.restored is not None
    )
    assert gained > float(psnr(repeated.released, scene.clean).mean()) + 6.0
    fresh = [a.restored for a in _attempts(scene, "mean-patch") if a.restored is not None]
    before = float(psnr(scene.material.released, scene.clean).mean())
    assert all(float(psnr(images, scene.clean).mean()) < before + 2.0 for images in fresh)


def test_two_strengths_on_a_line_give_the_original(scene: Scene) -> None:
    noise = 0.05 * torch.randn(scene.clean.shape, generator=torch.Generator().manual_seed(2))
    inner = scene.clean * 0.4 + 0.3
    material = replace(scene.material, released=inner + noise, others=(inner + 3 * noise,))
    attack = attack_of("extrapolate")()
    errors = [
        float((attempt.restored - inner).abs().max())
        for attempt in attack.run(material, generator=torch.Generator())
        if attempt.restored is not None
    ]
    assert min(errors) < 1e-5


def test_keyed_strengths_are_not_on_a_line(scene: Scene) -> None:
    """The recoder keys its noise with the settings, so extrapolation gains less than averaging."""
    line, mean = (
        max(
            float(psnr(a.restored, scene.clean).mean())
            for a in _attempts(scene, name)
            if a.restored is not None
        )
        for name in ("extrapolate", "average")
    )
    assert line < mean


def test_three_queries_give_the_subspace_away(scene: Scene) -> None:
    """192 - 48 unseen directions of a tile, 16 tiles a picture: some dozen pictures span them."""
    clean = pictures(24, seed=7)
    seen = seen_by_queries(clean, scene.recoder(clean).images, (PATCH, PATCH))
    assert isinstance(scene.key.subspace, TileSubspace)
    kept = scene.key.subspace.kept
    assert seen.shape == kept.shape
    assert float((seen.T @ kept).square().sum()) > 0.99 * kept.shape[1]


def test_filling_keeps_what_is_seen(scene: Scene) -> None:
    subspace, public = scene.key.subspace, scene.material.public
    assert public is not None
    inside = scene.clean * 0.2 + 0.4
    made = fill(subspace, inside, public, rounds=8)
    moved = made - inside
    assert torch.allclose(subspace.project(moved), moved, atol=2e-3)
