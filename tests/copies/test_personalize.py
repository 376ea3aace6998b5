"""Personalised copies: copy(scramble(x)) is model(x), for every front that allows one."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    CLIPConfig,
    CLIPForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import plain_canvas
from catch11.copies.personalize import Copy, CopySecret, make_copy, personalize
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.fronts.find import find_front, run_probe
from catch11.keys.file import key_bytes, key_from_bytes
from catch11.keys.key import build_key
from catch11.studies.nets import digits
from tests.fronts.test_find import Net, patches

SECRET, OTHER = bytes(range(32)), bytes(32)
STD, MEAN = (0.229, 0.224, 0.225), (0.485, 0.456, 0.406)
SMALL: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 16, "patch_size": 4,
}  # fmt: skip


def plain(height: int = 16, width: int = 16, *, even: bool = False) -> Canvas:
    mean, std = ((0.5,) * 3, (0.5,) * 3) if even else (MEAN, STD)
    return plain_canvas(height, width, mean=mean, std=std)


def vit() -> nn.Module:
    classes: dict[str, Any] = {"num_labels": 5}
    return ViTForImageClassification(ViTConfig(**SMALL, **classes))


def clip() -> nn.Module:
    classes: dict[str, Any] = {"num_labels": 5}
    text: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    return CLIPForImageClassification(CLIPConfig(vision_config=SMALL, text_config=text, **classes))


class Stacked(nn.Module):
    """As Qwen-VL reads a picture: a stack of tiles, two frames each, a kernel without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, 10, (2, 4, 4), stride=(2, 4, 4), bias=False)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        tiles = rearrange(x, "b c (h p) (w q) -> (b h w) c p q", p=4, q=4)
        seen = self.proj(tiles[:, :, None].expand(-1, -1, 2, -1, -1)).flatten(1)
        return self.head(torch.tanh(seen).reshape(len(x), -1, 10).mean(1))


class Row(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    canvas: Canvas = plain()
    across: bool = False
    inversion: bool = True


def two_frames(x: Tensor) -> Tensor:
    return x[:, :, None].expand(-1, -1, 2, -1, -1)


ROWS = [
    Row("patch", lambda: Net(nn.Conv2d(3, 9, 4, stride=4), window=(16, 16))),
    Row("one std", lambda: Net(nn.Conv2d(3, 9, 4, stride=4), window=(16, 16)), plain(even=True), True),
    Row("a rim", lambda: Net(nn.Conv2d(3, 9, 4, stride=4)), plain(19, 17)),
    Row("tall tiles", lambda: Net(nn.Conv2d(3, 9, (8, 2), stride=(8, 2)), window=(16, 16))),
    Row("flipped channels", lambda: Net(nn.Conv2d(3, 9, 4, stride=4), before=lambda x: x.flip(1), window=(16, 16))),
    Row("second normalisation", lambda: Net(nn.Conv2d(3, 9, 4, stride=4), before=lambda x: 2 * x - 0.3, window=(16, 16))),
    Row("patch by linear", lambda: Net(nn.Linear(48, 9), before=patches, window=(16, 16))),
    Row("dense", lambda: Net(nn.Linear(768, 6), before=lambda x: x.flatten(1), window=(16, 16))),
    Row("dense, channels last", lambda: Net(nn.Linear(768, 6), before=lambda x: x.permute(0, 2, 3, 1).flatten(1), window=(16, 16))),
    Row("no bias", lambda: Net(nn.Conv2d(3, 9, 4, stride=4, bias=False), window=(16, 16)), inversion=False),
    Row("no bias, one std", lambda: Net(nn.Conv2d(3, 9, 4, stride=4, bias=False), window=(16, 16)), plain(even=True), True, False),
    Row("frames", lambda: Net(nn.Conv3d(3, 5, (2, 4, 4), stride=(2, 4, 4)), before=two_frames, window=(16, 16))),
    Row("stacked tiles", Stacked, inversion=False),
    Row("ViT", vit),
    Row("CLIP", clip),
]  # fmt: skip


def built(row: Row) -> nn.Module:
    torch.manual_seed(3)
    return row.make().eval()


def apart(model: nn.Module, made: Copy, where: Canvas) -> tuple[float, float]:
    """How far the copy on scrambled windows, and the original on them, are from model(x), of its size."""
    x = torch.rand(4, *where.shape, generator=torch.Generator().manual_seed(5))
    meant = run_probe(model, where.normalise(x))
    scrambled = where.normalise(made.scramble(x))
    size = meant.abs().max()
    return tuple(
        float((run_probe(one, scrambled) - meant).abs().max() / size) for one in (made.model, model)
    )  # type: ignore[return-value]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_copy_reads_scrambled_what_the_model_reads_clean(row: Row) -> None:
    model = built(row)
    before = copy.deepcopy(model.state_dict())
    made = make_copy(model, secret=SECRET, canvas=row.canvas)
    copied, original = apart(model, made, row.canvas)
    assert copied < 2e-5
    assert original > 1e-3
    assert (made.secret.across, made.secret.inversion) == (row.across, row.inversion)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert {n: v.shape for n, v in made.model.state_dict().items()} == {n: v.shape for n, v in before.items()}  # fmt: skip
    assert 0 < made.secret.bits <= 256


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_secret_knows_the_fronts(row: Row) -> None:
    model = built(row)
    made = make_copy(model, secret=SECRET, canvas=row.canvas)
    made.secret.check_front(find_front(made.model, row.canvas), row.canvas)
    with pytest.raises(KeyMismatch, match="expected the copy"):
        made.secret.check_front(find_front(model, row.canvas), row.canvas)


def test_the_key_of_a_module_is_told_that_it_is_a_copy() -> None:
    made = personalize(built(ROWS[0]), secret=SECRET, canvas=plain())
    assert not build_key(made, canvas=plain()).private
    key = build_key(made, canvas=plain(), private=True)
    assert key.private
    assert key_from_bytes(key_bytes(key)).private


def test_weights_are_moved_and_signed_only() -> None:
    model = built(ROWS[0])
    made = personalize(model, secret=SECRET, canvas=plain())
    ours, theirs = model.get_parameter("layer.weight"), made.get_parameter("layer.weight")
    assert torch.equal(ours.abs().flatten(2).sort().values, theirs.abs().flatten(2).sort().values)


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(2, 7)),
    grid=st.tuples(st.integers(1, 3), st.integers(2, 3)),
    even=st.booleans(),
    secret=st.binary(min_size=32, max_size=32),
)
def test_any_tile(
    kernel: tuple[int, int], grid: tuple[int, int], even: bool, secret: bytes
) -> None:
    window = kernel[0] * grid[0], kernel[1] * grid[1]
    torch.manual_seed(0)
    model = Net(nn.Conv2d(3, 4, kernel, stride=kernel), window=window).eval()
    where = plain(*window, even=even)
    made = make_copy(model, secret=secret, canvas=where)
    assert apart(model, made, where)[0] < 2e-5


class Refused(NamedTuple):
    name: str
    make: Callable[[], nn.Module]
    why: str
    where: Canvas | None = plain()


def bert() -> nn.Module:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    )


REFUSED = [
    Refused("overlap", lambda: Net(nn.Conv2d(3, 4, 3, padding=1), window=(16, 16)), r"3!·2³ = 48 keys"),
    Refused("padded tiles", lambda: Net(nn.Conv2d(3, 4, 4, stride=4, padding=2), window=(16, 16)), "it pads the window"),
    Refused("padded before", lambda: Net(nn.Conv2d(3, 4, 4, stride=4), before=lambda x: nn.functional.pad(x, (0, 2, 0, 2)), window=(18, 18)), "it pads the window", plain(18, 18)),
    Refused("groups", lambda: Net(nn.Conv2d(3, 6, 4, stride=4, groups=3), window=(16, 16)), "positions overlap|not each of them once|grouped"),
    Refused("tokens", bert, "sorting each vector undoes"),
    Refused("no canvas", vit, "a Canvas beside a torch module", None),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_what_cannot_be_made_private_is_refused(row: Refused) -> None:
    with pytest.raises(InvalidArgument, match=row.why):
        make_copy(row.make(), secret=SECRET, canvas=row.where)


def test_hostile_secrets() -> None:
    for secret in (b"", bytes(31), bytes(33)):
        with pytest.raises(InvalidArgument, match=f"32 bytes, found {len(secret)} bytes"):
            make_copy(built(ROWS[0]), secret=secret, canvas=plain())
    made = make_copy(built(ROWS[0]), secret=SECRET, canvas=plain())
    assert SECRET.hex() not in repr(made)
    assert str(SECRET) not in repr(made.secret)


def test_a_loaded_model_stays_one() -> None:
    model = digits.patch()
    made = make_copy(model, secret=SECRET)
    copied: Any = made.model
    assert copied.fingerprint != model.fingerprint
    assert copied.canvas == model.canvas
    shown = digits.load_digits().test[:40]
    answers = model.logits(model.canvas.normalise(shown))
    again = copied.logits(model.canvas.normalise(made.scramble(shown)))
    torch.testing.assert_close(again, answers, atol=2e-5, rtol=1e-4)


def test_each_client_has_a_copy_of_its_own() -> None:
    model = digits.patch()
    one, two = (make_copy(model, secret=secret) for secret in (SECRET, OTHER))
    assert one.model.fingerprint != two.model.fingerprint
    one.secret.check_key(build_key(one.model))
    with pytest.raises(KeyMismatch, match="expected the copy"):
        one.secret.check_key(build_key(two.model))


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
def test_half_precision_costs_what_it_costs_the_original(dtype: torch.dtype, most: float) -> None:
    model = built(ROWS[-2])
    made = make_copy(model, secret=SECRET, canvas=plain())
    x = torch.rand(8, 3, 16, 16)
    meant = run_probe(model, plain().normalise(x))
    scrambled = plain().normalise(made.scramble(x))
    found = run_probe(copy.deepcopy(made.model).to(dtype), scrambled).float()
    assert float((found - meant).abs().max() / meant.abs().max()) < most


def test_a_secret_of_other_sizes_is_refused() -> None:
    facts: dict[str, Any] = {"shape": (3, 8, 8), "tile": (4, 4), "across": False, "inversion": True}
    with pytest.raises(InvalidArgument, match="32 bytes"):
        CopySecret(secret=b"short", original="", copied="", **facts)
