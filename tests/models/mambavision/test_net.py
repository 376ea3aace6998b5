"""The net has the published sizes, costs, windows and names."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from catch11.errors import InvalidArgument
from catch11.models.mambavision.net import SHAPES, Attention, DropPath, MambaVision, Mixer, Shape

# Millions of parameters and thousand millions of multiplications of its layers at 224, of the
# paper's Table 2 (T2: of the published model cards). Products of attention are not among them.
PUBLISHED = {"T": (31.8, 4.4), "T2": (35.1, 5.1), "S": (50.1, 7.5), "B": (97.7, 15.0)}
LAYERS = {"aten.convolution", "aten.addmm", "aten.mm"}
TINY = Shape(dim=16, stem=8, depths=(1, 1, 3, 2), heads=(1, 1, 2, 4), windows=(8, 8, 4, 2))


@pytest.mark.parametrize("name", SHAPES)
def test_sizes_and_costs_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        net = MambaVision(SHAPES[name]).eval()
        with FlopCounterMode(display=False) as counted:
            net(torch.empty(1, 3, 224, 224))
    million = sum(one.numel() for one in net.parameters()) / 1e6
    assert million == pytest.approx(PUBLISHED[name][0], abs=0.05)
    layers = sum(n for op, n in counted.get_flop_counts()["Global"].items() if str(op) in LAYERS)
    assert layers / 2e9 == pytest.approx(PUBLISHED[name][1], rel=0.02)


def test_weights_bear_the_published_names() -> None:
    """Names and shapes as the published T has them, some of each block."""
    with torch.device("meta"):
        held = {name: tuple(x.shape) for name, x in MambaVision(SHAPES["T"]).state_dict().items()}
    for name, shape in {
        "patch_embed.conv_down.0.weight": (32, 3, 3, 3),
        "patch_embed.conv_down.4.running_var": (80,),
        "levels.0.blocks.0.conv1.bias": (80,),
        "levels.1.blocks.2.norm2.weight": (160,),
        "levels.1.downsample.reduction.0.weight": (320, 160, 3, 3),
        "levels.2.blocks.3.mixer.A_log": (160, 8),
        "levels.2.blocks.3.mixer.D": (160,),
        "levels.2.blocks.3.mixer.in_proj.weight": (320, 320),
        "levels.2.blocks.3.mixer.x_proj.weight": (36, 160),
        "levels.2.blocks.3.mixer.dt_proj.bias": (160,),
        "levels.2.blocks.3.mixer.conv1d_z.weight": (160, 1, 3),
        "levels.2.blocks.4.mixer.qkv.bias": (960,),
        "levels.3.blocks.3.mlp.fc1.weight": (2560, 640),
        "norm.num_batches_tracked": (),
        "head.weight": (1000, 640),
    }.items():
        assert held[name] == shape, name
    assert not any("gamma" in name for name in held), "T scales nothing"
    assert len(held) == 12 + 15 + 43 + 117 + 58 + 7  # stem, four stages, norm and head


def test_the_first_half_of_a_hybrid_stage_scans_and_the_rest_attends() -> None:
    net = MambaVision(TINY)
    kinds = [[type(block.mixer) for block in net.levels[at].blocks] for at in (2, 3)]  # type: ignore[union-attr]
    assert kinds == [[Mixer, Mixer, Attention], [Mixer, Attention]]


def test_what_does_not_fill_a_window_is_padded_and_cut_again() -> None:
    net = MambaVision(TINY, classes=5).eval()
    with torch.no_grad():
        stage = net.levels[2]
        assert stage(torch.randn(2, 64, 6, 5)).shape == (2, 128, 3, 3)
        assert net(torch.randn(2, 3, 96, 80)).shape == (2, 5)


def test_windows_do_not_see_each_other() -> None:
    stage = MambaVision(TINY).eval().levels[2]
    stage.downsample = None  # type: ignore[assignment]
    places = torch.randn(1, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    other = places.clone()
    other[..., 4:, :] += 1.0  # of the lower two windows
    with torch.no_grad():
        difference = (stage(places) - stage(other)).abs().amax(1)[0]
    assert difference[:4].max() == 0.0
    assert difference[4:].min() > 0.0


def test_nothing_is_left_out_at_inference_and_blocks_are_in_training() -> None:
    drop = DropPath(0.5)
    ones = torch.ones(4000, 1)
    assert torch.equal(drop.eval()(ones), ones)
    torch.manual_seed(0)
    kept = drop.train()(ones)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert abs(float(kept.mean()) - 1.0) < 0.1


@pytest.mark.parametrize(
    ("name", "value"), [("depths", (1, 1, 2)), ("heads", (1, 1, 3, 4)), ("windows", (8, 8, 0, 7))]
)
def test_a_shape_that_fits_no_net_is_refused(name: str, value: tuple[int, ...]) -> None:
    settings = {"dim": 16, "stem": 8, "depths": (1, 1, 2, 2), "heads": (1, 1, 2, 4)} | {name: value}
    with pytest.raises(InvalidArgument, match=f"{name}: expected"):
        Shape(**settings)  # type: ignore[arg-type]
