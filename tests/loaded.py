"""A loaded model as a key needs it, for tests: a front, and nothing behind it."""

from collections.abc import Callable

from catch11.canvas.frame import Canvas
from catch11.fronts.front import Front


class Loaded:
    """fronts: what it says of each layer."""

    name, spec, device, modality = "net", "py:net", "cpu", "image"
    labels: tuple[str, ...] = ()

    def __init__(
        self, canvas: Canvas, fingerprint: str, fronts: Callable[[str | None], Front]
    ) -> None:
        self.canvas, self.fingerprint, self.fronts = canvas, fingerprint, fronts

    def front(self, layer: str | None = None) -> Front:
        return self.fronts(layer)
