"""Key <-> file: safetensors with string metadata, optionally encrypted with a passphrase.

Plain form: the tensors secret, weight, bias, and for a tiled front kept, gains and spectrum; the
metadata hold the public facts and an HMAC, under the secret, of everything else. Nothing but the
tensor `secret` is secret. How such a file is written, encrypted and read is in `privatefile`.
"""

import hashlib
import hmac
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from catch11.canvas.fit import LONGEST
from catch11.canvas.frame import Canvas
from catch11.crypto.passphrase import COST, Unusable
from catch11.crypto.privatefile import load_private, notes_of, save_private
from catch11.errors import Catch11Error
from catch11.fronts.front import Front, Geometry
from catch11.keys.key import SECRET_BYTES, Key, key_of
from catch11.kinds import IMAGE
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import TileSubspace

VERSION = "1"
_TILE = ("kept", "gains", "spectrum")
_NAMES = ("front_fingerprint", "model_fingerprint")
_PIXELS = 1 << 24  # values a window may have: a hostile file must not exhaust the machine
_STEP = 1 << 12  # stride, dilation, padding


def save_key(
    key: Key, path: str | os.PathLike[str], *, passphrase: str | None = None, cost: int = COST
) -> None:
    """Write a key to a new file that only its owner may read (mode 0600).

    passphrase: encrypts the file. cost: log2 of scrypt's N, 10 to 19. An existing file is never
    overwritten: every release made with its key would lose its owner. Raises KeyFileError,
    InvalidArgument.
    """
    save_private(key_bytes(key), path, passphrase=passphrase, cost=cost)


def load_key(path: str | os.PathLike[str], *, passphrase: str | None = None) -> Key:
    """Read a key; an encrypted one needs its passphrase. Raises KeyFileError.

    Warns with OpenToOthers where other users may read the file.
    """
    return load_private(path, key_from_bytes, passphrase=passphrase, what="key")


def key_bytes(key: Key) -> bytes:
    """The plain form of a key."""
    front = key.front
    tensors = {
        "secret": torch.frombuffer(bytearray(key.secret), dtype=torch.uint8),
        "weight": front.weight.to("cpu", torch.float64).contiguous(),
        "bias": front.bias.to("cpu", torch.float64).contiguous(),
    }
    facts: dict[str, Any] = {
        name: value
        for name in front.__dataclass_fields__
        if not isinstance(value := getattr(front, name), Tensor)
    }
    if isinstance(key.subspace, TileSubspace):
        facts["tile"] = key.subspace.tile
        tensors |= {name: getattr(key.subspace, name).cpu().contiguous() for name in _TILE}
    notes = {
        "catch11": "key",
        "version": VERSION,
        "fingerprint": key.fingerprint,
        "front_fingerprint": key.front_fingerprint,
        "model_fingerprint": key.model_fingerprint,
        "members": json.dumps(key.members),
        "front": json.dumps(facts),
        "canvas": json.dumps(key.canvas.to_dict()),
        "rule": json.dumps(asdict(key.rule)),
    }
    if key.modality != IMAGE:
        notes["modality"] = key.modality
    if key.private:
        notes["private"] = "yes"
    if key.psnr is not None:
        notes["psnr"] = json.dumps(key.psnr)
    return save(tensors, metadata={**notes, "mac": _mac(key.secret, tensors, notes)})


def key_from_bytes(data: bytes) -> Key:
    """The key in such bytes; they are checked as a stranger's."""
    notes = notes_of(data)
    if notes.get("catch11") != "key":
        raise Unusable("it is a safetensors file and no key")
    if notes.get("version") != VERSION:
        raise Unusable(f"its version is {notes.get('version')!r:.20}, expected {VERSION}")
    try:
        tensors = load(data)
    except (SafetensorError, ValueError, TypeError) as error:
        raise Unusable(f"its tensors are damaged ({str(error)[:80]})") from None
    secret = _tensor(tensors, "secret", torch.uint8)
    if secret.shape != (SECRET_BYTES,):
        raise Unusable(f"its secret has shape {tuple(secret.shape)}, expected {SECRET_BYTES}")
    raw = bytes(secret.tolist())
    mac = notes.pop("mac", "")
    if not hmac.compare_digest(mac.encode(), _mac(raw, tensors, notes).encode()):
        raise Unusable("it was changed or damaged after it was written")
    try:
        key = replace(
            _key(raw, tensors, notes),
            private="private" in notes, psnr=json.loads(notes.get("psnr", "null")),
        )  # fmt: skip
    except (
        Catch11Error,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:
        text = " ".join(str(error).split())[:120].rstrip(".")
        raise Unusable(f"its facts do not fit together ({text})") from None
    if any(getattr(key, name) != notes.get(name) for name in ("fingerprint", *_NAMES)):
        raise Unusable("its fingerprints are not those of its weights")
    return key


def _key(secret: bytes, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> Key:
    facts = json.loads(notes["front"])
    tile = facts.pop("tile", None)
    canvas = Canvas.from_dict(json.loads(notes["canvas"]))
    rule = Rule(**json.loads(notes["rule"]))
    weight, bias = (
        _tensor(tensors, "weight", torch.float64),
        _tensor(tensors, "bias", torch.float64),
    )
    front = _front(facts, weight, bias, canvas)
    named, members = notes["model_fingerprint"], tuple(json.loads(notes["members"]))
    modality = notes.get("modality", IMAGE)
    if not all(isinstance(member, str) for member in members):
        raise ValueError("its members are no fingerprints")
    if tile is None:
        return key_of(
            front, canvas=canvas, rule=rule, secret=secret, model_fingerprint=named,
            members=members, modality=modality,
        )  # fmt: skip
    kept, gains, spectrum = (_tensor(tensors, name, torch.float64) for name in _TILE)
    if len(tile) != 2 or kept.shape != (canvas.channels * math.prod(_sizes(tile)), len(gains)):
        raise ValueError("its subspace has the wrong shape")
    if not torch.allclose(kept.T @ kept, torch.eye(len(gains), dtype=kept.dtype), atol=1e-6):
        raise ValueError("its subspace is not orthonormal")
    subspace = TileSubspace(
        shape=front.shape, tile=(tile[0], tile[1]), kept=kept, gains=gains, spectrum=spectrum
    )
    return Key(
        front=front,
        subspace=subspace,
        canvas=canvas,
        rule=rule,
        secret=secret,
        model_fingerprint=named,
        members=members,
        modality=modality,
    )


def _front(facts: dict[str, Any], weight: Tensor, bias: Tensor, canvas: Canvas) -> Front:
    lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
    _sizes(lists["shape"], most=LONGEST)
    for name in ("stride", "dilation", "padding"):
        _sizes(lists[name])
    front = Front(**{**facts, **lists, "weight": weight, "bias": bias})
    if front.shape != canvas.shape or math.prod(front.shape) > _PIXELS:
        raise ValueError(f"its front reads {front.shape}")
    if weight.dim() != (2 if front.flat else 4) or bias.shape != (len(weight),):
        raise ValueError(f"its weight has shape {tuple(weight.shape)}")
    if len(front.neutral) != canvas.channels or front.geometry not in get_args(Geometry):
        raise ValueError(f"its geometry is {front.geometry!r}")
    # One run on nothing: a kernel, grouping or window that torch refuses is found here.
    front.apply(torch.zeros(1, *front.shape, dtype=torch.float64))
    return front


def _sizes(values: Any, *, most: int = _STEP) -> tuple[int, ...]:
    if not all(type(value) is int and 0 <= value <= most for value in values):
        raise ValueError(f"{str(values)[:40]} are no sizes")
    return tuple(values)


def _tensor(tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> Tensor:
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype != dtype:
        found = "none" if tensor is None else str(tensor.dtype)
        raise Unusable(f"its tensor {name} should be {dtype}, found {found}")
    if dtype.is_floating_point and not torch.isfinite(tensor).all():
        raise Unusable(f"its tensor {name} is not finite")
    return tensor


def _mac(secret: bytes, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    """HMAC-SHA-256 of all tensors and metadata, each preceded by its length."""
    mac = hmac.new(secret, b"catch11 key file 1", hashlib.sha256)
    fields = [json.dumps(dict(sorted(notes.items()))).encode()]
    for name, tensor in sorted(tensors.items()):
        fields += [name.encode(), f"{tensor.dtype} {tuple(tensor.shape)}".encode()]
        fields.append(tensor.numpy().tobytes())
    for field in fields:
        mac.update(len(field).to_bytes(8, "big"))
        mac.update(field)
    return mac.hexdigest()
