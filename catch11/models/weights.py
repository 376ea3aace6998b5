"""A model's tensors: its fingerprint, and whether they can be a model's weights at all."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from catch11.errors import ModelRefused

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


def check_weights(spec: str, module: nn.Module) -> None:
    """Raises ModelRefused for a model without weights or with NaN or infinity among them."""
    parameters = dict(module.named_parameters())
    if not parameters and not dict(module.named_buffers()):
        raise ModelRefused(spec, "it holds no weights")
    for name, value in parameters.items():
        if value.is_meta:
            raise ModelRefused(spec, f"the weight {name} was not in the file")
    tensors = [*parameters.items(), *module.named_buffers()]
    # An attention mask kept as a buffer may hold -inf on purpose; NaN is never meant.
    bad = [
        name
        for name, value in tensors
        if value.is_floating_point()
        and not bool(torch.isfinite(value).all() if name in parameters else ~value.isnan().any())
    ]
    if bad:
        raise ModelRefused(
            spec,
            f"NaN or infinity in {len(bad)} of its weights, first in {bad[0]}",
            "the file is damaged or its training diverged",
        )


def _bytes(value: Tensor) -> bytes:
    flat = value.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
