"""Random pictures whose spectrum is that of photographs."""

import torch
from jaxtyping import Float
from torch import Tensor


def random_fields(
    shape: tuple[int, int, int], count: int, *, generator: torch.Generator
) -> Float[Tensor, "batch channel height width"]:
    """Independent random pictures in [0, 1] whose amplitude falls as 1/frequency, as that of natural
    scenes does (Field 1987), with a mean about grey and a deviation of a photograph's, .22."""
    down = torch.fft.fftfreq(shape[1])[:, None]
    across = torch.fft.rfftfreq(shape[2])[None]
    radius = (down.square() + across.square()).sqrt().clamp(min=1.0 / max(shape[1:]))
    noise = torch.randn(count, *shape, generator=generator)
    fields = torch.fft.irfft2(torch.fft.rfft2(noise) / radius, s=shape[1:])
    each = fields.flatten(1)
    scaled = (each - each.mean(dim=1, keepdim=True)) / each.std(dim=1, keepdim=True)
    return (0.5 + 0.22 * scaled.view_as(fields)).clamp(0.0, 1.0)
