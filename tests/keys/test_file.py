"""Key files: what is saved is loaded; every damaged, hostile or wrong file is one sentence."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.crypto import passphrase as cipher
from catch11.crypto import privatefile
from catch11.crypto.passphrase import MAGIC, Unusable
from catch11.crypto.privatefile import OpenToOthers
from catch11.errors import Catch11Error, InvalidArgument, KeyFileError
from catch11.fronts.front import Front
from catch11.keys import file as keyfile
from catch11.keys.file import key_bytes, key_from_bytes, load_key, save_key
from catch11.keys.key import Key, build_key, key_of
from catch11.subspaces.rule import Rule

SECRET = bytes(range(32))
COST = 10


def patch_key() -> Key:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 20, 4, 4), nn.Flatten(), nn.Linear(80, 3))
    canvas = plain_canvas(8, 8, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    return build_key(model, canvas=canvas, secret=SECRET)


def dense_key() -> Key:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 5))
    return build_key(model, canvas=plain_canvas(6, 6, mean=(0.1,), std=(0.3,)), rank=7)


def conv_key() -> Key:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=1), nn.Flatten(), nn.Linear(64, 3))
    return build_key(model, canvas=plain_canvas(8, 8), energy=0.2, secret=SECRET)


def joint_key() -> Key:
    key = patch_key()
    return key_of(
        key.front, canvas=key.canvas, rule=key.rule, secret=SECRET, members=("a" * 64, "b" * 64)
    )


KEYS = {"patch": patch_key, "dense": dense_key, "conv": conv_key, "joint": joint_key}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("passphrase", [None, "päss phrase"], ids=["plain", "sealed"])
def test_round_trip(name: str, passphrase: str | None, tmp_path: Path) -> None:
    key = KEYS[name]()
    save_key(key, tmp_path / "my.key", passphrase=passphrase, cost=COST)
    read = load_key(tmp_path / "my.key", passphrase=passphrase)
    for attribute in (
        "psnr",
        "fingerprint",
        "front_fingerprint",
        "model_fingerprint",
        "members",
        "secret",
        "canvas",
    ):
        assert getattr(read, attribute) == getattr(key, attribute)
    assert read.rule == key.rule
    assert read.subspace.dimension == key.subspace.dimension
    for field in ("weight", "bias"):
        assert torch.equal(getattr(read.front, field), getattr(key.front, field))
    noise = torch.randn(2, *key.canvas.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(read.subspace.project(noise), key.subspace.project(noise))


GOLDEN = Path(__file__).parents[1] / "golden" / "key-1.safetensors"
GOLDEN_SEAL = (
    "63617463683131207365616c6564206b657920310a0000007d7b226b6466223a2022736372797074222c20226e22"
    "3a20313032342c202272223a20382c202270223a20312c202273616c74223a202230303031303230333034303530"
    "3630373038303930613062306330643065306622"
    "2c20226e6f6e6365223a2022303030313032303330343035303630373038303930613062227d7a18bb05f813b26e"
    "07ff4a7e7f3c85d16c17bf3bce"
)


def test_files_of_version_1_stay_readable() -> None:
    """Bytes written once and kept: a change of format must not lose anybody's key."""
    key = key_from_bytes(GOLDEN.read_bytes())
    assert key.secret == SECRET
    assert key.fingerprint == "4f89a290677cf9d7f4267878d8ccca912e60c5864acb87b20006bd23fb601453"
    assert key.front.weight.tolist() == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    assert cipher.decrypt(bytes.fromhex(GOLDEN_SEAL), "passphrase") == b"bytes"


def test_composed_and_decomposed_passphrases_are_one(tmp_path: Path) -> None:
    save_key(patch_key(), tmp_path / "k", passphrase="p\u00e4ss", cost=COST)
    assert load_key(tmp_path / "k", passphrase="pa\u0308ss").secret == SECRET


@pytest.mark.parametrize("passphrase", [None, "x"])
def test_only_the_owner_may_read(passphrase: str | None, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_key(patch_key(), tmp_path / "my.key", passphrase=passphrase, cost=COST)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "my.key").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["my.key"]


def test_a_file_open_to_others_warns(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    save_key(patch_key(), path)
    path.chmod(0o640)
    with pytest.warns(OpenToOthers, match=r"other users may read this key \(mode 0640\)"):
        assert load_key(path).secret == SECRET


def test_a_key_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my.key"
    save_key(patch_key(), path)
    held = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        save_key(dense_key(), path)
    # The name may also be taken between the look and the rename.
    monkeypatch.setattr(Path, "exists", lambda self: False)
    monkeypatch.setattr(Path, "is_symlink", lambda self: False)
    with pytest.raises(KeyFileError, match="never overwritten"):
        save_key(dense_key(), path)
    assert path.read_bytes() == held
    assert os.listdir(tmp_path) == ["my.key"]


def test_without_links_the_file_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(privatefile.os, "link", link)
    save_key(patch_key(), tmp_path / "my.key")
    assert os.listdir(tmp_path) == ["my.key"]
    assert load_key(tmp_path / "my.key").secret == SECRET


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(privatefile.os, "fsync", fsync)
    with pytest.raises(KeyFileError, match=r"cannot be written .No space left on device"):
        save_key(patch_key(), tmp_path / "my.key")
    assert os.listdir(tmp_path) == []


def test_the_secret_is_in_its_tensor_alone() -> None:
    data = key_bytes(patch_key())
    assert data.count(SECRET) == 1
    header = data[: 8 + int.from_bytes(data[:8], "little")]
    assert SECRET.hex().encode() not in header
    sealed = cipher.encrypt(data, "x", cost=COST)
    assert SECRET not in sealed
    assert SECRET.hex().encode() not in sealed


def refused(data: bytes) -> None:
    with pytest.raises(Unusable) as caught:
        key_from_bytes(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_cut_at_every_byte() -> None:
    data = key_bytes(patch_key())
    for length in range(len(data)):
        refused(data[:length])


def test_sealed_and_cut_at_every_byte() -> None:
    data = cipher.encrypt(b"short", "x", cost=COST)
    for length in range(len(MAGIC), len(data)):
        with pytest.raises(Unusable):
            cipher.decrypt(data[:length], "x")


PLAIN = key_bytes(patch_key())
SEALED = cipher.encrypt(PLAIN, "x", cost=COST)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(place=st.integers(0, len(PLAIN) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    data = bytearray(PLAIN)
    data[place] ^= 1 << bit
    refused(bytes(data))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_of_a_sealed_key_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    data = bytearray(SEALED)
    data[place] ^= 1 << bit
    path = tmp_path_factory.mktemp("flip") / "k"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        load_key(path, passphrase="x")


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200) | st.binary(max_size=80).map(lambda b: len(b).to_bytes(8, "little") + b)
)
def test_noise_is_refused(data: bytes) -> None:
    refused(data)


Change = Callable[[dict[str, Tensor], dict[str, str]], object]


class Forged(NamedTuple):
    """A file whose author holds its secret, so that its HMAC is right."""

    name: str
    change: Change
    reason: str


def facts(**changes: object) -> Change:
    def change(_: dict[str, Tensor], notes: dict[str, str]) -> None:
        notes["front"] = json.dumps({**json.loads(notes["front"]), **changes})

    return change


def note(**changes: str) -> Change:
    return lambda _, notes: notes.update(changes)


def tensor(**changes: Tensor) -> Change:
    return lambda tensors, _: tensors.update(changes)


def without(name: str) -> Change:
    return lambda tensors, _: tensors.__delitem__(name)


WEIGHT = torch.ones(20, 3, 4, 4, dtype=torch.float64)
FORGED = (
    Forged("no kind", note(catch11="model"), "no key"),
    Forged("version", note(version="2"), "version is '2', expected 1"),
    Forged("secret too short", tensor(secret=torch.zeros(16, dtype=torch.uint8)), "secret has shape"),
    Forged("secret of floats", tensor(secret=torch.zeros(32)), "secret should be torch.uint8"),
    Forged("no secret", without("secret"), "secret should be torch.uint8, found none"),
    Forged("no weight", without("weight"), "weight should be torch.float64, found none"),
    Forged("no subspace", without("kept"), "kept should be"),
    Forged("weight type", tensor(weight=WEIGHT.float()), "found torch.float32"),
    Forged("weight shape", tensor(weight=WEIGHT[0]), "weight has shape|do not fit"),
    Forged("weight NaN", tensor(weight=WEIGHT * torch.nan), "weight is not finite"),
    Forged("weight zero", tensor(weight=WEIGHT * 0), "nothing but zeros"),
    Forged("other weight", tensor(weight=WEIGHT), "fingerprints"),
    Forged("bias shape", tensor(bias=torch.zeros(3, dtype=torch.float64)), "weight has shape"),
    Forged("kept skewed", lambda t, _: t["kept"].mul_(2.0), "not orthonormal"),
    Forged("kept shape", lambda t, _: t.update(kept=t["kept"][:5].contiguous()), "wrong shape"),
    Forged("tile", facts(tile=[1, 1]), "wrong shape"),
    Forged("tile text", facts(tile="44"), "no sizes|fit together"),
    Forged("huge padding", facts(padding=[10**9] * 4), "no sizes"),
    Forged("stride text", facts(stride="44"), "stride"),
    Forged("stride zero", facts(stride=[0, 0]), "fit together"),
    Forged("window", facts(shape=[3, 9, 9]), "reads"),
    Forged("neutral", facts(neutral=[0.0]), "geometry|fit together"),
    Forged("geometry", facts(geometry="ring"), "geometry|fit together"),
    Forged("unknown fact", facts(colour=1), "fit together"),
    Forged("front no JSON", note(front="{"), "fit together"),
    Forged("front a list", note(front="[]"), "fit together"),
    Forged("canvas", note(canvas="{}"), "canvas"),
    Forged("canvas no JSON", note(canvas="nan"), "fit together|canvas"),
    Forged("rule", note(rule='{"kind": "energy", "value": 7}'), "energy: expected a share"),
    Forged("rule kind", note(rule='{"kind": 1}'), "fit together"),
    Forged("members", note(members="[1]"), "members are no fingerprints"),
    Forged("other members", note(members='["a"]'), "fingerprints"),
    Forged("members no list", note(members="5"), "fit together"),
    Forged("name", note(fingerprint="0" * 64), "fingerprints"),
    Forged("model", note(model_fingerprint="0" * 64), "fingerprints"),
)  # fmt: skip


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: forged.name)
def test_forged_files_are_refused(forged: Forged) -> None:
    tensors = {name: value.clone() for name, value in load(PLAIN).items()}
    notes = privatefile.notes_of(PLAIN)
    del notes["mac"]
    forged.change(tensors, notes)
    secret = bytes(tensors.get("secret", torch.zeros(0, dtype=torch.uint8)).int().tolist())
    data = save(tensors, metadata={**notes, "mac": keyfile._mac(secret, tensors, notes)})
    with pytest.raises(Unusable, match=forged.reason):
        key_from_bytes(data)
    refused(data)


def sealed_header(**changes: object) -> bytes:
    start = len(MAGIC) + 4
    size = int.from_bytes(SEALED[len(MAGIC) : start], "big")
    header = {**json.loads(SEALED[start : start + size]), **changes}
    text = json.dumps({k: v for k, v in header.items() if v is not None}).encode()
    return MAGIC + len(text).to_bytes(4, "big") + text + SEALED[start + size :]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n": 1 << 40}, "more work than is allowed"),
        ({"n": 1 << 20, "r": 8}, "more work than is allowed"),
        ({"r": 1 << 20}, "more work than is allowed"),
        ({"p": 1 << 20}, "more work than is allowed"),
        ({"n": 1000}, "more work than is allowed"),
        ({"n": 0}, "more work than is allowed"),
        ({"n": -2}, "more work than is allowed"),
        ({"n": True}, "more work than is allowed"),
        ({"n": "1024"}, "more work than is allowed"),
        ({"n": None}, "more work than is allowed"),
        ({"kdf": "none"}, "more work than is allowed"),
        ({"salt": "zz"}, "header is damaged"),
        ({"salt": 5}, "header is damaged"),
        ({"salt": None}, "header is damaged"),
        ({"nonce": "00"}, "header is damaged"),
        ({"n": 1 << (COST - 1)}, "passphrase is wrong or the file was changed"),
        ({"note": "x"}, "passphrase is wrong or the file was changed"),
    ],
    ids=repr,
)
def test_hostile_seals_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        cipher.decrypt(sealed_header(**changes), "x")


def test_wrong_and_missing_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    save_key(patch_key(), path, passphrase="right", cost=COST)
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        load_key(path, passphrase="wrong")
    for none in (None, ""):
        with pytest.raises(KeyFileError, match="encrypted and no passphrase"):
            load_key(path, passphrase=none)


@pytest.mark.parametrize(("passphrase", "cost"), [("", COST), ("x", 9), ("x", 20)])
def test_seal_settings_are_checked(passphrase: str, cost: int) -> None:
    with pytest.raises(InvalidArgument, match=r"passphrase|cost"):
        cipher.encrypt(b"", passphrase, cost=cost)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "large"])
def test_what_is_no_file_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b"12")
        monkeypatch.setattr(privatefile, "_LARGEST", 1)
    with pytest.raises(KeyFileError, match=r"cannot be read|not a regular file|larger than"):
        load_key(path)


def test_errors_never_show_the_secret() -> None:
    key = patch_key()
    texts = [repr(key)]
    data = bytearray(PLAIN)
    data[-1] ^= 1
    for action in (lambda: key_from_bytes(bytes(data)), lambda: replace(key, secret=SECRET[:9])):
        with pytest.raises((Unusable, Catch11Error)) as caught:
            action()
        texts.append(str(caught.value))
    for text in texts:
        assert SECRET.hex()[:16] not in text
        assert repr(SECRET[:8])[2:-1] not in text


def test_a_front_without_subspace_directions_is_refused() -> None:
    key = patch_key()
    front = Front(**{n: getattr(key.front, n) for n in key.front.__dataclass_fields__})
    with pytest.raises(Catch11Error):
        key_of(front, canvas=key.canvas, rule=Rule(kind="tau", value=0.0), secret=SECRET[:5])
