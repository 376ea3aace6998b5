"""Keys with no layer: a model whose input no layer reads is released for by the deep recoder alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas, strip_canvas
from catch11.errors import EmptySubspace, InvalidArgument, KeyMismatch, NoFront
from catch11.evaluation.suitability import suitability
from catch11.fronts.front import input_front
from catch11.keys.file import load_key, save_key
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.models.stages import stages
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from tests.calls import run, said
from tests.models.vlm.tiny import pictures

SIDE = 16


class Reflecting(nn.Module):
    """Its first layer pads by reflection, which no front here says."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 8, 3, 2, 1, padding_mode="reflect")
        self.head = nn.Linear(8 * 8 * 8, 4)
        self.head.weight.data *= 20

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).relu().flatten(1))


def reflecting() -> tuple[nn.Module, Canvas]:
    return Reflecting().eval(), plain_canvas(SIDE, SIDE)


def mixing() -> tuple[nn.Module, Canvas]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * SIDE * SIDE, 4))
    return net.eval(), plain_canvas(SIDE, SIDE)


@pytest.fixture
def model() -> Model:
    return load_picture_model(f"py:{__file__}:reflecting")


def test_a_model_without_a_front_is_released_for_by_deep(model: Model, tmp_path: Path) -> None:
    with pytest.raises(NoFront, match="make a key for --method deep alone with --layer none"):
        build_key(model)
    key = build_key(model, layer="none")
    save_key(key, tmp_path / "k.key")
    key = load_key(tmp_path / "k.key")
    assert (key.front.layer, key.subspace.dimension, str(key.rule)) == ("none", 0, "tau ≤ 0")
    key.check_reader(model)
    clean = torch.rand(3, 3, SIDE, SIDE)
    made = DeepRecoder(model, key)(clean).images
    answers = [model.answers(model.canvas.normalise(x)) for x in (clean, made)]
    assert torch.equal(*answers)
    assert (made - clean).abs().mean() > 0.1
    with pytest.raises(InvalidArgument, match="made with --layer none; nothing is unseen with it"):
        SpectralRecoder(key)
    assert suitability(model, layer="none").verdict == "none"
    assert stages(model) == {}


def test_no_rule_goes_with_no_layer(model: Model) -> None:
    with pytest.raises(InvalidArgument, match="no rule beside it, as nothing is unseen"):
        build_key(model, layer="none", energy=0.1)


def test_a_front_that_sees_everything_says_the_same() -> None:
    mixed = load_picture_model(f"py:{__file__}:mixing")
    with pytest.raises(EmptySubspace, match="alone with --layer none"):
        build_key(mixed)
    assert build_key(mixed, layer="none").subspace.dimension == 0


def test_another_window_is_refused(model: Model) -> None:
    key = build_key(model, layer="none")
    front = input_front((3, SIDE, 2 * SIDE))
    with pytest.raises(KeyMismatch):
        key.check_front(front, plain_canvas(SIDE, 2 * SIDE))
    with pytest.raises(InvalidArgument, match="canvas"):
        Key(front=front, subspace=key.subspace, canvas=key.canvas, rule=key.rule, secret=bytes(32))


def test_the_commands_release_and_verify(tmp_path: Path) -> None:
    spec, source = f"py:{__file__}:reflecting", tmp_path / "source"
    source.mkdir()
    for number, picture in enumerate(pictures(3, height=20, width=24)):
        picture.save(source / f"{number}.png")
    key = tmp_path / "k.key"
    assert "--layer none" in said("key", spec, "-o", key)
    status, text = run("key", spec, "-o", key, "--layer", "none")
    assert (status, "dB" in text, "deep" in text) == (0, False, True), text
    assert "--method deep" in said("recode", source, tmp_path / "no", "--key", key)
    deep = ("--method", "deep", "--model", spec, "--check")
    status, text = run("recode", source, tmp_path / "out", "--key", key, *deep)
    assert (status, "3 written" in text) == (0, True), text
    status, text = run(
        "verify", tmp_path / "out", "--model", spec, "--source", source, "--key", key
    )
    assert status == 0, text
    status, text = run("inspect", spec, "--layer", "none")
    assert (status, "--method deep" in text) == (0, True), text


@pytest.mark.parametrize("geometry", ["tokens", "dense"])
def test_rows_and_tokens_are_seen_whole(geometry: str) -> None:
    front = input_front(strip_canvas(7).shape, geometry=geometry)  # type: ignore[arg-type]
    window = torch.rand(2, 1, 1, 7, dtype=torch.float64)
    assert torch.equal(front.apply(window), window.flatten(1))
    assert front.flat
