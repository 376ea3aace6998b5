"""Other ways to search for features within a tolerance: starts of several octaves and of white noise alone, and
the smallest ball that holds the match, found by bisection image by image."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from catch11 import DeepRecoder, Key
from catch11.crypto.stream import KeyedStream
from catch11.recoding.deep.approach import Approach
from catch11.recoding.deep.descent import Descended
from catch11.recoding.deep.start import Start

RADII = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0)  # 255ths, of which three looks find the least
PATIENCE = 60  # steps in one ball
OCTAVES = (2, 4, 8, 16, 32)  # cells a side


@dataclasses.dataclass(frozen=True, eq=False)
class Spread(Start):
    """Noise of equal strength in several octaves; deviation .25 in all, as white noise has."""

    octaves: tuple[int, ...] = OCTAVES

    def at(self, key: Key, window: Tensor, stream: KeyedStream) -> Tensor:
        channels, height, width = key.canvas.shape
        total = torch.zeros(channels, height, width)
        for side in self.octaves:
            cells = stream.normal((channels, min(side, height), min(side, width)))[None]
            wave = F.interpolate(cells, size=(height, width), mode="bicubic", align_corners=False)
            total += wave[0] / wave.std().clamp_min(1e-6)
        return (0.5 + 0.25 * total / total.std()).clamp(0.0, 1.0)


class Octaves(DeepRecoder):
    @cached_property
    def begin(self) -> Start:
        return Spread(**_settings(super().begin))


class White(DeepRecoder):
    @cached_property
    def begin(self) -> Start:
        return Spread(**_settings(super().begin), octaves=(max(self.key.canvas.shape),))


def _settings(start: Start) -> dict[str, Any]:
    return {field.name: getattr(start, field.name) for field in dataclasses.fields(Start)}


class Bisected(DeepRecoder):
    """Each image in the smallest ball of `RADII` that holds its match; the widest where none does."""

    @cached_property
    def schedule(self) -> Approach:
        found = super().schedule
        assert isinstance(found, Approach)
        return found

    def search(self, windows: Tensor, streams: Sequence[KeyedStream]) -> Descended:
        best, spent = super().search(windows, streams), torch.zeros(len(windows))
        low = torch.zeros(len(windows), dtype=torch.long)
        high = torch.full((len(windows),), len(RADII) - 1)
        points, gaps = best.points.clone(), best.gaps.clone()
        spent += best.steps
        for _ in range(3):
            middle = (low + high) // 2
            for place in middle.unique().tolist():
                some = (middle == place).nonzero().flatten()
                ball, radius = dataclasses.replace(self, steps=PATIENCE), RADII[place]
                schedule = dataclasses.replace(
                    self.schedule, first=radius, last=radius, steps=PATIENCE
                )
                object.__setattr__(ball, "schedule", schedule)
                # A stream is read on as it is used: each look begins with its own anew.
                fresh = [self.stream(windows[i]) for i in some.tolist()]
                found = DeepRecoder.search(ball, windows[some], fresh)
                spent[some] += found.steps
                met = found.gaps >= 0.0
                points[some[met]], gaps[some[met]] = found.points[met], found.gaps[met]
                high[some[met]], low[some[~met]] = place, place + 1
        return dataclasses.replace(best, points=points, gaps=gaps, steps=spent.long())


IDEAS: dict[str, type[DeepRecoder]] = {
    "as it is": DeepRecoder, "octaves": Octaves, "white": White, "bisected": Bisected,
}  # fmt: skip
