"""Front: a model's first linear map with its preprocessing folded in, acting on pixels in [0, 1]."""

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument

Geometry = Literal["dense", "patch", "conv", "tokens"]

DRIFT = 0.25  # relative distance of two fronts up to which one descends from the other
NO_LAYER = "none"  # the name of a front that is the input itself
_PROJECTIONS = 16
_GRID = 2.0**12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Front:
    """The linear map A of pre-activation(v) = A(v - neutral) + bias, v an RGB window in [0, 1].

    weight: float64, pixel units (the model's normalisation and a following BatchNorm folded in);
    dense (out, channel * height * width), tokens (out, width) on windows (1, 1, width), one a token;
    patch and conv (out, channel / groups, kernel_h,
    kernel_w); a 1-D convolution has kernel_h = height = 1. padding is (top, bottom, left, right),
    in pixels of value `neutral`, the channel values that the layer reads as 0.
    """

    geometry: Geometry
    weight: Float[Tensor, "..."]
    bias: Float[Tensor, " out"]
    neutral: tuple[float, ...]
    shape: tuple[int, int, int]
    layer: str
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1

    def __post_init__(self) -> None:
        if not torch.isfinite(self.weight).all():
            raise InvalidArgument(
                f"front {self.layer}", expected="finite weights", found="NaN or infinite ones"
            )
        if not self.weight.any():
            raise InvalidArgument(
                f"front {self.layer}", expected="weights", found="nothing but zeros"
            )

    def __repr__(self) -> str:
        return f"Front({self.layer!r}, {self.geometry}, weight {tuple(self.weight.shape)}, window {self.shape})"

    @property
    def blind(self) -> bool:
        """Whether it is the input itself, of which nothing is unseen; see `input_front`."""
        return self.layer == NO_LAYER

    @property
    def tiled(self) -> bool:
        """Whether it reads a window in tiles, each by itself, the whole window being one of them."""
        return self.geometry != "conv"

    @property
    def patched(self) -> bool:
        """Whether those tiles are patches of the window."""
        return self.geometry == "patch"

    @property
    def tokenwise(self) -> bool:
        """Whether a window is one token, of which a text has many."""
        return self.geometry == "tokens"

    @property
    def flat(self) -> bool:
        """Whether the weight is a matrix that reads the whole window."""
        return self.tiled and not self.patched

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel size (height, width); of a dense front, the whole window."""
        if self.flat:
            return self.shape[1], self.shape[2]
        return int(self.weight.shape[2]), int(self.weight.shape[3])

    @property
    def outputs(self) -> int:
        """Output channels, or features of a dense front."""
        return int(self.weight.shape[0])

    def drift(self, other: "Front") -> float:
        """‖W − W'‖ / ‖W'‖ from another front; infinite where the shapes differ."""
        if self.weight.shape != other.weight.shape:
            return float("inf")
        return float((self.weight - other.weight).norm() / other.weight.norm())

    def apply(
        self, delta: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch ..."]:
        """A·delta, without bias: (n, out, rows, columns), or (n, out) for a dense front."""
        weight = self.weight.to(delta)
        if self.flat:
            return delta.flatten(1) @ weight.T
        top, bottom, left, right = self.padding
        if any(self.padding):
            delta = F.pad(delta, (left, right, top, bottom))
        return F.conv2d(
            delta, weight, stride=self.stride, dilation=self.dilation, groups=self.groups
        )

    def centred(
        self, window: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """window - neutral, so that `apply` of it is the pre-activation without bias."""
        return window - torch.tensor(self.neutral).to(window)[:, None, None]

    def relative_shift(
        self,
        released: Float[Tensor, "batch channel height width"],
        window: Float[Tensor, "batch channel height width"],
    ) -> Float[Tensor, " batch"]:
        """‖A(released - window)‖₂ / ‖A(window - neutral)‖₂ an image; inf where the image is blank."""
        both = self.apply(torch.cat([released - window, self.centred(window)]))
        moved, seen = both.flatten(1).norm(dim=1).chunk(2)
        return moved / seen

    def fingerprint(self) -> str:
        """SHA-256, in hex, that a model and its export share and a fine-tuned model does not.

        A hash of raw float32 weights would differ between exporters, which fold a BatchNorm in
        different orders of rounding. So sixteen public ±1 projections of the weight, and its norm,
        are rounded to 2⁻¹² of the norm first: export noise (1e-7) crosses a rounding border in
        about one model of 300, a drift of the weight by 0.1 % changes a dozen of the numbers.
        """
        weight = self.weight.to("cpu", torch.float64).flatten().numpy()
        norm = float(np.linalg.norm(weight))
        marks = [round(float(np.log(norm)) * _GRID)]
        marks += [round(float(p)) for p in _public_signs(weight.size) @ (weight / norm) * _GRID]
        facts = (
            self.geometry,
            tuple(self.weight.shape),
            self.shape,
            self.stride,
            self.dilation,
            self.padding,
            self.groups,
            tuple(marks),
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def explicit(self) -> Float[Tensor, "response pixel"]:
        """A as one dense float64 matrix, for small windows."""
        pixels = self.shape[0] * self.shape[1] * self.shape[2]
        unit = torch.eye(pixels, dtype=torch.float64).reshape(pixels, *self.shape)
        return self.apply(unit).flatten(1).T


def input_front(shape: tuple[int, int, int], *, geometry: Geometry = "patch") -> Front:
    """The input itself in place of a layer, for keys of models in which no layer reads it.

    geometry: "patch" of windows, "tokens" of embeddings, "dense" of the rows of a table.
    """
    patch = geometry == "patch"
    size = shape[0] if patch else math.prod(shape)
    weight = torch.eye(size, dtype=torch.float64)
    return Front(
        geometry=geometry, weight=weight[:, :, None, None] if patch else weight,
        bias=torch.zeros(size, dtype=torch.float64), neutral=(0.0,) * shape[0], shape=shape, layer=NO_LAYER,
    )  # fmt: skip


def conv_front(
    *,
    weight: Float[Tensor, "out channel kernel_h kernel_w"],
    bias: Float[Tensor, " out"],
    neutral: tuple[float, ...],
    shape: tuple[int, int, int],
    layer: str,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int, int, int],
    groups: int,
) -> Front:
    """A convolution front; "patch" when its kernel positions neither overlap nor leave gaps."""
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    tiles = (
        kernel == stride
        and not any(padding)
        and groups == 1
        and dilation == (1, 1)
        and kernel[0] <= shape[1]
        and kernel[1] <= shape[2]
    )
    return Front(
        geometry="patch" if tiles and kernel != (1, 1) else "conv",
        weight=weight,
        bias=bias,
        neutral=neutral,
        shape=shape,
        layer=layer,
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=groups,
    )


def fold_channels(
    weight: Float[Tensor, "out channel *kernel"],
    *,
    sources: tuple[int, ...],
    gains: tuple[float, ...],
    channels: int,
    groups: int = 1,
) -> tuple[Float[Tensor, "out folded *kernel"], int]:
    """Fold "layer channel j reads gains[j] · v[sources[j]]" into a weight; also the new groups.

    A grouped weight stays grouped when the channels keep their order, and is made dense otherwise.
    """
    scale = torch.tensor(gains, dtype=torch.float64)
    extra = (1,) * (weight.ndim - 2)
    if groups > 1:
        size, out = weight.shape[1], weight.shape[0] // groups
        if sources == tuple(range(channels)):
            per_group = scale.reshape(groups, 1, size).expand(groups, out, size)
            return weight.double() * per_group.reshape(-1, size, *extra), groups
        dense = torch.zeros(weight.shape[0], groups * size, *weight.shape[2:], dtype=torch.float64)
        for g in range(groups):
            rows = slice(g * out, (g + 1) * out)
            dense[rows, g * size : (g + 1) * size] = weight[rows].double()
        weight = dense
    scaled = weight.double() * scale.reshape(1, -1, *extra)
    folded = torch.zeros(weight.shape[0], channels, *weight.shape[2:], dtype=torch.float64)
    return folded.index_add_(1, torch.tensor(sources), scaled), 1


def _public_signs(size: int) -> np.ndarray:
    stream = hashlib.shake_128(b"catch11 front fingerprint 1").digest(
        (_PROJECTIONS * size + 7) // 8
    )
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8))[: _PROJECTIONS * size]
    return 1.0 - 2.0 * bits.reshape(_PROJECTIONS, size)
