"""Pure maths of an overlapping convolution on a torus: planes of a stride, Fourier blocks, gains.

A convolution of stride s on a torus becomes, once the image is split into its s · s planes and each
is Fourier-transformed, one small matrix a frequency (Sedghi, Gupta and Long, 1805.10408, for s = 1).
Its singular values over all frequencies are those of the whole operator. A window is embedded in a
torus with room for the kernel's reach, so that nothing wraps around: the torus operator is then the
full convolution of the window, partial overlaps at all borders included.

Recoding runs `split`, `spread` and `join` sixty times a picture: they reshape by hand, as einops
took a fifth of the time of a small one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Torus:
    """The torus a window (channel, height, width) is embedded in at its top left corner.

    cells: positions of the stride down and across; the torus is cells * stride pixels.
    """

    window: tuple[int, int, int]
    stride: tuple[int, int]
    cells: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.cells[0] * self.stride[0], self.cells[1] * self.stride[1]

    @property
    def frequencies(self) -> tuple[int, int]:
        """Rows and columns of the half plane that a real Fourier transform keeps."""
        return self.cells[0], self.cells[1] // 2 + 1

    @property
    def planes(self) -> int:
        """Channels times positions within a stride."""
        return self.window[0] * self.stride[0] * self.stride[1]

    def split(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Complex[Tensor, "batch u v plane"]:
        """Fourier transforms of the planes (channel, row, column) of embedded windows."""
        height, width = self.size
        padded = F.pad(images, (0, width - images.shape[3], 0, height - images.shape[2]))
        (rows, columns), (down, across) = self.cells, self.stride
        parts = padded.reshape(*padded.shape[:2], rows, down, columns, across)
        planes = parts.permute(0, 1, 3, 5, 2, 4).reshape(-1, self.planes, rows, columns)
        return torch.fft.rfft2(planes, norm="ortho").permute(0, 2, 3, 1)

    def join(
        self, waves: Complex[Tensor, "batch u v plane"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The window cut out of the torus image with these transforms: the adjoint of `split`."""
        planes = torch.fft.irfft2(waves.permute(0, 3, 1, 2), s=self.cells, norm="ortho")
        channels, height, width = self.window
        parts = planes.reshape(-1, channels, *self.stride, *self.cells)
        images = parts.permute(0, 1, 4, 2, 5, 3).reshape(-1, channels, *self.size)
        return images[..., :height, :width]

    def multiplicity(self) -> Float[Tensor, "u v"]:
        """How many frequencies of the whole plane each of the half plane stands for: 1 or 2."""
        times = torch.full(self.frequencies, 2.0, dtype=torch.float64)
        times[:, 0] = 1.0
        if self.cells[1] % 2 == 0:
            times[:, -1] = 1.0
        return times


def torus_for(
    window: tuple[int, int, int],
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Torus:
    """The smallest torus with room for the kernel's reach whose sides transform fast."""
    rows, columns = (
        _smooth(-(-(size + step * (taps - 1)) // s))
        for size, taps, s, step in zip(window[1:], kernel, stride, dilation, strict=True)
    )
    return Torus(window=window, stride=stride, cells=(rows, columns))


def blocks(
    weight: Float[Tensor, "out channel kernel_h kernel_w"],
    torus: Torus,
    *,
    dilation: tuple[int, int],
    padding: tuple[int, int],
    groups: int = 1,
) -> Complex[Tensor, "group u v row plane"]:
    """The convolution's matrix at each frequency of the half plane: complex128.

    padding: top and left; it moves the response and leaves every gain as it is. The planes of a
    group are its channels times positions within a stride. With gcd(dilation, stride) > 1 some
    positions are read by no tap, and their columns are exactly zero.
    """
    (y, down), (x, across) = (
        _taps(weight.shape[2 + axis], dilation[axis], padding[axis], torus, axis) for axis in (0, 1)
    )
    taps = rearrange(_narrow(weight.double(), groups), "(g o) c k l -> g o c k l", g=groups)
    shape = (*taps.shape[:3], *torus.stride)
    result = torch.zeros(groups, *torus.frequencies, *shape[1:], dtype=torch.complex128)
    for row in range(torus.stride[0]):
        for column in range(torus.stride[1]):
            ks, ls = (y == row).nonzero()[:, 0], (x == column).nonzero()[:, 0]
            part = taps[:, :, :, ks][..., ls].to(torch.complex128)
            result[..., row, column] = torch.einsum(
                "gockl,uk,vl->guvoc", part, down[:, ks], across[: torus.frequencies[1], ls]
            )
    return rearrange(result, "g u v o c y x -> g u v o (c y x)")


def grams(
    matrices: Complex[Tensor, "group u v row plane"],
) -> Complex[Tensor, "group u v plane plane"]:
    """MᴴM at each frequency, Hermitian."""
    return matrices.mH @ matrices


def gains(
    gram: Complex[Tensor, "group u v plane plane"],
) -> tuple[
    Float[Tensor, "group u v plane"],
    Complex[Tensor, "group u v plane plane"],
]:
    """Singular values, ascending, and right singular vectors at each frequency, from the Gram.

    A singular value s of a largest σ is right to about 1e-15 σ²/s; what lies below 1e-7 σ is
    rounding. Vectors of one value are any basis of their span, not the conjugates of those at the
    conjugate frequency: use them through V f(s) Vᴴ.
    """
    squares, vectors = torch.linalg.eigh(gram)
    return squares.clamp(min=0.0).sqrt(), vectors


def spread(
    group_waves: Complex[Tensor, "group u v plane plane"],
    waves: Complex[Tensor, "batch u v all"],
) -> Complex[Tensor, "batch u v all"]:
    """Block matrices, one a group and frequency, times the planes of images."""
    groups, size = group_waves.shape[0], group_waves.shape[-1]
    each = waves.reshape(*waves.shape[:3], groups, size).permute(3, 1, 2, 4, 0)
    return (group_waves @ each).permute(4, 1, 2, 0, 3).reshape(waves.shape)


def _taps(
    count: int, dilation: int, padding: int, torus: Torus, axis: int
) -> tuple[Tensor, Complex[Tensor, "frequency tap"]]:
    """For each tap its position within a stride, and its phase at each frequency of one axis.

    Tap k of response q reads pixel s·q + d·k - padding = s·(q + turn) + position.
    """
    stride, cells = torus.stride[axis], torus.cells[axis]
    offset = torch.arange(count) * dilation - padding
    turn = torch.div(offset, stride, rounding_mode="floor")
    angle = torch.outer(torch.arange(cells), turn).remainder(cells).double() * (2 * math.pi / cells)
    return offset.remainder(stride), torch.polar(torch.ones_like(angle), angle)


def _narrow(weight: Tensor, groups: int) -> Tensor:
    """A weight with the same AᵀA and no more outputs a group than it has taps."""
    rows = rearrange(weight, "(g o) c k l -> g o (c k l)", g=groups)
    if rows.shape[1] <= rows.shape[2]:
        return weight
    square = torch.linalg.qr(rows, mode="r").R
    return square.reshape(-1, *weight.shape[1:])


def _smooth(size: int) -> int:
    """The next number whose prime factors are at most 7."""
    while _rest(size, (2, 3, 5, 7)) > 1:
        size += 1
    return size


def _rest(size: int, primes: Sequence[int]) -> int:
    for prime in primes:
        while size % prime == 0:
            size //= prime
    return size
