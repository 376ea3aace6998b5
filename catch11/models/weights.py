"""Whether a model's tensors can be a model's weights at all."""

import torch
from torch import nn

from catch11.errors import ModelRefused


def check_weights(spec: str, module: nn.Module) -> None:
    """Raises ModelRefused for a model without weights or with NaN or infinity among them."""
    parameters = dict(module.named_parameters())
    if not parameters and not dict(module.named_buffers()):
        raise ModelRefused(spec, "it holds no weights")
    for name, value in parameters.items():
        if value.is_meta:
            raise ModelRefused(spec, f"the weight {name} was not in the file")
        if isinstance(value, nn.UninitializedParameter):
            raise ModelRefused(
                spec, f"the weight {name} has no size yet", "run it on a picture first"
            )
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
