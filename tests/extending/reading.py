"""A kind of data from outside the package: readings of a meter, numbers in lines of a .dat file.

What is here is known to the lower rooms by name: a form, a recoder, a pipeline, and a model that reads.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import decibels
from catch11.canvas.plain import strip_canvas
from catch11.crypto.stream import KeyedStream
from catch11.data.folder import walk
from catch11.data.pictures import read_source
from catch11.errors import UnreadableSource
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.keys.key import Key
from catch11.recoding.frame import Domain, Recoder
from catch11.recoding.registry import registered
from catch11.releases.form import Form
from catch11.releases.pipeline import Draft, Pipeline, Request

READING, NUMBERS, STEPS = "reading", 24, 1e4


@dataclass(frozen=True, kw_only=True, eq=False)
class Meter:
    """A net of windows (n, 1, 1, number), as any authorized model."""

    modality: ClassVar[str] = READING
    canvas: ClassVar[Canvas] = strip_canvas(NUMBERS)
    labels: ClassVar[tuple[str, ...]] = ("low", "high")
    device: ClassVar[str] = "cpu"

    name: str
    spec: str
    fingerprint: str
    module: nn.Module

    def front(self, layer: str | None = None) -> Front:
        return find_front(self.module, self.canvas, layer=layer)

    def answers(self, readings: Tensor) -> list[int]:
        found: list[int] = self.module(readings.float()).argmax(1).tolist()
        return found


class Dat(Form[Tensor, Tensor]):
    """Four digits behind the point."""

    name, suffix = "dat", ".dat"

    def encode(self, meant: Tensor, canvas: Canvas) -> bytes:
        return "".join(f"{value:.4f}\n" for value in meant.flatten().tolist()).encode()

    def decode(self, data: bytes, canvas: Canvas) -> Tensor:
        values = [float(line) for line in data.decode("ascii").split()]
        if len(values) != NUMBERS:
            raise ValueError(f"it holds {len(values)} numbers, expected {NUMBERS}")
        return torch.tensor(values, dtype=torch.float64).view(1, 1, NUMBERS)

    def same(self, meant: Tensor, read: Tensor) -> bool:
        return torch.equal(meant, read)


DAT = Dat()


class ReadingDomain(Domain[Tensor]):
    purpose: ClassVar[str] = "recode reading"
    format = DAT.name

    def __init__(self, key: Key) -> None:
        self._weight = key.front.weight.flatten(1).double()

    def clean(self, items: Tensor) -> Tensor:
        return items.double()

    def content(self, item: Tensor) -> tuple[bytes, ...]:
        return (item.numpy().tobytes(),)

    def rounded(self, made: Tensor) -> Tensor:
        return (made * STEPS).round() / STEPS

    def psnr(self, made: Tensor, clean: Tensor) -> float:
        return float(decibels((made - clean).square().mean()))

    def shift(self, made: Tensor, seen: Tensor) -> float:
        moved, there = (self._weight @ v.flatten() for v in (made - seen, seen))
        return float(moved.norm() / there.norm())


@registered(READING, usual=True)
@dataclass(frozen=True, eq=False)
class Still(Recoder[Tensor]):
    """Noise that the front does not see."""

    method: ClassVar[str] = "still"

    key: Key
    _: KW_ONLY
    amplitude: float = 3.0

    @cached_property
    def domain(self) -> ReadingDomain:
        return ReadingDomain(self.key)

    def run(
        self, items: Tensor, streams: Sequence[KeyedStream]
    ) -> tuple[Tensor, Sequence[str | None]]:
        noise = torch.stack([stream.normal(tuple(items.shape[1:])) for stream in streams])
        inside = self.key.subspace.project(noise.to(items))
        return items + self.amplitude * inside, [None] * len(items)


class Readings(Pipeline[Tensor, Tensor]):
    """The .dat files of a folder."""

    noun: ClassVar[str] = READING

    def __init__(self, source: Path, asked: Request) -> None:
        folder = walk(source)
        self.form, self.names, self.problems = DAT, folder.files, folder.problems
        self._root, self._asked = source, asked

    @classmethod
    def open(cls, source: Path, asked: Request) -> "Readings":
        return cls(source, asked)

    def data(self, name: str) -> bytes:
        return read_source(self._root / name)

    def read(self, name: str, data: bytes) -> Tensor:
        try:
            return DAT.decode(data, strip_canvas(NUMBERS))
        except ValueError as error:
            raise UnreadableSource(name, str(error)) from None

    def recode(self, items: Sequence[Tensor]) -> list[Draft[Tensor]]:
        made = self._asked.recoder(torch.stack(list(items)))
        rows = zip(made.items, made.psnr, made.front_shift, strict=True)
        return [Draft(value=v, psnr=psnr, front_shift=shift) for v, psnr, shift in rows]

    def judge(
        self, items: Sequence[Tensor], made: Sequence[Draft[Tensor]], files: Sequence[bytes]
    ) -> list[Draft[Tensor]]:
        read = [DAT.decode(data, strip_canvas(NUMBERS)) for data in files]
        before, after = (self._asked.check.answers(torch.stack(list(v))) for v in (items, read))
        return [
            one if a == b else Draft(reason="it is read otherwise")
            for one, a, b in zip(made, before, after, strict=True)
        ]


def meter(seed: int) -> Any:
    """A net of random weights."""
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(NUMBERS, 3), nn.Linear(3, 2))
    for weight in net.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
        weight.requires_grad_(False)
    return net.eval()
