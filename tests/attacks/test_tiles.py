import pytest
import torch

from catch11.attacks import tiles
from tests.attacks.conftest import pictures

torch.set_num_threads(1)


@pytest.mark.parametrize("size", [(8, 8), (4, 16), (7, 5)], ids=repr)
def test_cut_and_paste(size: tuple[int, int]) -> None:
    windows = pictures(3, seed=0)
    cut = tiles.cut(windows, size)
    assert cut.shape == (3, (32 // size[0]) * (32 // size[1]), 3 * size[0] * size[1])
    assert torch.allclose(tiles.paste(cut, windows, size), windows)
    assert torch.equal(cut[1, 0].reshape(3, *size), windows[1, :, : size[0], : size[1]].double())


def _law(pixels: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    root = torch.randn(pixels, pixels, generator=generator).double() / pixels**0.5
    seen = torch.linalg.qr(torch.randn(pixels, 5, generator=generator).double())[0]
    return root @ root.T, seen


def test_conditional_keeps_what_is_seen() -> None:
    covariance, seen = _law()
    gain = tiles.conditional(seen, covariance, ridge=0.0)
    assert torch.allclose(seen.T @ gain, seen.T, atol=1e-9)
    assert torch.allclose(gain @ gain, gain, atol=1e-9)


def test_conditional_is_the_best_linear_guess() -> None:
    """No change of the gain lowers the mean square error: its gradient vanishes."""
    covariance, seen = _law()
    project = seen @ seen.T
    gain = tiles.conditional(seen, covariance, ridge=0.0)
    # error(G) = tr (GP − I) S (GP − I)ᵀ, gradient 2 (GP − I) S P
    gradient = (gain @ project - torch.eye(12)) @ covariance @ project
    assert float(gradient.abs().max()) < 1e-9


def test_wiener_closed_form() -> None:
    """White noise on white content of other size: the gain is the share of content."""
    eye = torch.eye(6).double()
    assert torch.allclose(tiles.wiener(4 * eye, eye), eye / 4, atol=1e-4)
    assert torch.allclose(tiles.wiener(0.5 * eye, eye), eye, atol=2e-4)


def test_difference_finds_the_quiet_directions() -> None:
    covariance, seen = _law()
    noisy = covariance + 9.0 * (torch.eye(12) - seen @ seen.T)
    vectors, values = tiles.seen_by_difference(noisy, covariance, weight=1.0)
    assert tiles.widest_gap(values, least=1) == 5
    assert torch.allclose(vectors[:, :5] @ vectors[:, :5].T, seen @ seen.T, atol=1e-9)


def test_neighbours_are_the_neighbours() -> None:
    grid = torch.arange(12.0).double().reshape(1, 3, 4, 1)
    wide = tiles.neighbours(grid)[0]
    assert wide[1, 1].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert wide[0, 0].tolist() == [0, 0, 1, 0, 0, 1, 4, 4, 5]


def test_neighbours_help_on_smooth_pictures() -> None:
    public, hidden = pictures(200, seed=3), pictures(20, seed=4)
    generator = torch.Generator().manual_seed(5)
    seen = torch.linalg.qr(torch.randn(192, 6, generator=generator).double())[0]
    mean, covariance = tiles.moments(tiles.cut(public, (8, 8)).flatten(0, 1))
    alone = (tiles.cut(hidden, (8, 8)) - mean) @ tiles.conditional(seen, covariance).T + mean
    errors = [
        float((made - hidden).square().mean())
        for made in (
            tiles.paste(alone, hidden, (8, 8)),
            tiles.inpaint_by_neighbours(hidden, public, seen, (8, 8)),
        )
    ]
    assert errors[1] < errors[0]
