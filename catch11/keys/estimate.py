"""Probes: a front and a rule from inputs and features alone, for an owner who keeps the weights.

The authorized side runs sample pictures through its model and hands over the first layer's outputs
(paper §2.2, Scope). Least squares over all kernel positions gives the front's action; what the
samples never excited is an error, because nothing can be said about directions nobody tried.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import amplitude
from catch11.crypto.stream import KeyedStream
from catch11.errors import EmptySubspace, InvalidArgument
from catch11.fronts.find import evaluating
from catch11.fronts.front import Front, conv_front
from catch11.keys.key import PROBED, subspace_of
from catch11.subspaces.rule import Rule

_LINEAR = 1e-3  # relative residual above which the features are not a linear map of the pixels
_EXCITED = 1e-9  # smallest eigenvalue of the samples' covariance, relative to the largest
ENERGIES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-8, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """Windows in [0, 1] and what the first layer made of them, before any nonlinearity.

    features: (n, out, rows, columns) of a convolution or patch embedding, (n, out) of a dense
    layer. padding: (top, bottom, left, right). For a dense layer kernel and stride are the window.
    """

    windows: Float[Tensor, "batch channel height width"]
    features: Float[Tensor, "_ out *position"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.features) or not len(self.windows):
            found = f"{len(self.windows)} and {len(self.features)}"
            raise InvalidArgument("probe", expected="as many windows as features", found=found)
        if not (torch.isfinite(self.windows).all() and torch.isfinite(self.features).all()):
            raise InvalidArgument("probe", expected="finite values", found="NaN or infinity")


def estimate_front(probe: Probe, canvas: Canvas) -> Front:
    """The front that explains a probe, by least squares with an intercept, in float64.

    Only kernel positions inside the window are used, so the padding's value does not matter. Raises
    InvalidArgument where the samples leave directions untried or the features are not linear.
    """
    if tuple(probe.windows.shape[1:]) != canvas.shape:
        raise InvalidArgument(
            "probe", expected=f"windows of {canvas.shape}", found=tuple(probe.windows.shape[1:])
        )
    weights, biases = [], []
    for group in range(probe.groups):
        inputs, outputs = _pairs(probe, group)
        solved = _least_squares(inputs, outputs)
        weights.append(solved[:-1].T.reshape(outputs.shape[1], -1, *probe.kernel))
        biases.append(solved[-1])
    weight, bias = torch.cat(weights), torch.cat(biases)
    # The intercept holds A(-neutral) too; the front's bias is what is left at the neutral pixel.
    per_group = torch.tensor(canvas.neutral, dtype=torch.float64).reshape(probe.groups, -1)
    totals = weight.flatten(2).sum(2).reshape(probe.groups, -1, per_group.shape[1])
    bias = bias + torch.einsum("goc,gc->go", totals, per_group).flatten()
    if probe.features.ndim == 2:
        return Front(
            geometry="dense", weight=weight.flatten(1), bias=bias, neutral=canvas.neutral,
            shape=canvas.shape, layer=PROBED,
        )  # fmt: skip
    return conv_front(
        weight=weight, bias=bias, neutral=canvas.neutral, shape=canvas.shape, layer=PROBED,
        stride=probe.stride, dilation=probe.dilation, padding=probe.padding, groups=probe.groups,
    )  # fmt: skip


def choose_rule(
    front: Front,
    windows: Float[Tensor, "batch channel height width"],
    *,
    psnr: float = 10.0,
    deviation: float = 0.01,
) -> Rule:
    """The largest energy rule under which noise of `psnr` dB moves the probed features little.

    deviation: median over the windows of ‖A·noise‖ / ‖A(window - neutral)‖. Raises EmptySubspace
    where even the smallest rule leaves nothing.
    """
    # Public noise: it only measures; the key's own noise is never drawn here.
    streams = [KeyedStream(bytes(31) + bytes([i % 256])) for i in range(len(windows))]
    refused: EmptySubspace | None = None
    for energy in ENERGIES:
        rule = Rule(kind="energy", value=energy)
        try:
            noise = subspace_of(front, rule).sample(streams).to(windows)
        except EmptySubspace as reason:
            refused = reason
            break
        scale = amplitude(psnr) / noise.flatten(1).square().mean(1).sqrt()
        moved = windows + noise * scale[:, None, None, None]
        if float(front.relative_shift(moved, windows).median()) <= deviation:
            return rule
    if refused is None:
        raise InvalidArgument(
            "probe", expected=f"a subspace that moves the features by at most {deviation:g}",
            found=f"none at {psnr:g} dB", remedy="use --method deep or a weaker strength",
        )  # fmt: skip
    raise refused


def probe_layer(
    module: nn.Module,
    layer: str,
    windows: Float[Tensor, "batch channel height width"],
    *,
    normalise: Callable[[Tensor], Tensor],
) -> Tensor:
    """The outputs of one named layer on windows: all that the authorized side has to hand over."""
    outputs: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _, __, made: outputs.append(made.detach().cpu())
    )
    try:
        with torch.no_grad(), evaluating(module):
            module(normalise(windows).to(next(module.parameters())))
    finally:
        handle.remove()
    return outputs[0]


def _pairs(probe: Probe, group: int) -> tuple[Tensor, Tensor]:
    """(positions, pixels + 1) and (positions, out) of one group, from positions inside the window."""
    channels = probe.windows.shape[1] // probe.groups
    images = probe.windows[:, group * channels : (group + 1) * channels].double()
    out = probe.features.shape[1] // probe.groups
    made = probe.features[:, group * out : (group + 1) * out].double()
    if probe.features.ndim == 2:
        inputs, outputs = images.flatten(1), made
    else:
        inputs, outputs = _positions(probe, images, made)
    return torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1), outputs


def _positions(probe: Probe, images: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    top, bottom, left, right = probe.padding
    settings = {"kernel_size": probe.kernel, "dilation": probe.dilation, "stride": probe.stride}
    inside = F.pad(torch.ones_like(images[:1]), (left, right, top, bottom))
    whole = F.unfold(inside, **settings).amin(1)[0] > 0
    if whole.numel() != prod(made.shape[2:]):
        raise InvalidArgument(
            "probe", expected=f"{whole.numel()} positions of kernel {probe.kernel}, stride {probe.stride}",
            found=f"features of {tuple(made.shape[2:])}",
        )  # fmt: skip
    columns = F.unfold(F.pad(images, (left, right, top, bottom)), **settings)
    inputs = columns[:, :, whole].transpose(1, 2).flatten(0, 1)
    return inputs, made.flatten(2)[:, :, whole].transpose(1, 2).flatten(0, 1)


def _least_squares(inputs: Tensor, outputs: Tensor) -> Tensor:
    """(pixels + 1, out); the last row is the intercept."""
    unknown = inputs.shape[1]
    if len(inputs) < unknown:
        raise InvalidArgument(
            "probe", expected=f"at least {unknown} kernel positions in the samples",
            found=str(len(inputs)), remedy="probe with more pictures",
        )  # fmt: skip
    values = torch.linalg.eigvalsh(inputs.T @ inputs)
    untried = int((values < _EXCITED * values[-1]).sum())
    if untried:
        raise InvalidArgument(
            "probe", expected="samples that excite every direction of a patch",
            found=f"{untried} of {unknown} directions untried",
            remedy="add pictures with fine texture, or some of plain noise",
        )  # fmt: skip
    solved = torch.linalg.lstsq(inputs, outputs, driver="gelsd").solution
    residual = float((inputs @ solved - outputs).norm() / (outputs - outputs.mean(0)).norm())
    if not residual < _LINEAR:
        raise InvalidArgument(
            "probe", expected="features that are a linear map of the pixels",
            found=f"a relative residual of {residual:.2g}",
            remedy="hand over the first layer's output before its nonlinearity, unrounded",
        )  # fmt: skip
    return solved
