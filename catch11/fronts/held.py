"""A front held against its layer: what it says of two pictures is what the layer puts out.

Attributes do not tell all: a layer may pad, or standardise its kernel, in its own forward. Padding
and kernel are then measured on the layer itself; what remains different is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import NoFront
from catch11.fronts.affine import Unusable, match_rows, positions
from catch11.fronts.front import Front
from catch11.fronts.layer import Call, as_image, front_of, one_tile_each, sides_of


def leeway(made: Tensor) -> float:
    """How far from what it is said to be a response of this precision may be, as a share of it. TF32 rounds
    by 5e-4; a kernel misplaced at one border alone makes 2e-2."""
    return 2e-2 if made.dtype == torch.bfloat16 else 2e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One normalised window given to a model: the layer's call, and what it and the BatchNorm right
    behind it put out."""

    probe: Float[Tensor, "1 channel height width"]
    call: Call
    made: Tensor


def other_window(
    probe: Float[Tensor, "1 channel height width"],
) -> Float[Tensor, "1 channel height width"]:
    """A second window of distinct values in the range of the first: another mean and deviation."""
    low, span = probe.double().min(), probe.double().max() - probe.double().min()
    share = (probe.double() - low) / span
    return (low + span * (share + share.pow(3)) / 2).float()


def held_front(
    trials: Sequence[Trial],
    canvas: Canvas,
    norm: nn.Module | None,
    *,
    scaled: bool = False,
) -> Front:
    """The front that a layer is, the same on both windows and true of what it put out there.

    scaled: each window is known to be brought to its own deviation. Raises Unusable.
    """
    if trials[0].call.layer is not trials[1].call.layer:
        raise Unusable("the model runs other layers on another picture")
    worst = 0.0
    for calls in _spelled(trials):
        fronts = [
            front_of(call, t.probe, canvas, norm) for call, t in zip(calls, trials, strict=True)
        ]
        if not scaled:
            _check_alike(fronts)
        off = _off(fronts, trials, canvas)
        if off <= leeway(trials[0].made):
            return fronts[0]
        worst = worst or off
    raise Unusable(_differs(trials[0].call.layer, worst, norm))


@torch.no_grad()
def check_kernel(name: str, layer: nn.Linear | nn.Conv2d | nn.Conv3d) -> None:
    """Raises NoFront for a layer that does not put out what its own weight and bias say."""
    weight = layer.weight
    noise = torch.randn(2, *weight.shape[1:], generator=torch.Generator().manual_seed(12))
    noise = noise.to(weight)
    made = layer(noise).float().flatten(1)
    meant = noise.flatten(1).float() @ weight.flatten(1).float().T
    meant = meant if layer.bias is None else meant + layer.bias.float()
    off = float("inf")
    if made.shape == meant.shape:
        off = float((made - meant).norm() / meant.norm())
    if not off <= leeway(weight):
        raise NoFront([(name, _differs(layer, off))])


def _differs(layer: nn.Module, off: float, norm: nn.Module | None = None) -> str:
    name = type(layer).__name__ + ("" if norm is None else f" with its {type(norm).__name__}")
    by = "of another shape than" if off == float("inf") else f"{off:.1%} away from what"
    return (
        f"what this {name} puts out is {by} its weights and padding make of two "
        "pictures; write it as a plain layer that holds the weights it uses"
    )


def _check_alike(fronts: Sequence[Front]) -> None:
    """Raises Unusable where what lies before a layer treats two windows differently."""
    first, second = fronts
    moved = max(abs(a - b) for a, b in zip(first.neutral, second.neutral, strict=True))
    drift = first.drift(second)
    if not (drift <= 1e-3 and moved <= 1e-3):
        raise Unusable(
            "the model scales or shifts each picture by what the picture holds, two of them "
            f"{max(drift, moved):.0%} apart, so no fixed map reads its pixels; normalise with fixed "
            "numbers before the model"
        )


def _off(fronts: Sequence[Front], trials: Sequence[Trial], canvas: Canvas) -> float:
    """How far the fronts are from what the layer put out: on the difference of the windows, which no
    constant touches, and on the level of a channel away from the border."""
    rest, said = [], []
    for front, trial in zip(fronts, trials, strict=True):
        window = canvas.denormalise(trial.probe)
        meant = front.apply(front.centred(window))[0].cpu().double()
        meant = _as_made(meant.reshape(front.outputs, -1), trial, front)
        made = _responses(trial)
        if made.shape != meant.shape:
            return float("inf")
        rest.append(made - meant - front.bias[:, None])
        said.append(meant)
    # A small response on top of a large level is rounded with the level.
    rounding = 2 * torch.finfo(trials[0].made.dtype).eps * _responses(trials[0]).norm()
    moved = (rest[0] - rest[1]).norm() - rounding
    level = rest[0].median(1).values.norm() * said[0].shape[1] ** 0.5 - rounding
    off = torch.maximum(moved / (said[0] - said[1]).norm(), level / said[0].norm())
    return float(off.nan_to_num(float("inf")))


def _responses(trial: Trial) -> Float[Tensor, "out place"]:
    made, call = trial.made.detach().cpu().double(), trial.call
    if isinstance(call.layer, nn.Linear):
        return made.reshape(-1, made.shape[-1]).T
    if one_tile_each(call):
        return made.flatten(1).T
    return (made[:, :, 0] if made.ndim == 5 else made)[0].flatten(1)


def _as_made(
    meant: Float[Tensor, "out place"], trial: Trial, front: Front
) -> Float[Tensor, "out place"]:
    """A front's responses in the order of the layer's vectors."""
    call = trial.call
    linear = isinstance(call.layer, nn.Linear)
    if not front.patched or not (linear or one_tile_each(call)):
        return meant
    vectors = call.given if linear else as_image(call.given).flatten(1)
    _, height, width = front.shape
    first = positions(vectors, trial.probe.to(vectors)).amin(1) % (height * width)
    rows, columns = first // width // front.stride[0], first % width // front.stride[1]
    return meant[:, rows * (width // front.stride[1]) + columns]


def _spelled(trials: Sequence[Trial]) -> Iterator[Sequence[Call]]:
    """The calls as the layer's attributes read; then as a plain convolution with the padding that is
    measured on it, its own kernel first and a measured one last. Of a folded window one spelling."""
    calls = [trial.call for trial in trials]
    if (unfolded := _unfolded(trials)) is not None:
        yield unfolded
        return
    yield calls
    layer, given = calls[0].layer, calls[0].given
    if not isinstance(layer, nn.Conv2d) or given.ndim != 4 or one_tile_each(calls[0]):
        return
    sides = _padding(layer, given)
    if sides is None:
        return
    padded = [F.pad(call.given, sides) for call in calls]
    for plain in (
        _plain(layer, layer.weight, layer.bias, layer.groups),
        _measured(layer, given, sides),
    ):
        yield [replace(c, layer=plain, given=g) for c, g in zip(calls, padded, strict=True)]


def _unfolded(trials: Sequence[Trial]) -> Sequence[Call] | None:
    """The calls of a convolution that is given the window folded into its channels (space to depth),
    as those of one that reads the window itself; None for any other."""
    call, probe = trials[0].call, trials[0].probe
    layer, given = call.layer, call.given
    fold = probe.shape[2] // given.shape[2] if given.ndim == 4 else 0
    if not isinstance(layer, nn.Conv2d) or fold < 2 or layer.groups > 1 or layer.dilation != (1, 1):
        return None
    if any(side % fold for side in probe.shape[2:]) or layer.padding_mode != "zeros":
        return None
    planes = F.pixel_unshuffle(probe, fold).to(given)
    if given.shape != planes.shape:
        return None
    matched = match_rows(given[0].double().flatten(1), planes[0].double().flatten(1))
    if matched is None or any(matched[2]):
        return None
    weight = layer.weight.detach() * torch.tensor(matched[1]).to(layer.weight)[:, None, None]
    weight = torch.zeros_like(weight).index_add_(
        1, torch.tensor(matched[0]).to(weight.device), weight
    )
    plain = _plain(layer, F.pixel_shuffle(weight, fold), layer.bias, groups=1)
    plain.kernel_size = plain.weight.shape[2], plain.weight.shape[3]
    plain.stride = layer.stride[0] * fold, layer.stride[1] * fold
    top, bottom, left, right = (fold * side for side in sides_of(layer))
    return [
        replace(one.call, layer=plain, given=F.pad(one.probe.to(given), (left, right, top, bottom)))
        for one in trials
    ]


def _padding(layer: nn.Conv2d, given: Tensor) -> tuple[int, int, int, int] | None:
    """(left, right, top, bottom), from the pixels that the response in the middle hangs on."""
    values = given.detach().clone().to(layer.weight).requires_grad_()
    with torch.enable_grad():
        made = layer(values)
        middle = made.shape[2] // 2, made.shape[3] // 2
        (slope,) = torch.autograd.grad(made[0, :, *middle].square().sum(), values)
    read = slope[0].abs().sum(0).nonzero()
    if not len(read):
        return None
    sides: list[int] = []
    for axis in (1, 0):
        step = layer.stride[axis]
        before = middle[axis] * step - int(read[:, axis].min())
        reach = (
            (made.shape[2 + axis] - 1) * step
            + layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            + 1
        )
        if before < 0:
            return None
        sides += [before, max(0, reach - given.shape[2 + axis] - before)]
    return sides[0], sides[1], sides[2], sides[3]


def _measured(layer: nn.Conv2d, given: Tensor, sides: tuple[int, int, int, int]) -> nn.Conv2d:
    """The convolution that explains best what a layer makes of noise."""
    size = given.shape[1] * layer.kernel_size[0] * layer.kernel_size[1] + 1
    generator = torch.Generator().manual_seed(13)
    columns: list[Tensor] = []
    made: list[Tensor] = []
    while sum(len(one) for one in made) < 2 * size:
        noise = torch.randn(given.shape, generator=generator).to(layer.weight)
        with torch.no_grad():
            out = layer(noise)
        seen = F.unfold(F.pad(noise, sides), layer.kernel_size, layer.dilation, stride=layer.stride)
        if seen.shape[2] != out[0, 0].numel():
            break
        columns.append(seen[0].T.cpu().double())
        made.append(out[0].flatten(1).T.cpu().double())
    if not made:
        return layer
    read = F.pad(torch.cat(columns), (0, 1), value=1.0)
    found = torch.linalg.lstsq(read, torch.cat(made)).solution.T
    weight = found[:, :-1].reshape(-1, given.shape[1], *layer.kernel_size)
    return _plain(layer, weight, found[:, -1], groups=1)


def _plain(layer: nn.Conv2d, weight: Tensor, bias: Tensor | None, groups: int) -> nn.Conv2d:
    plain = nn.Conv2d(weight.shape[1] * groups, len(weight), 1, groups=groups, bias=False)
    plain.kernel_size, plain.stride, plain.dilation = (
        layer.kernel_size,
        layer.stride,
        layer.dilation,
    )
    plain.weight = nn.Parameter(weight.detach().float(), requires_grad=False)
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach().float(), requires_grad=False)
    return plain
