"""The insensitive subspace of an overlapping convolution.

Perturbing patches in the kernel's null space and folding them back does not work: overlapping
patches disagree. The operator is the whole convolution A on the window. Its spectrum is read off
the torus (`circulant`; of a small window, off A itself), which turns the rule into one number, the
largest insensitive gain `cut`.
The subspace is then that of the exact operator, borders and all: a step of AᵀA at `cut`
(`chebyshev`). What the torus itself says about a window (`start`, `seen`) costs two Fourier
transforms, is off at the border only, and is all that recoding needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.fronts.front import Front
from catch11.subspaces.polynomial import Step, step
from catch11.subspaces.rule import Rule
from catch11.subspaces.torus import Torus, blocks, gains, grams, spread, torus_for

_TIE = 1e-9  # relative: closer singular values are one value, chosen or left out together
# Of the largest gain: below it every direction is inside, whatever the rule says. Sixty decibels
# are beyond eight bits, and a sharper step would be a polynomial of degree 10,000 and more.
_NOTHING = 1e-3
_NULL = 1e-7  # of the largest gain; what a Gram matrix in float64 cannot tell from nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvSubspace:
    """Directions of a window whose gain in a convolution front is at most `cut`.

    cut: pixel units, between two singular values. top: at least the largest. spectrum: the window's singular values where it
    is small, else the torus', ascending, with weights that add up to the window's directions.
    dimension: the weights inside, rounded; from the torus it is off by the share of the border.
    step: the projector's polynomial; a direction whose gain is within its `width` of `cut` is
    kept in part, all others are kept or dropped to its tolerance.
    """

    front: Front
    torus: Torus
    cut: float
    top: float
    dimension: int
    spectrum: Float[Tensor, " direction"]
    weights: Float[Tensor, " direction"]
    step: Step
    gram: Complex[Tensor, "group u v plane plane"]
    inside: Complex[Tensor, "group u v plane plane"]
    outside: Complex[Tensor, "group u v plane plane"]

    @property
    def ambient(self) -> int:
        """Number of directions of a window."""
        return self.front.shape[0] * self.front.shape[1] * self.front.shape[2]

    def project(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The part inside, by the exact operator in float64; self-adjoint, idempotent to the step.

        Costs `len(step.coefficients)` products with AᵀA: seconds for a window of 224 x 224.
        """
        gram = self.gram.to(images.device)
        return self.step.apply(lambda x: self._product(x, gram), images.double()).to(images)

    def sample(self, streams: Sequence[KeyedStream]) -> Float[Tensor, "batch channel height width"]:
        """A standard normal inside, one a stream."""
        return self.project(torch.stack([stream.normal(self.front.shape) for stream in streams]))

    def contains(
        self, images: Float[Tensor, "batch channel height width"], *, tolerance: float = 1e-2
    ) -> Bool[Tensor, " batch"]:
        """Whether ‖image - project(image)‖ ≤ tolerance · ‖image‖.

        A projected image still has a little beside it, from gains within the step's width of
        `cut`; the default leaves room for that.
        """
        left = (images - self.project(images)).flatten(1).norm(dim=1)
        return left <= tolerance * images.flatten(1).norm(dim=1)

    def start(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The part inside on the torus, cut to the window: near `project`, wrong at the border."""
        return self._through(self.inside, images)

    def seen(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """The gradient of half the energy ‖A δ‖² that comes from directions above `cut`."""
        return self._through(self.outside, images)

    def _through(self, matrices: Tensor, images: Tensor) -> Tensor:
        waves = self.torus.split(images)
        return self.torus.join(spread(matrices.to(waves), waves))

    def _product(self, images: Tensor, gram: Tensor) -> Tensor:
        """AᵀA · images: the torus' product without the responses that the front does not compute."""
        product = self.torus.join(spread(gram, self.torus.split(images)))
        for sides in _missing(self.front):
            product = product - _strip_product(self.front, sides, images)
        return product


def conv_subspace(
    front: Front, rule: Rule, *, width: float = 0.25, tolerance: float = 1e-4, counted: int = 1024
) -> ConvSubspace:
    """The insensitive subspace of a convolution front. Raises EmptySubspace with the spectrum.

    Equal singular values are chosen or left out together, and those below a thousandth of the
    largest are all inside. width, tolerance: of the projector's
    step (see `chebyshev.Step`); a wider gap in the spectrum at the rule's border is used in full.
    counted: windows of at most that many directions have their own spectrum, borders and all.
    """
    torus = torus_for(
        front.shape, kernel=front.kernel, stride=front.stride, dilation=front.dilation
    )
    gram = grams(
        blocks(
            front.weight, torus, dilation=front.dilation,
            padding=(front.padding[0], front.padding[2]), groups=front.groups,
        )
    )  # fmt: skip
    singular, vectors = gains(gram)
    channels, height, width_ = front.shape
    small = channels * height * width_ <= counted
    values, weights = _own(front) if small else _sorted(singular, torus)
    # The window's own gains are at most the torus', but for rounding.
    top = float(singular.max()) * 1.001
    inside, cut, gap = _border(values, rule.count(values, weights=weights))
    if cut < _NOTHING * top:
        cut, gap = _NOTHING * top, 0.0
        inside = int((values <= cut).sum())
    # A small window may have lower gains, at its border, than any of the torus.
    lowest = max(cut, float(singular.min()) * (1.0 + _TIE))
    low = (singular <= lowest)[..., None, :].to(gram)
    high = torch.where(singular > cut, singular.square(), 0.0)[..., None, :].to(gram)
    return ConvSubspace(
        front=front,
        torus=torus,
        cut=cut,
        top=top,
        dimension=round(float(weights[:inside].sum())),
        spectrum=values,
        weights=weights,
        step=step(cut=cut, top=top, width=max(width, gap), tolerance=tolerance),
        gram=gram,
        # Recoding works in single precision: eight bits a pixel come out of it.
        inside=((vectors * low) @ vectors.mH).to(torch.complex64),
        outside=((vectors * high) @ vectors.mH).to(torch.complex64),
    )


def _own(front: Front) -> tuple[Tensor, Tensor]:
    """All singular values of a small window's explicit operator, ascending, each once."""
    matrix = front.explicit()
    values = torch.linalg.eigvalsh(matrix.T @ matrix).clamp(min=0.0).sqrt()
    return _cleared(values), torch.ones_like(values)


def _sorted(singular: Tensor, torus: Torus) -> tuple[Tensor, Tensor]:
    """All singular values of the torus, ascending, with weights that add up to the window's."""
    times = torus.multiplicity()[None, :, :, None].expand_as(singular).flatten()
    values, order = singular.flatten().sort()
    channels, height, width = torus.window
    return _cleared(values), times[order] * (channels * height * width / times.sum())


def _cleared(values: Tensor) -> Tensor:
    return torch.where(values < _NULL * values[-1], 0.0, values)


def _border(values: Tensor, inside: int) -> tuple[int, float, float]:
    """Count, cut and half-width of the gap around it, ties at the border kept together."""
    if inside == len(values):
        return inside, float(values[-1]) * 2.0, 0.5
    last = float(values[inside - 1])
    if float(values[inside]) - last <= _TIE * float(values[-1]):
        fewer = int((values < last - _TIE * float(values[-1])).sum())
        more = int((values <= last + _TIE * float(values[-1])).sum())
        inside = fewer or more
        return _border(values, inside)
    cut = 0.5 * (last + float(values[inside]))
    return inside, cut, 1.0 - last / cut


def _missing(front: Front) -> list[tuple[int, int, int, int]]:
    """Paddings that give, strip by strip, the responses of the torus that the front leaves out.

    The torus answers wherever the kernel touches the window; the front only at its own positions.
    A strip is the same convolution under other padding, negative where it crops the window.
    """
    spans = []
    for axis in (0, 1):
        size, stride = front.shape[1 + axis], front.stride[axis]
        before, after = front.padding[2 * axis], front.padding[2 * axis + 1]
        reach = front.dilation[axis] * (front.kernel[axis] - 1)
        own = (size + before + after - reach - 1) // stride + 1
        first, last = -((reach - before) // stride), (size - 1 + before) // stride + 1
        spans.append((size, stride, before, reach, own, min(first, 0), max(last, own)))

    def sides(axis: int, start: int, stop: int) -> tuple[int, int]:
        size, stride, before, reach, *_ = spans[axis]
        return before - stride * start, stride * (stop - 1) - before + reach + 1 - size

    own, first, last = spans[0][4:]
    everywhere, within = sides(1, *spans[1][5:]), sides(0, 0, own)
    strips = [(*sides(0, a, b), *everywhere) for a, b in ((first, 0), (own, last)) if a < b]
    own, first, last = spans[1][4:]
    strips += [(*within, *sides(1, a, b)) for a, b in ((first, 0), (own, last)) if a < b]
    return strips


def _strip_product(front: Front, sides: tuple[int, int, int, int], images: Tensor) -> Tensor:
    """BᵀB · images for the convolution B under other padding, which may be negative."""
    top, bottom, left, right = sides
    weight = front.weight.to(images)
    padded = F.pad(images, (left, right, top, bottom))
    response = F.conv2d(padded, weight, None, front.stride, 0, front.dilation, front.groups)
    back = F.conv_transpose2d(
        response, weight, None, front.stride, 0, 0, front.groups, front.dilation
    )
    assert back.shape == padded.shape
    return F.pad(back, (-left, -right, -top, -bottom))
