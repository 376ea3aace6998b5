import pytest
import torch
from torch import nn

from catch11.baselines import published
from catch11.canvas.grid import GRIDS, psnr
from catch11.canvas.plain import plain_canvas
from catch11.errors import EmptySubspace, InvalidArgument
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model

torch.set_num_threads(1)
CANVAS = plain_canvas(12, 12, mean=(0.5,) * 3, std=(0.25,) * 3)
SEED = torch.Generator().manual_seed(0)


def _model(kernel: int, stride: int, padding: int = 0) -> Model:
    torch.manual_seed(1)
    first = nn.Conv2d(3, 5, kernel, stride=stride, padding=padding)
    module = nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    module(torch.zeros(1, 3, 12, 12))
    return Model(
        name="m", spec="test:m", module=module.eval().requires_grad_(False), canvas=CANVAS,
        labels=tuple("abcd"), fingerprint=module_fingerprint(module), prepare=canvas_prepare(CANVAS),
    )  # fmt: skip


def _windows(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("nominal", "sigma"), [(20.0, 25.5), (0.0, 255.0), (40.0, 2.55)])
def test_nominal_decibels(nominal: float, sigma: float) -> None:
    assert published.deviation(nominal) == pytest.approx(sigma)


@pytest.mark.parametrize("shape", [(4, 4, 0), (3, 1, 1), (3, 2, 1)], ids=repr)
def test_the_replaced_stem_hides_the_noise(shape: tuple[int, int, int]) -> None:
    """On unfolded patches the authorized logits stay; a model fed the folded sum is moved, but for
    patches that do not overlap."""
    model = _model(*shape)
    layer = published.stem(model)
    inside = published.insensitive(layer)
    deltas = published.patch_noise(inside, 20.0, count=3, generator=SEED)
    assert float((layer.weight.flatten(1) @ deltas.T).abs().max()) < 1e-3
    values = CANVAS.normalise(_windows(3))
    clean = model.logits(values)
    own = published.authorized_logits(model, values, deltas)
    torch.testing.assert_close(own, clean, atol=1e-2, rtol=1e-3)
    moved = published.folded(layer, deltas, (3, 12, 12))
    seen = (model.logits(values + moved) - clean).norm() / clean.norm()
    assert float(seen) < 1e-2 if shape[0] == shape[1] else float(seen) > 1.0


def test_one_draw_for_all_patches() -> None:
    layer = published.stem(_model(4, 4))
    deltas = published.patch_noise(published.insensitive(layer), 20.0, count=2, generator=SEED)
    moved = published.folded(layer, deltas, (3, 12, 12))
    assert torch.equal(moved[:, :, :4, :4], moved[:, :, 8:, 4:8])
    assert not torch.equal(moved[0], moved[1])


def test_the_whole_arithmetic_is_its_parts() -> None:
    layer = published.stem(_model(4, 4))
    inside, values = published.insensitive(layer), CANVAS.normalise(_windows(2))
    first, second = (torch.Generator().manual_seed(3) for _ in "ab")
    deltas = published.patch_noise(inside, 20.0, count=2, generator=first)
    expected = values + published.folded(layer, deltas, (3, 12, 12))
    made = published.recoded(layer, inside, values, 20.0, generator=second)
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("decibels", [25.0, 12.0, 8.0])
def test_files_have_the_strength_asked_for_and_lie_in_the_box(decibels: float) -> None:
    clean = 0.3 + 0.4 * _windows(4)
    rays = torch.randn(clean.shape, generator=SEED)
    made = published.at_strength(clean, rays, decibels, grid=GRIDS["png8"])
    assert (psnr(made, clean) - decibels).abs().max() < 0.1
    assert torch.equal(made, (made * 255).round() / 255)
    assert 0.0 <= float(made.min()) <= float(made.max()) <= 1.0


def test_refusals() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(432, 4)).eval()
    model = Model(
        name="dense", spec="test:m", module=dense, canvas=CANVAS, labels=tuple("abcd"),
        fingerprint=module_fingerprint(dense), prepare=canvas_prepare(CANVAS),
    )  # fmt: skip
    with pytest.raises(published.NoStem, match="needs a torch convolution, found Linear"):
        published.stem(model)
    full = nn.Conv2d(3, 40, 3)
    with pytest.raises(EmptySubspace, match="tau"):
        published.insensitive(full)
    with pytest.raises(InvalidArgument, match="deltas: expected one for each of 2"):
        published.authorized_logits(_model(4, 4), _windows(2), torch.zeros(1, 48))
