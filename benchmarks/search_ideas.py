"""Other ways to search for features within a tolerance: what they cost and what others then learn.

As benchmarks/search.py, whose cells these are beside: starts of several octaves and of white noise alone, and
the smallest ball that holds the match, found by bisection image by image. From the project's root:

    python benchmarks/search_ideas.py ASSETS --work WORK --idea octaves --within 0.3 --lessons 1000 --tests 500
"""

import argparse
import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from cifar import Lines
from search import taught
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.keys.key import Key
from catch11.recoding.deep.approach import Approach
from catch11.recoding.deep.descent import Descended
from catch11.recoding.deep.recoder import DeepRecoder
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
        held = super().begin
        return Spread(**{f.name: getattr(held, f.name) for f in dataclasses.fields(held)})


class White(DeepRecoder):
    @cached_property
    def begin(self) -> Start:
        held = {f.name: getattr(super(White, self).begin, f.name) for f in dataclasses.fields(Start)}  # fmt: skip
        return Spread(**held, octaves=(max(self.key.canvas.shape),))


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
                ball = dataclasses.replace(self, steps=PATIENCE)
                object.__setattr__(ball, "schedule", dataclasses.replace(self.schedule, first=RADII[place], last=RADII[place], steps=PATIENCE))  # fmt: skip
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--idea", choices=list(IDEAS), nargs="+", default=list(IDEAS))
    parser.add_argument("--within", type=float, default=0.3)
    parser.add_argument("--lessons", type=int, default=1000)
    parser.add_argument("--tests", type=int, default=500)
    asked = parser.parse_args()
    asked.keep = "features"
    torch.set_num_threads(1)
    lines = Lines(asked.work / "lines.jsonl")
    for idea in asked.idea:
        lines.add(
            {"idea": idea, **taught(asked, asked.within, IDEAS[idea], idea.replace(" ", "-"))}
        )


if __name__ == "__main__":
    main()
