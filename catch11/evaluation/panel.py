"""Probe pictures, the models that answer them, and what a setting of a recoder does to the answers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.data.folder import walk
from catch11.data.selection import spread
from catch11.data.windows import as_pictures, readable
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, matches
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.recoding.keep import ALL

Setting = Mapping[str, float | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a setting did to the probe. psnr: mean dB as measured; kept: of the authorized model's
    answers, where more is to be kept of files that keep it too; rivals: of theirs, by name; shift: mean relative front shift; unseen: directions of the
    key's subspace, 0 for deep."""

    setting: Setting
    psnr: float
    kept: Interval
    rivals: Mapping[str, Interval]
    shift: float
    unseen: int = 0

    @property
    def rival(self) -> float:
        """The best rival's share; 0 where none was run."""
        return max((interval.estimate for interval in self.rivals.values()), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "setting": dict(self.setting),
            "psnr": self.psnr,
            "kept": _ends(self.kept),
            "rivals": {name: _ends(interval) for name, interval in self.rivals.items()},
            "shift": self.shift,
            "unseen": self.unseen,
        }


class Panel:
    """The probe, the models, and their answers to the originals."""

    def __init__(
        self, model: Model, rivals: Sequence[Model], probe: str | os.PathLike[str], count: int
    ) -> None:
        if count < 1:
            raise InvalidArgument("count", expected="1 or more", found=count)
        files = walk(probe).files
        evenly = spread(files, count)
        order = (*evenly, *sorted({*files} - {*evenly}))  # for some may be unreadable
        found = list(islice(readable(probe, model.canvas, files=order), count))
        if not found:
            raise InvalidArgument("probe", expected="readable pictures", found=f"none in {probe}")
        pictures, windows = zip(*found, strict=True)
        self.model = model
        self.rivals = {rival.name: rival for rival in rivals}
        self.windows = torch.cat(windows)
        self.clean = self._answers(self.windows)
        self.theirs = {
            name: rival.logits(rival.preprocess(pictures)).argmax(1)
            for name, rival in self.rivals.items()
        }

    def trial(self, setting: Setting, recoder: Recoder, key: Key | None) -> Trial:
        """One setting on the whole probe, a chunk at a time."""
        made = [recoder(part) for part in self.windows.split(recoder.batch)]
        images = torch.cat([part.images for part in made])
        hits = matches(self._answers(images), self.clean)
        if recoder.keeps.what != ALL:
            broken = (recoder.keeps.broken(far) for part in made for far in part.distances)
            hits = tuple(hit and why is None for hit, why in zip(hits, broken, strict=True))
        decibels = [value for part in made for value in part.psnr]
        shifts = [value for part in made for value in part.front_shift]
        return Trial(
            setting=setting,
            psnr=sum(decibels) / len(decibels),
            kept=accuracy(hits),
            rivals={
                name: accuracy(matches(_seen(rival, images, self.model.canvas), self.theirs[name]))
                for name, rival in self.rivals.items()
            },
            shift=sum(shifts) / len(shifts),
            unseen=0 if key is None else key.subspace.dimension,
        )

    def _answers(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, " batch"]:
        return self.model.logits(self.model.canvas.normalise(windows)).argmax(1)


def _seen(rival: Model, windows: Tensor, canvas: Canvas) -> Tensor:
    """A rival's answers to released windows, each framed with its own edge to the canvas."""
    return rival.logits(rival.preprocess(as_pictures(windows, canvas))).argmax(1)


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "estimate": interval.estimate, "high": interval.high}
