"""Attackers who hold several releases of the same pictures: what pooling them must not lose."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from catch11.attacks.frame import Attempt, Material
from catch11.attacks.several import Collude, likely_tiles, pooled_gain
from catch11.attacks.tiles import cut, paste, pooled_wiener, wiener
from tests.attacks.conftest import PATCH, Scene, pictures

torch.set_num_threads(1)


def _noisy(clean: Tensor, deviation: float, seed: int) -> Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return (clean + deviation * noise).clamp(0, 1)


def _attempts(material: Material) -> dict[str, Attempt]:
    given = material.cut(Collude.knowledge)
    made = list(Collude().run(given, generator=torch.Generator().manual_seed(0)))
    assert len({attempt.setting for attempt in made}) == len(made)
    return {attempt.setting: attempt for attempt in made}


def _covariances(windows: Tensor, public: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tiles of PATCH pixels, their covariance and that of public ones, by numpy."""
    tiles, known = (cut(some, (PATCH, PATCH)).numpy() for some in (windows, public))
    ours, theirs = (
        np.cov(some.reshape(-1, some.shape[-1]).T, bias=True) for some in (tiles, known)
    )
    return tiles, ours, theirs


def _noise(ours: np.ndarray, theirs: np.ndarray, weight: float, floor: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(ours - weight * theirs)
    return (vectors * values.clip(min=0)) @ vectors.T + floor * np.eye(len(ours))


def _pasted(tiles: np.ndarray, like: Tensor) -> Tensor:
    return paste(torch.from_numpy(tiles), like, (PATCH, PATCH))


def test_colluders_try_each_release_by_itself(scene: Scene) -> None:
    """As it is, filtered with tiles of its own and by frequency; then the mean and what pools all."""
    other = _noisy(scene.clean, 0.2, 1)  # noise of pixels has no tile at all
    material = replace(scene.material, others=(other,))
    found: dict[str, Any] = {n: attempt.restored for n, attempt in _attempts(material).items()}
    public = material.public
    assert public is not None
    usual = cut(public, (PATCH, PATCH)).flatten(0, 1).mean(0).numpy()
    sizes = []
    for number, windows in enumerate((material.released, other)):
        assert torch.equal(found[f"release {number} as it is"], windows)
        likely = likely_tiles(windows, public)
        wanted = {f"tile {size}, weight {weight}" for size, _ in likely for weight in (1, 2)}
        wanted |= {"floor 0.0", "floor 0.1"}
        assert {f"release {number} alone, {one}" for one in wanted} <= found.keys()
        sizes += likely[:1]
    assert sizes[0] == (PATCH, PATCH)
    # E[x | y] = m + S (S + N)⁻¹ (y − m) of the first release, tile by tile.
    tiles, ours, theirs = _covariances(material.released, public)
    for weight in (1, 2):
        noise = _noise(ours, theirs, weight, 1e-4)
        alone = (tiles - usual) @ np.linalg.inv(theirs + noise) @ theirs + usual
        restored = found[f"release 0 alone, tile {PATCH}, weight {weight}"]
        assert torch.allclose(restored, _pasted(alone, other), atol=1e-4)
    assert torch.allclose(found["mean of 2"], (material.released + other) / 2, atol=1e-6)


def test_colluders_weigh_releases_as_the_joint_estimate_does(scene: Scene) -> None:
    """E[x | y₁, y₂] from the covariance of both observations together, one matrix of twice the size."""
    other = _noisy(scene.clean, 0.2, 1)
    found = _attempts(replace(scene.material, others=(other,)))
    public = scene.material.public
    assert public is not None
    usual = cut(public, (PATCH, PATCH)).flatten(0, 1).mean(0).numpy()
    (one, ours, theirs), (two, second, _) = (
        _covariances(windows, public) for windows in (scene.material.released, other)
    )
    for floor in (1e-3, 1e-2):
        noises = [_noise(some, theirs, 2.0, floor) for some in (ours, second)]
        whole = np.block([[theirs + noises[0], theirs], [theirs, theirs + noises[1]]])
        gain = np.linalg.solve(whole, np.vstack([theirs, theirs]))
        made = np.concatenate([one - usual, two - usual], axis=-1) @ gain + usual
        restored = found[f"all filtered, tile {PATCH}, weight 2, floor {floor:g}"].restored
        assert restored is not None
        assert torch.allclose(restored, _pasted(made, other), atol=1e-3)


@pytest.mark.parametrize("better", [0, 1, 2], ids=lambda place: f"release {place}")
def test_colluding_is_never_below_the_best_release(scene: Scene, better: int) -> None:
    """Two of three releases are noise alone, and grey public pictures mislead every filter: whoever
    pools blindly loses the third."""
    noise = [torch.rand(scene.clean.shape, generator=torch.Generator().manual_seed(n)) for n in (1, 2)]  # fmt: skip
    releases = [*noise[:better], scene.clean, *noise[better:]]
    grey = 0.5 + 0.002 * pictures(150, seed=8)
    material = replace(
        scene.material, released=releases[0], others=tuple(releases[1:]), public=grey
    )
    (found,) = Collude()(material, replace(scene.jury, released=releases[0]))
    best = sum(scene.jury.hits("theirs", Attempt(setting="best", restored=scene.clean)))
    pooled = {
        setting: sum(scene.jury.hits("theirs", attempt))
        for setting, attempt in _attempts(material).items()
        if "as it is" not in setting
    }
    assert sum(found.hits) >= best > max(pooled.values())


def test_colluders_gain_from_two_fronts(scene: Scene) -> None:
    """What is weighed together is nearer to the pictures than the better release filtered alone."""
    second = _noisy(scene.clean, 0.4, 4)
    found = _attempts(replace(scene.material, others=(second,)))

    def error(start: str) -> float:
        kept = [one.restored for setting, one in found.items() if setting.startswith(start)]
        return min(float((images - scene.clean).square().mean()) for images in kept if images is not None)  # fmt: skip

    assert error("all filtered") < min(error("release 0 alone"), error("release 1 alone"))


def test_one_noise_gives_the_filter_of_one_release() -> None:
    generator = torch.Generator().manual_seed(5)
    public, laid = (torch.randn(9, 40, generator=generator).double() for _ in range(2))
    usual, noise = public @ public.T / 40, laid @ laid.T / 40
    (gain,) = pooled_wiener([noise + 1e-4 * torch.eye(9)], usual)
    assert torch.allclose(gain, wiener(usual + noise, usual), atol=1e-8)


def test_two_releases_of_equal_noise_are_their_mean_with_half_of_it() -> None:
    usual, noise = torch.diag(torch.tensor([1.0, 2.0]).double()), 0.5 * torch.eye(2).double()
    one, other = pooled_wiener([noise, noise], usual)
    assert torch.allclose(one, other)
    assert torch.allclose(one + other, torch.diag(torch.tensor([0.8, 8 / 9]).double()))


def test_what_one_release_hides_is_taken_from_the_other() -> None:
    """One is buried in the first half of the pixels, the other in the second: together nothing is."""
    quiet, loud = torch.full((3,), 1e-9).double(), torch.full((3,), 1e3).double()
    noises = [torch.diag(torch.cat([loud, quiet])), torch.diag(torch.cat([quiet, loud]))]
    one, other = pooled_wiener(noises, torch.eye(6).double())
    assert torch.allclose(one, torch.diag(torch.tensor([0, 0, 0, 1, 1, 1]).double()), atol=1e-8)
    assert torch.allclose(one + other, torch.eye(6).double(), atol=1e-8)


def test_colluders_with_complementary_subspaces_see_everything() -> None:
    generator = torch.Generator().manual_seed(3)
    basis = torch.linalg.qr(torch.randn(10, 10, generator=generator).double())[0]
    gain = pooled_gain(basis, torch.eye(10).double())
    tiles = torch.randn(4, 10, generator=generator).double()
    assert torch.allclose((tiles @ basis) @ gain.T, tiles, atol=1e-3)
