"""Keys: bound to one model, silent about their secret, the same stream when asked again."""

import pytest
import torch
from torch import nn

from catch11.canvas.plain import sound_canvas
from catch11.errors import EmptySubspace, InvalidArgument, KeyMismatch
from catch11.keys.key import (
    DEFAULT_RULE,
    DEFAULT_RULE_CONV,
    DEFAULT_RULE_FULL_RANK,
    Key,
    build_joint_key,
    build_key,
    default_rule,
    key_of,
)
from catch11.subspaces.rule import Rule
from tests.fronts.test_find import Net, canvas_of
from tests.loaded import Loaded

CANVAS = canvas_of(16, 20)


def patch_net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(nn.Conv2d(3, 9, 4, stride=4), window=(16, 20))


def test_secret_comes_from_the_system_and_stays_inside() -> None:
    net = patch_net()
    one, two = build_key(net, canvas=CANVAS), build_key(net, canvas=CANVAS)
    assert one.secret != two.secret
    assert len(one.secret) == 32
    assert one.front_fingerprint == two.front_fingerprint
    assert one.model_fingerprint == two.model_fingerprint
    assert one.fingerprint != two.fingerprint
    for text in (repr(one), str(one), f"{one}"):
        assert one.secret.hex() not in text
        assert repr(one.secret) not in text
        assert one.fingerprint[:16] in text


def test_streams_are_bound_to_secret_purpose_and_parts() -> None:
    net = patch_net()
    key = build_key(net, canvas=CANVAS, secret=bytes(32))
    again = build_key(net, canvas=CANVAS, secret=bytes(32))
    other = build_key(net, canvas=CANVAS)
    assert again.fingerprint == key.fingerprint
    assert key.stream(b"x", purpose="p").bytes(8) == again.stream(b"x", purpose="p").bytes(8)
    assert key.stream(b"x", purpose="p").bytes(8) != key.stream(b"x", purpose="q").bytes(8)
    assert key.stream(b"x", purpose="p").bytes(8) != other.stream(b"x", purpose="p").bytes(8)


def test_default_rule_is_used_and_rules_exclude_each_other() -> None:
    assert build_key(patch_net(), canvas=CANVAS).rule == DEFAULT_RULE
    wide = Net(nn.Conv2d(3, 60, 4, stride=4), window=(16, 20))
    assert default_rule(build_key(wide, canvas=CANVAS, rank=3).front) == DEFAULT_RULE_FULL_RANK
    overlapping = Net(nn.Conv2d(3, 5, 3), window=(16, 20))
    assert build_key(overlapping, canvas=CANVAS).rule == DEFAULT_RULE_CONV
    assert build_key(patch_net(), canvas=CANVAS, rank=3).rule == Rule(kind="rank", value=3)
    with pytest.raises(InvalidArgument, match="one rule at most, found energy and tau"):
        build_key(patch_net(), canvas=CANVAS, energy=0.1, tau=0.2)


def test_other_models_are_refused() -> None:
    key, other = build_key(patch_net(), canvas=CANVAS), build_key(patch_net(7), canvas=CANVAS)
    key.check_front(key.front, CANVAS)
    with pytest.raises(KeyMismatch, match="built from another model: expected front"):
        key.check_front(other.front, CANVAS)

    model = Loaded(CANVAS, other.model_fingerprint, lambda _: other.front)
    loaded = build_key(model)
    assert loaded.model_fingerprint == other.model_fingerprint


def test_head_weights_change_the_model_fingerprint_only() -> None:
    net = patch_net()
    key = build_key(net, canvas=CANVAS)
    nn.init.zeros_(net.head.bias)
    tuned = build_key(net, canvas=CANVAS)
    assert tuned.front_fingerprint == key.front_fingerprint
    assert tuned.model_fingerprint != key.model_fingerprint


def test_bad_arguments() -> None:
    net = patch_net()
    with pytest.raises(InvalidArgument, match="a Canvas beside a torch module"):
        build_key(net)
    with pytest.raises(InvalidArgument, match="secret: expected 32 bytes, found 3 bytes"):
        build_key(net, canvas=CANVAS, secret=b"abc")
    with pytest.raises(EmptySubspace):
        build_key(Net(nn.Linear(3, 9), before=lambda x: x.flatten(1), window=(1, 1)), canvas=canvas_of(1, 1), energy=1e-9)  # fmt: skip
    key = build_key(net, canvas=CANVAS)
    with pytest.raises(InvalidArgument, match="the front's window"):
        Key(front=key.front, subspace=key.subspace, canvas=canvas_of(8, 8), rule=key.rule, secret=bytes(32))  # fmt: skip


def test_key_of_a_front_alone() -> None:
    key = build_key(patch_net(), canvas=CANVAS)
    alone = key_of(key.front, canvas=CANVAS, rule=key.rule)
    assert alone.front_fingerprint == key.front_fingerprint
    assert alone.model_fingerprint == ""


def test_a_reader_is_held_against_the_layer_of_the_key() -> None:
    net = patch_net()
    key = build_key(net, canvas=CANVAS, layer="layer")
    first = build_key(patch_net(7), canvas=CANVAS).front  # what the model's own search finds
    model = Loaded(CANVAS, "", lambda layer: key.front if layer == "layer" else first)
    key.check_reader(model)
    with pytest.raises(KeyMismatch):
        build_key(patch_net(3), canvas=CANVAS).check_reader(model)


def test_the_kind_of_data_is_what_the_model_says() -> None:
    net = patch_net()
    front = build_key(net, canvas=CANVAS).front
    model = Loaded(CANVAS, "", lambda _: front)
    assert build_key(model).modality == build_key(net, canvas=CANVAS).modality == "image"
    model.modality = "smell"
    assert build_key(model).modality == "smell"
    with pytest.raises(InvalidArgument, match="one canvas and window"):
        build_joint_key([model, Loaded(CANVAS, "", lambda _: front)])
    canvas = sound_canvas((1, 1, 64), rate=8000)
    listener = nn.Sequential(nn.Flatten(), nn.Linear(64, 9))
    assert build_key(listener, canvas=canvas).modality == "audio"
