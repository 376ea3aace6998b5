"""Photographs that come inside scikit-image and scikit-learn, and squares cut from them."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from PIL import Image

from catch11.data.pictures import open_picture
from catch11.errors import MissingExtra

# All that show things an ImageNet net knows; nothing is fetched.
FILES = {
    "cat": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "motorcycle": ("skimage.data", "motorcycle_left.png"),
    "photographer": ("skimage.data", "camera.png"),
    "palace": ("sklearn.datasets.images", "china.jpg"),
    "flower": ("sklearn.datasets.images", "flower.jpg"),
    "astronaut": ("skimage.data", "astronaut.png"),
}
# Places of the squares, as shares of what is left of each side.
CORNERS = ((0.0, 0.0), (1.0, 1.0), (1.0, 0.0))
SHARE = 0.75  # side of a square, of the photograph's short side
MOST = len(FILES) * (1 + len(CORNERS))


@cache
def photographs() -> dict[str, Image.Image]:
    """Each photograph by what it shows, RGB. Raises MissingExtra."""
    try:
        return {
            name: open_picture(Path(str(files(package).joinpath(file))))
            for name, (package, file) in FILES.items()
        }
    except ModuleNotFoundError:
        raise MissingExtra("scikit-image", "demo") from None


def pictures(count: int = MOST) -> dict[str, Image.Image]:
    """The photographs, then three squares of each: `count` of them, by name."""
    whole = photographs()
    made = {f"{name}-0": image for name, image in whole.items()}
    for number, corner in enumerate(CORNERS, start=1):
        made |= {f"{n}-{number}": square(image, SHARE, corner) for n, image in whole.items()}
    return dict(list(made.items())[:count])


def squares(each: int, *, generator: torch.Generator) -> list[Image.Image]:
    """`each` squares of every photograph, at random places, half to all of its short side."""
    made = []
    for image in photographs().values():
        for share, right, down in torch.rand(each, 3, generator=generator).tolist():
            made.append(square(image, 0.5 + 0.5 * share, (right, down)))
    return made


def square(image: Image.Image, share: float, corner: tuple[float, float]) -> Image.Image:
    """A square of `share` of the short side. corner: (right, down), shares of the way."""
    side = int(share * min(image.size))
    left, top = (int(c * (size - side)) for c, size in zip(corner, image.size, strict=True))
    return image.crop((left, top, left + side, top + side))


def write_pictures(folder: Path, *, count: int = MOST) -> dict[str, Image.Image]:
    """`pictures` as PNG files of a folder, by file name. Raises MissingExtra."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {f"{name}.png": image for name, image in pictures(count).items()}
    for file, image in made.items():
        image.save(folder / file)
    return made
