"""How a training goes: its length, its rates, what it draws. Rates and seeds are functions of the step
alone, so that a training which is taken up again is the one that was not stopped."""

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

from catch11.errors import InvalidArgument

FLOOR = 0.01  # of the rate, at the end of the cosine
NEW, TUNED = 1e-3, 1e-4  # rates of a net from nothing, of one that was trained before


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """epochs: passes over the pictures. batch: pictures a step. rate: the largest, of AdamW; none
    takes `NEW` or `TUNED`. decay: of weights, not of biases and norms. warmup: share of the steps in
    which the rate rises. smoothing: of the labels. average: share that the running mean of the weights
    keeps a step. teach: weight of the teacher's answers. heat: temperature at which they are compared.
    balanced: whether rare classes weigh more. held: share of pictures to judge by, of each class.
    views: how many views of each picture there are before they come again, so that a teacher is asked
    once a view; 0: ever new ones.
    precision: of the forward pass."""

    epochs: int = 30
    batch: int = 64
    rate: float | None = None
    decay: float = 0.05
    warmup: float = 0.1
    smoothing: float = 0.1
    average: float = 0.999
    teach: float = 0.5
    heat: float = 2.0
    balanced: bool = False
    held: float = 0.1
    views: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 1), ("views", 0), ("seed", 0)):
            if getattr(self, name) < least:
                found = getattr(self, name)
                raise InvalidArgument(name, expected=f"{least} or more", found=found)
        for name in ("decay", "warmup", "smoothing", "average", "teach"):
            if not 0.0 <= (found := getattr(self, name)) <= 1.0:
                raise InvalidArgument(name, expected="a number from 0 to 1", found=found)
        if not 0.0 < self.held < 1.0:
            raise InvalidArgument("held", expected="a share between 0 and 1", found=self.held)
        for name in ("rate", "heat"):
            found = getattr(self, name)
            if found is not None and not 0.0 < found < math.inf:
                raise InvalidArgument(name, expected="a number above 0", found=found)


def rate_at(step: int, steps: int, *, top: float, warmup: float) -> float:
    """The rate of a step from 0: linear to `top` over the first share of the steps, then a cosine to
    `FLOOR` of it."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return top * (step + 1) / rise
    share = (step - rise) / max(1, steps - rise)
    return top * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)))


def seed_of(*place: int) -> int:
    """A seed for a place in a training: (seed, epoch) or (seed, epoch, step)."""
    digest = hashlib.sha256(" ".join(map(str, place)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
