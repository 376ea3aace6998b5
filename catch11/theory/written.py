"""How far the files that `recode` writes move a first layer: measured on pictures, for one more.

The recoder's own noise takes the picture's content away, and the box of a file moves it again: no
closed law describes that. So pictures are recoded with the key's own settings, and the range of
what they did holds one more picture of the same kind with a stated confidence.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Format
from catch11.data.folder import walk
from catch11.data.windows import readable
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.fronts.front import Front
from catch11.keys.key import Key
from catch11.kinds import IMAGE
from catch11.recoding.spectral.noise import Noise
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.theory.bounds import Bound, fronts_of
from catch11.theory.prediction import next_one

_MOST = 8  # pictures whose part outside the subspace is measured: a convolution's takes seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What some recoded pictures did. noise: as `--noise` and `--format` name it. psnr: dB, peak 1, as
    read from the files. outside: share of ‖δ‖ that lies outside the subspace, of the first few.
    bounds: the front shift of one more file, a model each."""

    noise: str
    pictures: int
    psnr: Interval
    outside: Interval
    bounds: tuple[Bound, ...]

    def to_dict(self) -> dict[str, object]:
        """A JSON object, without the bounds."""
        return {
            "noise": self.noise,
            "pictures": self.pictures,
            **{name: _ends(getattr(self, name)) for name in ("psnr", "outside")},
        }


def bounds_of_files(
    key: Key,
    windows: Float[Tensor, "batch channel height width"],
    *,
    psnr: float,
    noise: Noise = "content",
    format: Format = "png8",
    confidence: float = 0.95,
    rivals: Mapping[str, Front] | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Written:
    """Front shifts ‖A(x̃ − x)‖₂ of one more picture, recoded as these were: rounding, box, and strength
    as reached. Windows must be draws of one kind, and the next picture another of it.

    psnr: dB asked for. rivals: fronts by name. tick: told how many are done. Raises
    InvalidArgument for fewer than two windows, keys of other data than pictures, personalised copies.
    """
    check_drawable(key)
    if len(windows) < 2:
        raise InvalidArgument("pictures", expected="two or more", found=len(windows))
    fronts = fronts_of(key, rivals)
    recoder = SpectralRecoder(key, psnr=psnr, noise=noise, format=format)
    shifts: dict[str, list[float]] = {name: [] for name in fronts}
    strength: list[float] = []
    first: list[Tensor] = []
    for done, window in enumerate(windows.split(1), 1):
        made = recoder(window)
        moved = (made.images - window).double()
        strength += made.psnr
        for name, front in fronts.items():
            shifts[name].append(float(front.apply(moved).norm()))
        if done <= _MOST:
            first.append(moved)
        if tick is not None:
            tick(done, len(windows))
    kind = f"{noise}, {format}"
    deltas = torch.cat(first)
    beside = (deltas - key.subspace.project(deltas)).flatten(1).norm(dim=1)
    outside = (beside / deltas.flatten(1).norm(dim=1).clamp(min=1e-30)).tolist()
    says = "holds for one more such picture, recoded with these settings"
    return Written(
        noise=kind,
        pictures=len(windows),
        psnr=next_one(strength, confidence=confidence),
        outside=next_one(outside, confidence=confidence),
        bounds=tuple(
            Bound(
                name="recoded",
                of=name,
                noise=kind,
                interval=next_one(
                    found, confidence=confidence, assumptions=("one more picture of these",)
                ),
                says=says,
            )
            for name, found in shifts.items()
        ),
    )


def check_drawable(key: Key) -> None:
    """Raises InvalidArgument for a key whose files cannot be drawn here."""
    if key.modality != IMAGE:
        raise InvalidArgument("key", expected="one of pictures", found=f"one of {key.modality}")
    if key.private:
        raise InvalidArgument(
            "key", expected="one that recodes pictures as they are",
            found="one of a personalised copy, which scrambles them first",
        )  # fmt: skip


def pictures_of(
    source: str | os.PathLike[str], canvas: Canvas, count: int, *, generator: torch.Generator
) -> Float[Tensor, "batch channel height width"]:
    """Windows of `count` pictures of a folder, drawn without putting back; all where it has fewer.
    Other files are passed over. Raises InvalidArgument where there is no picture."""
    files = walk(source).files
    order = [files[place] for place in torch.randperm(len(files), generator=generator).tolist()]
    windows = [window for _, window in islice(readable(source, canvas, files=order), count)]
    if not windows:
        raise InvalidArgument("source", expected="pictures", found="none")
    return torch.cat(windows)


def _ends(interval: Interval) -> dict[str, float]:
    names = ("low", "estimate", "high", "confidence")
    return {name: getattr(interval, name) for name in names}
