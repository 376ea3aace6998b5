"""Fronts of several operators at once: a patch of two frames, and tiles beside their thumbnail."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.front import Front, conv_front, fold_channels
from catch11.fronts.held import check_kernel
from catch11.models.vlm.sight import Tiles, resize_matrix

AFFORDABLE = 8.0  # GiB


def frames_front(eyes: nn.Module, canvas: Canvas) -> Front:
    """The front of one file that is a frame: the first and the second half of the patch embedding on
    top of each other, so that what both do not see is unseen in whatever place the frame stands."""
    name, film = _convolution(eyes, nn.Conv3d)
    weight = _in_pixels(torch.cat(film.unbind(2)), canvas)
    return _front(weight, canvas, f"eyes.{name}", (weight.shape[2], weight.shape[3]), (0, 0))


def tiles_front(eyes: nn.Module, sight: Tiles, canvas: Canvas) -> Front:
    """The front of a window that is seen in tiles and in their thumbnail: one convolution whose
    stride is a patch of the thumbnail. The resize is taken as it is away from the border, where
    Pillow weighs the pixels it has anew."""
    name, plain = _convolution(eyes, nn.Conv2d)
    weight = _in_pixels(plain, canvas)
    height, width = weight.shape[2:]
    down, above = _taps(sight.rows, sight.side, height)
    across, left = _taps(sight.columns, sight.side, width)
    small = torch.einsum("ocpq,py,qx->ocyx", weight, down, across)
    kernels = [small]
    for row in range(sight.rows):
        for column in range(sight.columns):
            whole = torch.zeros_like(small)
            y, x = above + row * height, left + column * width
            whole[:, :, y : y + height, x : x + width] = weight
            kernels.append(whole)
    stride = (height * sight.rows, width * sight.columns)
    return _front(torch.cat(kernels), canvas, f"eyes.{name}", stride, (above, left))


def plain_tiles_front(eyes: nn.Module, canvas: Canvas) -> Front:
    """The front of the tiles alone, which does not see what their thumbnail makes of the noise."""
    name, plain = _convolution(eyes, nn.Conv2d)
    weight = _in_pixels(plain, canvas)
    return _front(weight, canvas, f"eyes.{name}", (weight.shape[2], weight.shape[3]), (0, 0))


def check_affordable(front: Front) -> None:
    """Raises InvalidArgument where the spectrum of a stacked front would not fit into memory: a
    Gram matrix of all pixels of a stride for each frequency, thrice, in double complex."""
    planes = front.shape[0] * front.stride[0] * front.stride[1]
    rows, columns = (
        -(-(size + 2 * reach) // step)
        for size, reach, step in zip(
            front.shape[1:], (front.padding[0], front.padding[2]), front.stride, strict=True
        )
    )
    need = rows * columns * planes**2 * 16 * 3 / 2**30
    if need > AFFORDABLE:
        raise InvalidArgument(
            "size", expected="tiles whose operator and their thumbnail's fit into memory together",
            found=f"about {need:.0f} GiB for {front.shape[1]} x {front.shape[2]} pixels",
            remedy="take one tile, or add stack=0 and recode with --method deep",
        )  # fmt: skip


def _taps(scale: int, side: int, patch: int) -> tuple[Float[Tensor, "patch reach"], int]:
    """What `patch` pixels of a thumbnail read of the window, and how far they reach beyond it."""
    reach = 0 if scale == 1 else 2 * scale
    if scale == 1:
        return torch.eye(patch, dtype=torch.float64), 0
    whole = resize_matrix(side * scale, side).double()
    # The second patch if there is a third: no border is near. Two patches meet in the middle.
    start = (side // patch // 2) * patch
    first, count = start * scale - reach, patch * scale + 2 * reach
    taps = torch.zeros(patch, count, dtype=torch.float64)
    low, high = max(first, 0), min(first + count, side * scale)
    taps[:, low - first : high - first] = whole[start : start + patch, low:high]
    return taps, reach


def _convolution(eyes: nn.Module, kind: type[nn.Conv2d | nn.Conv3d]) -> tuple[str, Tensor]:
    """Name and weight, in float64, of the patch embedding."""
    for name, layer in eyes.named_modules():
        if isinstance(layer, kind):
            check_kernel(f"eyes.{name}", layer)
            return name, layer.weight.detach().to("cpu", torch.float64)
    raise NoFront([("tower", f"it holds no {kind.__name__}")])


def _in_pixels(
    weight: Float[Tensor, "out channel height width"], canvas: Canvas
) -> Float[Tensor, "out channel height width"]:
    folded, _ = fold_channels(
        weight, sources=canvas.order, gains=canvas.gain, channels=canvas.channels
    )
    return folded


def _front(
    weight: Tensor, canvas: Canvas, layer: str, stride: tuple[int, int], reach: tuple[int, int]
) -> Front:
    return conv_front(
        weight=weight, bias=torch.zeros(len(weight), dtype=torch.float64), neutral=canvas.neutral,
        shape=canvas.shape, layer=layer, stride=stride, dilation=(1, 1),
        padding=(reach[0], reach[0], reach[1], reach[1]), groups=1,
    )  # fmt: skip
