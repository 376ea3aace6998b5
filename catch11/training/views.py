"""Random views of pictures: part of each, mirrored, in other light, a piece left out."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.lab import needed

SMALL = 96  # pixels of a side below which a view is a shift, not a part
SHIFT = 8  # a side is shifted by up to one in so many
Windows = Float[Tensor, "batch channel window_height window_width"]


def views_of(canvas: Canvas) -> Callable[[Float[Tensor, "batch channel height width"]], Windows]:
    """Whole canvas pictures in [0, 1] to random windows, drawn from torch's global generator.

    Raises MissingExtra without kornia.
    """
    draw = needed("kornia.augmentation")
    size = canvas.window_height, canvas.window_width
    whole = size == (canvas.height, canvas.width)
    shift = max(1, min(size) // SHIFT)
    crop: nn.Module
    if min(size) < SMALL:
        crop = draw.RandomCrop(size, padding=shift if whole else None, padding_mode="reflect")
    else:
        crop = draw.RandomResizedCrop(size, scale=(0.35, 1.0), resample="bicubic")
    chain = draw.AugmentationSequential(
        crop,
        draw.RandomHorizontalFlip(p=0.5),
        draw.ColorJiggle(0.3, 0.3, 0.3, 0.0, p=0.8),
        draw.RandomErasing(p=0.25, scale=(0.02, 0.2), value=0.5),
        data_keys=["input"],
    )

    def view(pictures: Tensor) -> Tensor:
        made: Tensor = chain(pictures)
        return made.clamp(0.0, 1.0)  # cubic interpolation leaves the range

    return view
