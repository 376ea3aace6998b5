"""A trained model as a teacher: what it answers to the views that the learner is shown."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from catch11.data.labels import folded
from catch11.errors import InvalidArgument
from catch11.models.frame import Model
from catch11.training.loop import Teach


def teaching(model: Model, classes: Sequence[str]) -> Teach:
    """Windows in [0, 1] of any size to the teacher's logits, in the order of `classes`.

    Its classes are matched by name; where the names are others and as many, by their place. Raises
    InvalidArgument for a teacher of other classes.
    """
    order = _order(model.labels, classes)
    size = model.canvas.window_height, model.canvas.window_width

    def teach(windows: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        if tuple(windows.shape[-2:]) != size:
            windows = functional.interpolate(
                windows, size, mode="bicubic", antialias=True, align_corners=False
            ).clamp(0.0, 1.0)
        return model.logits(model.canvas.normalise(windows))[:, order]

    return teach


def _order(own: Sequence[str], classes: Sequence[str]) -> list[int]:
    names = [folded(name) for name in own]
    wanted = [folded(name) for name in classes]
    if len(set(names)) == len(names) and set(wanted) <= set(names):
        return [names.index(name) for name in wanted]
    if len(own) == len(classes) and not set(wanted) & set(names):
        return list(range(len(own)))
    missing = next((n for n, w in zip(classes, wanted, strict=True) if w not in names), "")
    raise InvalidArgument(
        "teacher", expected=f"a model of the {len(classes)} classes of the pictures",
        found=f"{len(own)} classes, none of them {missing}" if missing else f"{len(own)} classes",
    )  # fmt: skip


class Remembered:
    """A teacher's answers, kept by the views they are to: one that was asked before is not asked again.

    path: a file that keeps them for other trainings on the same views, of the same teacher.
    """

    def __init__(self, teach: Teach, path: Path | None = None) -> None:
        self.teach, self.path, self.new = teach, path, 0
        self.known: dict[str, Tensor] = (
            {} if path is None or not path.is_file() else load_file(path)
        )

    def __call__(self, windows: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        name = hashlib.sha256(windows.contiguous().numpy().tobytes()).hexdigest()
        if name not in self.known:
            self.known[name] = self.teach(windows)
            self.new += 1
        return self.known[name]

    def keep(self) -> None:
        """Write what is new."""
        if self.path is not None and self.new:
            half = self.path.with_suffix(".half")
            save_file(self.known, half)
            os.replace(half, self.path)
            self.new = 0
