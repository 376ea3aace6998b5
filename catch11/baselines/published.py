"""The published recoder as its paper describes it, written anew to be compared with.

On tensors normalised by mean and deviation: δ = V z in the directions whose singular value in the
first layer is at most τ = 1e-4, z normal of the deviation that a nominal PSNR with peak 255 asks for,
one z for all patches of an image. Overlapping patches: the authorized model is fed the unfolded
patches through a replaced stem, other models the sum of the overlapping perturbations. Nothing is
clipped, so its outputs are no pictures; `at_strength` makes files of the same directions.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from catch11.canvas.grid import Grid, amplitude, psnr
from catch11.errors import Catch11Error, EmptySubspace, InvalidArgument
from catch11.fronts.find import first_tensor
from catch11.models.frame import Model

TAU = 1e-4
PEAK = 255.0
Windows = Float[Tensor, "_ channel height width"]
_ROUNDS = 40
_TOGETHER = 32
_FARTHEST = 64.0


class NoStem(Catch11Error, ValueError):
    """A model without a first layer in torch that the published recipe can work on."""

    def __init__(self, model: str, found: object) -> None:
        super().__init__(
            f"{model}: the published recoder needs a torch convolution, found {found}."
        )


def stem(model: Model) -> nn.Conv2d:
    """The model's first layer, a convolution of any stride. Raises NoStem."""
    name = model.front().layer
    # An ONNX graph names its layers by itself, and its torch reading has others.
    layer = None if model.module is None else dict(model.module.named_modules()).get(name)
    if not isinstance(layer, nn.Conv2d):
        raise NoStem(model.name, f"{type(layer).__name__} for the layer {name}")
    return layer


def deviation(decibels: float) -> float:
    """Of z, for a nominal PSNR with peak 255 on normalised values: 25.5 for 20 dB."""
    return PEAK * amplitude(decibels)


def insensitive(
    layer: nn.Conv2d, *, tau: float = TAU, least: int = 0
) -> Float[Tensor, "direction pixel"]:
    """Right singular vectors, as rows, whose singular value is at most τ; the last `least` ones where
    that is fewer, as the public code takes the last one. Raises EmptySubspace where there is none.
    """
    weight = layer.weight.detach().double().flatten(1)
    _, values, rows = torch.linalg.svd(weight, full_matrices=True)
    values = torch.cat([values, torch.zeros(rows.shape[0] - len(values), dtype=values.dtype)])
    inside = rows[-max(least, int((values <= tau).sum())) or len(rows) :]
    if not len(inside):
        ascending = values.flip(0)
        raise EmptySubspace(f"tau ≤ {tau:g}", ascending[:6].tolist(), float(ascending[-1]))
    return inside


def patch_noise(
    inside: Float[Tensor, "direction pixel"],
    decibels: float,
    *,
    count: int = 1,
    generator: torch.Generator,
) -> Float[Tensor, "count pixel"]:
    """δ = V z, one an image."""
    z = torch.randn(count, len(inside), generator=generator, dtype=torch.float64)
    return (z * deviation(decibels) @ inside).float()


def folded(
    layer: nn.Conv2d, deltas: Float[Tensor, "batch pixel"], shape: tuple[int, ...]
) -> Float[Tensor, "batch channel height width"]:
    """What other models' normalised input is moved by: every patch's δ, summed where they overlap."""
    _, height, width = shape
    options = _unfolding(layer)
    patches = functional.unfold(torch.zeros(1, *shape), **options).shape[-1]
    return functional.fold(deltas[:, :, None].expand(-1, -1, patches), (height, width), **options)


def _unfolding(layer: nn.Conv2d) -> dict[str, tuple[int, int]]:
    assert not isinstance(layer.padding, str)
    return {
        "kernel_size": (layer.kernel_size[0], layer.kernel_size[1]),
        "stride": (layer.stride[0], layer.stride[1]),
        "padding": (layer.padding[0], layer.padding[1]),
        "dilation": (layer.dilation[0], layer.dilation[1]),
    }


def recoded(
    layer: nn.Conv2d,
    inside: Float[Tensor, "direction pixel"],
    values: Windows,
    decibels: float,
    *,
    generator: torch.Generator,
) -> Windows:
    """The published arithmetic as it stands, for its cost: unfold, draw, multiply, add, fold."""
    options = _unfolding(layer)
    deltas = patch_noise(inside, decibels, count=len(values), generator=generator)
    patches = functional.unfold(values, **options) + deltas[:, :, None]
    return functional.fold(patches, (values.shape[-2], values.shape[-1]), **options)


def authorized_logits(
    model: Model, values: Windows, deltas: Float[Tensor, "_ pixel"]
) -> Float[Tensor, "batch classes"]:
    """The authorized model with its stem replaced by one on unfolded patches, each moved by its
    image's δ."""
    layer = stem(model)
    if model.module is None or len(deltas) != len(values):
        raise InvalidArgument(
            "deltas", expected=f"one for each of {len(values)}", found=len(deltas)
        )

    def replaced(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        patches = functional.unfold(inputs[0], **_unfolding(layer)) + deltas[rows, :, None]
        made = layer.weight.flatten(1) @ patches
        made = made if layer.bias is None else made + layer.bias[:, None]
        return made.view_as(output)

    handle = layer.register_forward_hook(replaced)
    try:
        made = []
        for low in range(0, len(values), _TOGETHER):
            rows = slice(low, low + _TOGETHER)
            with torch.no_grad():
                made.append(first_tensor(model.module(values[rows])))
        return torch.cat(made)
    finally:
        handle.remove()


def at_strength(
    clean: Windows, rays: Windows, decibels: float, *, grid: Grid
) -> Float[Tensor, "_ channel height width"]:
    """clean + a·ray, clipped and rounded as a file is, with a so that its PSNR is the one asked for,
    or the strongest there is. What not to do: clipping leaves the subspace."""
    low, high = torch.zeros(len(clean)), torch.full((len(clean),), _FARTHEST)
    rays = rays / rays.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        made = grid.round(grid.clip(clean + middle[:, None, None, None] * rays))
        weak = psnr(made, clean) > decibels
        low, high = torch.where(weak, middle, low), torch.where(weak, high, middle)
    return grid.round(grid.clip(clean + high[:, None, None, None] * rays))
