"""Fingerprint of a model: SHA-256 over its sorted tensors."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

Named = Iterable[tuple[str, str, tuple[int, ...], bytes]]
"""(name, dtype, shape, little-endian bytes) of each tensor."""


def digest(tensors: Named) -> str:
    """SHA-256, in hex, over the tensors sorted by name; each field is preceded by its length."""
    total = hashlib.sha256(b"catch11 model 1")
    for name, dtype, shape, data in sorted(tensors, key=lambda tensor: tensor[0]):
        for field in (name.encode(), dtype.encode(), repr(tuple(shape)).encode(), data):
            total.update(len(field).to_bytes(8, "little"))
            total.update(field)
    return total.hexdigest()


def module_fingerprint(module: nn.Module) -> str:
    """The fingerprint of a torch model: its state dict, wherever it lives."""
    return digest(
        (name, str(value.dtype).removeprefix("torch."), tuple(value.shape), _bytes(value))
        for name, value in module.state_dict().items()
        if isinstance(value, Tensor)
    )


def _bytes(value: Tensor) -> bytes:
    flat = value.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
