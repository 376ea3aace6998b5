"""Changes to survive: the soft face follows the real one, passes gradients, and is nothing at severity 0."""

import pytest
import torch

from catch11.errors import InvalidArgument
from catch11.recoding.codecs import Blur, Crop, Jpeg, Resize, Survival, survival
from catch11.recoding.deep.question import Change
from tests.recoding.spectral.test_box import picture

# What a change may still leave at severity 0: JPEG goes from quality 95 and halves chroma.
ROWS: list[tuple[Survival, float]] = [
    (Jpeg(75), 0.08),
    (Jpeg(30), 0.08),
    (Resize(0.5), 0.0),
    (Crop(0.8), 0.0),
    (Blur(1.5), 0.0),
]


def pictures() -> torch.Tensor:
    """Two pictures of 48 x 40 pixels, one smooth and one with noise."""
    smooth = picture((3, 48, 40))
    noise = torch.rand(smooth.shape, generator=torch.Generator().manual_seed(3))
    return torch.cat([smooth, (0.6 * smooth + 0.4 * noise)])


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).square().mean().sqrt())


@pytest.mark.parametrize(("change", "least"), ROWS, ids=lambda row: getattr(row, "name", None))
def test_soft_follows_real(change: Survival, least: float) -> None:
    images = pictures()
    assert isinstance(change, Change)
    for severity in (0.5, 1.0):
        soft = change.soft(images, torch.full((2,), severity))
        real = change.real(images, severity)
        assert soft.shape == real.shape == images.shape
        assert torch.equal((real * 255).round() / 255, real)
        moved = distance(real, images)
        assert moved > 0.005
        assert distance(soft, real) < 0.25 * moved + 0.004
    assert distance(change.soft(images, torch.zeros(2)), images) <= least + 1e-6


@pytest.mark.parametrize(("change", "least"), ROWS, ids=lambda row: getattr(row, "name", None))
def test_soft_passes_gradients(change: Survival, least: float) -> None:
    images = pictures().requires_grad_(True)
    change.soft(images, torch.tensor([0.3, 1.0])).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()


def test_severity_is_each_images_own() -> None:
    images = pictures()[:1].expand(2, -1, -1, -1)
    for change, _ in ROWS:
        together = change.soft(images, torch.tensor([0.2, 1.0]))
        alone = change.soft(images[:1], torch.tensor([1.0]))
        torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=0)


def test_grey_pictures() -> None:
    grey = pictures()[:, :1]
    for change, _ in ROWS:
        assert change.real(grey, 1.0).shape == change.soft(grey, torch.ones(2)).shape == grey.shape


def test_lists_are_read() -> None:
    found = survival("jpeg:75, resize:0.5,crop:0.9,blur:1")
    assert found == (Jpeg(75), Resize(0.5), Crop(0.9), Blur(1.0))
    assert [c.name for c in found] == ["jpeg:75", "resize:0.5", "crop:0.9", "blur:1"]
    assert survival("") == ()


@pytest.mark.parametrize(
    "text", ["jpeg", "jpeg:x", "jpeg:0", "jpeg:75.5", "resize:2", "crop:1", "blur:0", "rain:1"]
)
def test_other_lists_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="survive: expected jpeg:QUALITY, resize:FACTOR"):
        survival(text)
