"""Joint fronts: what they do not see, no member sees."""

import pytest
import torch
from torch import nn

from catch11.errors import InvalidArgument, KeyMismatch
from catch11.fronts.find import find_front
from catch11.fronts.front import Front, conv_front
from catch11.keys.key import build_joint_key, key_of
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.joint import joint_front
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import tile_subspace
from tests.fronts.test_find import Net, canvas_of
from tests.loaded import Loaded
from tests.recoding.spectral.test_recoder import WINDOWS
from tests.subspaces.test_tiles import patch_front

NULL = Rule(kind="energy", value=0.0)
TILES = [((4, 4), (4, 4)), ((4, 4), (2, 2)), ((4, 2), (2, 4)), ((3, 3), (4, 4))]


@pytest.mark.parametrize("join", ["stacked", "averaged"])
@pytest.mark.parametrize("kernels", TILES, ids=repr)
def test_joint_tiles_are_inside_both(kernels: tuple[tuple[int, int], ...], join: str) -> None:
    fronts = [patch_front(3, kernel, (3, 12, 24), seed=i) for i, kernel in enumerate(kernels)]
    joint = tile_subspace(joint_front(fronts, NULL, join=join), NULL)  # type: ignore[arg-type]
    alone = [tile_subspace(front, NULL) for front in fronts]
    moved = joint.project(torch.randn(2, 3, 12, 24, dtype=torch.float64))
    assert moved.norm() > 0.1
    for front in fronts:
        assert front.apply(moved).abs().max() < 1e-9
    assert joint.dimension == joint.ambient - sum(one.ambient - one.dimension for one in alone)


def conv(
    kernel: int, padding: tuple[int, int, int, int], *, stride: int = 2, seed: int = 0
) -> Front:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(2, 3, kernel, kernel, dtype=torch.float64, generator=generator)
    return conv_front(
        weight=weight, bias=torch.zeros(2, dtype=torch.float64), neutral=(0.5,) * 3, shape=(3, 15, 14),
        layer="conv", stride=(stride, stride), dilation=(1, 1), padding=padding, groups=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (conv(3, (1, 1, 1, 1)), conv(3, (1, 1, 1, 1), seed=1)),
        (conv(3, (0, 0, 0, 0)), conv(7, (3, 3, 3, 3), seed=1)),
        (conv(3, (0, 1, 0, 1)), conv(5, (2, 2, 2, 2), seed=1)),
    ],
    ids=["alike", "other kernels", "asymmetric"],
)
def test_joint_convolution_sees_all_that_either_sees(one: Front, two: Front) -> None:
    joint = joint_front([one, two], NULL).explicit()
    for front in (one, two):
        rows = front.explicit()
        seen = torch.linalg.lstsq(joint.T, rows.T, driver="gelsd").solution
        torch.testing.assert_close(joint.T @ seen, rows.T, atol=1e-9, rtol=0)


def test_fronts_that_do_not_go_together() -> None:
    with pytest.raises(InvalidArgument, match="of one kind on one window"):
        joint_front([patch_front(3, (4, 4), (3, 8, 8)), patch_front(3, (4, 4), (3, 12, 12))], NULL)
    with pytest.raises(InvalidArgument, match="joint tile divides"):
        joint_front(
            [patch_front(3, (4, 4), (3, 16, 16)), patch_front(3, (3, 3), (3, 16, 16))], NULL
        )
    with pytest.raises(InvalidArgument, match="of one stride"):
        joint_front([conv(3, (1, 1, 1, 1)), conv(3, (1, 1, 1, 1), stride=1)], NULL)


def loaded(seed: int, *, size: int = 32) -> Loaded:
    torch.manual_seed(seed)
    net = Net(nn.Conv2d(3, 20, 8, stride=8), window=(size, size)).eval()
    canvas = canvas_of(size, size)
    return Loaded(canvas, str(seed), lambda layer: find_front(net, canvas, layer=layer))


def test_one_file_for_two_models_and_no_third() -> None:
    models = [loaded(0), loaded(1), loaded(2)]
    key = build_joint_key(models[:2], energy=0.0)
    recoded = SpectralRecoder(key, psnr=12.0)(WINDOWS)
    for model, reads in zip(models, (True, True, False), strict=True):
        shift = model.front().relative_shift(recoded.images, WINDOWS)
        assert bool((shift < 0.05).all()) is reads
    key.check_front(models[0].front(), models[0].canvas)
    key.check_front(models[1].front(), models[1].canvas)
    with pytest.raises(KeyMismatch, match=" or "):
        key.check_front(models[2].front(), models[2].canvas)


def test_joint_key_needs_one_canvas() -> None:
    with pytest.raises(InvalidArgument, match="two or more with one canvas"):
        build_joint_key([loaded(0), loaded(1, size=24)])
    with pytest.raises(InvalidArgument, match="two or more"):
        build_joint_key([loaded(0)])
    front = loaded(0).front()
    assert key_of(front, canvas=canvas_of(32, 32), rule=NULL).members == ()
