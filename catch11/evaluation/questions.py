"""Questions with the answer no or yes that a file was not licensed for: of super-classes, which follow
from the answer, and of what the picture looks like, which does not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.classes import same_classes
from catch11.models.frame import Model
from catch11.models.grouped import grouped

Windows = Float[Tensor, "batch channel height width"]
# ImageNet's classes stand in the order of their WordNet numbers: animals first, dogs among them in one
# row. Things are ordered by the alphabet, so vehicles (craft, sledges, what has wheels and drives) are listed.
_VEHICLES = (
    403, 404, 405, 407, 408, 417, 428, 436, 444, 450, 466, 468, 472, 484, 510, 511, 537, 547, 554,
    555, 561, 565, 569, 573, 575, 576, 586, 603, 609, 612, 625, 627, 628, 654, 656, 661, 665, 670,
    671, 675, 690, 694, 705, 717, 734, 751, 757, 779, 780, 791, 802, 803, 812, 814, 817, 820, 829,
    833, 847, 864, 866, 867, 870, 871, 874, 880, 895, 914,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """text: what is asked. classes: those that mean yes, by how many classes there are. look: a number
    of each window in pixel units, and `above` it the answer is yes: near the median of photographs."""

    text: str
    classes: Mapping[int, frozenset[int]] = field(default_factory=dict)
    look: Callable[[Windows], Float[Tensor, " batch"]] | None = None
    above: float = 0.0

    def seen(self, windows: Windows) -> Bool[Tensor, " batch"]:
        """The answers that the pictures themselves give."""
        assert self.look is not None
        return self.look(windows) > self.above

    def meant(self, labels: Sequence[str]) -> frozenset[int]:
        """The classes of a model with these labels that mean yes. Raises InvalidArgument."""
        if len(labels) not in self.classes:
            expected = (
                " or ".join(str(count) for count in self.classes) + " classes (ImageNet, CIFAR)"
            )
            raise InvalidArgument("question", expected=expected, found=len(labels))
        return self.classes[len(labels)]

    def follows(
        self, labels: Int[Tensor, " batch"], names: Sequence[str]
    ) -> Bool[Tensor, " batch"]:
        """The answers that class indices give."""
        return torch.isin(labels, torch.tensor(sorted(self.meant(names))))

    def asked(self, rival: Model, names: Sequence[str]) -> Model:
        """A rival that says no or yes. names: the classes by which the question is stated."""
        order = same_classes(names, rival.labels)
        if order is None:
            found = f"{len(rival.labels)} other ones in {rival.name}"
            raise InvalidArgument(
                "question", expected=f"models of {len(names)} classes", found=found
            )
        return grouped(rival, [order[place] for place in self.meant(names)])


def _warmth(windows: Windows) -> Tensor:
    return (windows[:, 0] - windows[:, -1]).mean((1, 2))


def _brightness(windows: Windows) -> Tensor:
    return windows.mean((1, 2, 3))


def _detail(windows: Windows) -> Tensor:
    """Mean step of brightness between neighbours, down and across."""
    down, across = (windows.mean(1).diff(dim=axis).abs().mean((1, 2)) for axis in (1, 2))
    return down + across


QUESTIONS: Mapping[str, Question] = {
    "animal": Question(
        text="an animal or a thing",
        classes={1000: frozenset(range(398)), 10: frozenset(range(2, 8))},
    ),
    "dog": Question(
        text="a dog or not", classes={1000: frozenset(range(151, 269)), 10: frozenset({5})}
    ),
    "vehicle": Question(
        text="a vehicle or not", classes={1000: frozenset(_VEHICLES), 10: frozenset({0, 1, 8, 9})}
    ),
    "warm": Question(text="warm or cold light", look=_warmth, above=0.05),
    "bright": Question(text="bright or dark", look=_brightness, above=0.45),
    "busy": Question(text="busy or calm", look=_detail, above=0.08),
}


def question_of(name: str) -> Question:
    """The question of that name. Raises InvalidArgument with the known ones."""
    if name not in QUESTIONS:
        raise InvalidArgument("question", expected=f"one of {', '.join(QUESTIONS)}", found=name)
    return QUESTIONS[name]
