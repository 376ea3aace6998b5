"""What a model answers: to pictures as their owner has them, and to windows made for another model."""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.data.windows import as_pictures
from catch11.errors import InvalidArgument
from catch11.models.frame import Model
from catch11.studies.place import Part, Place

Windows = Float[Tensor, "_ channel height width"]


def answers(
    model: Model, authorized: Model, windows: Windows, *, exact: bool = False
) -> Int[Tensor, " batch"]:
    """A model's classes of another model's windows: as 8-bit pictures on the authorized canvas, or,
    exact, as the values they are."""
    if exact and model.canvas.shape != authorized.canvas.shape:
        expected = f"a window of {authorized.canvas.shape}, as floats are read as they are"
        raise InvalidArgument(f"model {model.name}", expected=expected, found=model.canvas.shape)
    given = []
    for part in windows.split(32):
        if exact:
            values = model.canvas.normalise(part)
        else:
            values = model.preprocess(as_pictures(part, authorized.canvas))
        given.append(model.logits(values).argmax(1))
    return torch.cat(given)


@lru_cache(maxsize=32)
def clean_answers(
    place: Place, family: str, name: str, n: int, part: Part
) -> Int[Tensor, " batch"]:
    """Of the pictures as they are, through the model's own preprocessing."""
    model, pictures = place.model(family, name), place.pictures(family, n, part=part)
    return torch.cat(
        [
            model.logits(model.preprocess(list(pictures.images[low : low + 32]))).argmax(1)
            for low in range(0, len(pictures.images), 32)
        ]
    )
