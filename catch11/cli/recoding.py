"""The recoder that a command's options ask for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor

    from catch11.copies.personalize import CopySecret
    from catch11.keys.key import Key
    from catch11.models.frame import Model
    from catch11.recoding.deep.quiet import Quiet
    from catch11.recoding.deep.recoder import DeepRecoder
    from catch11.recoding.frame import Recoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The options of one run."""

    method: Literal["spectral", "deep", "scramble"]
    format: str
    psnr: float
    noise: Literal["content", "gaussian", "sign", "structured"]
    client: str
    shared: bool
    at: str
    start: str
    steps: int
    radius: str
    agreement: str
    margin: float
    look: Literal["noise", "decoy", "faint"]
    survive: str
    also: "tuple[Model, ...]" = ()
    against: "tuple[Model, ...]" = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    copy: "CopySecret | None" = None
    quiet: tuple[Path, int] | None = None

    def recoder(self, key: "Key", model: "Model | None") -> "Recoder":
        """The recoder; deep needs the model the key was built from. Raises InvalidArgument."""
        if self.method == "spectral":
            from catch11.recoding.spectral.recoder import SpectralRecoder

            return SpectralRecoder(
                key, psnr=self.psnr, noise=self.noise, format=self.format, tag=self.client,
                shared=self.shared, copy=self.copy,
            )  # fmt: skip
        if self.method == "scramble":
            return self._scrambled(key)
        if model is None:
            raise InvalidArgument("--method deep", expected="--model MODEL beside it", found="none")
        from catch11.data.windows import folder_windows

        made = self._deep(key, model, None)
        if self.quiet is None:
            return made
        source, count = self.quiet
        return self._deep(key, model, made.quiet(folder_windows(source, key.canvas, most=count)))

    def _deep(self, key: "Key", model: "Model", quiet: "Quiet | None") -> "DeepRecoder":
        from catch11.recoding.codecs import survival
        from catch11.recoding.deep.recoder import DeepRecoder

        return DeepRecoder(
            model, key, at=self.at, start=self._start(key), look=self.look, psnr=self.psnr,
            steps=self.steps,
            radius=_radius(self.radius),
            agreement=self.agreement, margin=self.margin, survive=survival(self.survive),
            also=self.also, against=self.against, tag=self.client, format=self.format,
            precision=self.precision, copy=self.copy, quiet=quiet,
        )  # fmt: skip

    def _scrambled(self, key: "Key") -> "Recoder":
        from catch11.recoding.scramble import ScrambleRecoder

        if self.copy is None:
            raise InvalidArgument(
                "--method scramble", expected="--secret FILE beside it", found="none"
            )
        return ScrambleRecoder(key, self.copy, format=self.format)

    def workers(self, asked: int | None) -> int:
        """Threads of the release. Spectral arithmetic runs on one core each: faster than sharing
        them within a picture, and the same bytes on machines with more or fewer."""
        if self.method == "deep":
            return asked or 1
        import torch

        torch.set_num_threads(1)
        return asked or os.cpu_count() or 1

    def _start(self, key: "Key") -> "Literal['noise', 'spectral'] | Tensor":
        if self.start == "noise":
            return "noise"
        if self.start == "spectral":
            return "spectral"
        from catch11.data.windows import folder_windows

        return folder_windows(Path(self.start), key.canvas)


def _radius(text: str) -> "float | Literal['auto', 'least']":
    if text == "auto":
        return "auto"
    if text == "least":
        return "least"
    try:
        return float(text)
    except ValueError:
        known = "auto, least or a number"
        raise InvalidArgument("radius", expected=known, found=repr(text)) from None
