"""Baselines that hand over files: encryption, scrambling, error-minimising noise."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from catch11.baselines.files import KEY_BYTES, OVERHEAD, decrypt_file, encrypt_file
from catch11.baselines.scrambling import BlockScramble, recover_order, reorder, to_blocks
from catch11.baselines.unlearnable import ErrorMinimising, unlearnable
from catch11.errors import InvalidArgument

torch.set_num_threads(1)
KEY = bytes(range(KEY_BYTES))


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32), st.text(max_size=9))
@settings(max_examples=50, deadline=None)
def test_encryption_is_undone_by_its_key_alone(data: bytes, key: bytes, name: str) -> None:
    made = encrypt_file(data, key, name=name)
    assert len(made) == len(data) + OVERHEAD
    assert decrypt_file(made, key, name=name) == data
    with pytest.raises(InvalidArgument, match="another key or name, or changed bytes"):
        decrypt_file(made, bytes(b ^ 1 for b in key), name=name)
    with pytest.raises(InvalidArgument, match="another key or name"):
        decrypt_file(made, key, name=name + "x")


def test_every_changed_byte_is_noticed() -> None:
    made = encrypt_file(b"a picture", KEY)
    for place in range(len(made)):
        changed = bytearray(made)
        changed[place] ^= 1
        with pytest.raises(InvalidArgument, match="changed bytes"):
            decrypt_file(bytes(changed), KEY)
    with pytest.raises(InvalidArgument, match="28 bytes or more, found 5 bytes"):
        decrypt_file(made[:5], KEY)
    assert encrypt_file(b"a picture", KEY) != made, "a nonce is used once"


def test_keys_of_another_length_are_refused_unseen() -> None:
    with pytest.raises(InvalidArgument, match="key: expected 32 bytes, found 5 bytes") as caught:
        encrypt_file(b"", b"shhhh")
    assert "shhhh" not in str(caught.value)


def windows(count: int) -> torch.Tensor:
    values = torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(count))
    return (values * 255).round() / 255


@pytest.mark.parametrize("size", [1, 2, 4])
def test_scrambling_is_a_permutation_within_blocks(size: int) -> None:
    clean = windows(3)
    scramble = BlockScramble(KEY, size=size)
    made = scramble.scramble(clean)
    assert torch.equal(scramble.restore(made), clean)
    blocks, before = to_blocks(made, size), to_blocks(clean, size)
    assert torch.equal(blocks.sort(-1).values, before.sort(-1).values)
    other = BlockScramble(bytes(32), size=size).scramble(clean)
    assert not torch.equal(other, made)
    assert torch.equal(scramble.scramble(clean[1:2]), made[1:2]), "alike in any batch"
    assert "size" in repr(scramble)
    assert KEY.hex() not in repr(scramble)


@pytest.mark.parametrize("size", [2, 4])
def test_three_known_pictures_give_the_permutation_away(size: int) -> None:
    scramble, known, secret = BlockScramble(KEY, size=size), windows(3), windows(5)
    order = recover_order(known, scramble.scramble(known), size=size)
    assert torch.equal(reorder(scramble.scramble(secret), order, size=size), secret)


def test_bad_scrambling_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="secret: expected 32 bytes, found 3 bytes"):
        BlockScramble(b"abc", size=2)
    with pytest.raises(InvalidArgument, match="size: expected 1 or more"):
        BlockScramble(KEY, size=0)
    with pytest.raises(InvalidArgument, match="size: expected a divisor of"):
        BlockScramble(KEY, size=5).scramble(windows(1))
    with pytest.raises(InvalidArgument, match="scrambled: expected shape"):
        recover_order(windows(2), windows(3), size=2)


@pytest.mark.parametrize("per", ["picture", "class"])
def test_error_minimising_noise_keeps_its_radius_and_lowers_the_loss(per: Any) -> None:
    clean = 0.2 + 0.6 * windows(40)
    clean = (clean * 255).round() / 255
    labels = torch.arange(40) % 4
    with torch.random.fork_rng():
        torch.manual_seed(0)
        surrogate = nn.Sequential(nn.Flatten(), nn.Linear(288, 4))
    wanted = ErrorMinimising(radius=8, rounds=8, batches=10, steps=4, rate=0.01, per=per)
    made = unlearnable(clean, labels, surrogate, wanted, generator=torch.Generator().manual_seed(0))
    steps = (made - clean) * 255
    assert float(steps.abs().max()) <= 8 + 1e-3
    assert torch.allclose(steps, steps.round(), atol=1e-3), "on the 8-bit grid"
    loss = nn.functional.cross_entropy
    assert loss(surrogate(made), labels) < 0.8 * loss(surrogate(clean), labels)
    if per == "class":
        assert torch.allclose(steps[0], steps[4], atol=1.01)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"radius": 0.0}, "radius"),
        ({"radius": 300.0}, "radius"),
        ({"radius": float("nan")}, "radius"),
        ({"rounds": 0}, "rounds"),
        ({"rate": float("inf")}, "rate"),
    ],
)
def test_bad_noise_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        ErrorMinimising(**changes)


def test_labels_must_fit() -> None:
    with pytest.raises(InvalidArgument, match="labels: expected 3, one a picture"):
        unlearnable(
            windows(3), torch.zeros(2, dtype=torch.long), nn.Identity(), ErrorMinimising(),
            generator=torch.Generator(),
        )  # fmt: skip
