"""Authorized: what the model that may read is, whatever kind of data it reads."""

from typing import Protocol, runtime_checkable

from catch11.canvas.frame import Canvas
from catch11.fronts.front import Front
from catch11.kinds import AUDIO, IMAGE


@runtime_checkable
class Authorized(Protocol):
    """A loaded model of any kind of data."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def spec(self) -> str:
        """What it was loaded by."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 over its sorted tensors."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """One a logit; none where it answers with something else."""
        ...

    @property
    def canvas(self) -> Canvas:
        """Its canvas."""
        ...

    @property
    def device(self) -> str:
        """Where it runs."""
        ...

    @property
    def modality(self) -> str:
        """The kind of data it reads: "image", "audio", "table", "text"."""
        ...

    def front(self, layer: str | None = None) -> Front:
        """Its first linear map."""
        ...


def is_private(model: object) -> bool:
    """Whether a loaded model says that it is a personalised copy."""
    return getattr(model, "private", False) is True


def seal_of(model: object) -> str:
    """The public name of the seal that a loaded model says it opens; empty where it is no sealed copy."""
    return str(getattr(model, "sealed", ""))


def modality_read(canvas: Canvas) -> str:
    """The kind of data of a canvas that belongs to no loaded model."""
    return AUDIO if canvas.sound else IMAGE
