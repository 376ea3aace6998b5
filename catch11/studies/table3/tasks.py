"""What Table 3 is worked out on: a data set with its authorized model, rivals, and pictures to attack,
to train or to calibrate with, the same for every method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.attacks.frame import Jury, Material
from catch11.attacks.jury import window_jury
from catch11.data.windows import as_pictures
from catch11.errors import ModelRefused
from catch11.models.frame import Model
from catch11.studies.answers import answers
from catch11.studies.place import Pictures, Place

Name = Literal["digits", "thumbnails", "photographs"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """windows: of `pictures`, to be judged. lessons: other pictures and their labels, what attackers
    learn from; their clean form is what attackers hold as public pictures. members: pictures that
    private training protects, where the backbone did not train on them."""

    name: Name
    authorized: Model
    rivals: Mapping[str, Model]
    pictures: Pictures
    windows: Float[Tensor, "batch channel height width"]
    labels: Int[Tensor, " batch"]
    lessons: Float[Tensor, "lesson channel height width"]
    lesson_labels: Int[Tensor, " lesson"]

    @property
    def models(self) -> dict[str, Model]:
        """The authorized model and its rivals, by name."""
        return {self.authorized.name: self.authorized, **self.rivals}

    def hits(self, model: Model, windows: Tensor) -> tuple[bool, ...]:
        """Whether a model answers each window rightly, as an 8-bit picture through its own
        preprocessing."""
        given = answers(model, self.authorized, windows)
        return tuple((given == self.labels[: len(windows)]).tolist())

    def material(self, released: Tensor, lessons: Tensor, *, judged: int) -> tuple[Material, Jury]:
        """An attacker with the release, labelled files of it, and clean pictures of others."""
        canvas, clean, labels = self.authorized.canvas, self.windows[:judged], self.labels[:judged]
        material = Material(
            canvas=canvas,
            released=released[:judged],
            rivals=self.rivals,
            public=self.lessons,
            labelled=(lessons, self.lesson_labels),
        )
        truth = dict.fromkeys(self.rivals, labels)
        jury = window_jury(
            canvas, rivals=self.rivals, truth=truth, released=released[:judged], clean=clean
        )
        return material, jury

    def files(self, windows: Tensor) -> list[bytes]:
        """Windows as PNG files of canvas size."""
        made = []
        for picture in as_pictures(windows, self.authorized.canvas):
            picture.save(buffer := BytesIO(), format="PNG")
            made.append(buffer.getvalue())
        return made


@lru_cache(maxsize=4)
def task(place: Place, name: Name, count: int, lessons: int) -> Task:
    """The task of that name; the digits need no place of their own. Raises Unavailable."""
    if name == "digits":
        place = Place(config="digits")
    family = "photographs" if name == "digits" else name
    models = place.models(family)
    if name == "digits":
        models["patch-twin"] = place.model("thumbnails", "patch-twin")
    first, *others = models
    pictures = place.pictures(family, count)
    canvas = models[first].canvas
    taught = place.pictures(family, max(lessons, 1), part="train")
    return Task(
        name=name,
        authorized=models[first],
        rivals={other: models[other] for other in others},
        pictures=pictures,
        windows=pictures.windows(canvas),
        labels=pictures.labels,
        lessons=taught.windows(canvas),
        lesson_labels=taught.labels,
    )


def head(model: Model) -> nn.Linear:
    """The last dense layer of a torch model. Raises ModelRefused where there is none."""
    layers = [] if model.module is None else list(model.module.modules())
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    if not dense or dense[-1].out_features != len(model.labels):
        raise ModelRefused(model.spec, "it does not end in a dense layer")
    return dense[-1]


def features(model: Model, windows: Tensor) -> Float[Tensor, "batch feature"]:
    """What the last dense layer is given."""
    seen: list[Tensor] = []
    hook = head(model).register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    try:
        model.logits(model.canvas.normalise(windows))
    finally:
        hook.remove()
    return torch.cat(seen)


class InPixels(nn.Module):
    """A classifier of normalised values as one of pixels."""

    def __init__(self, module: nn.Module, normalise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.module, self.normalise = module, normalise

    def forward(self, windows: Tensor) -> Tensor:
        return self.module(self.normalise(windows))
