"""The pictures, the public model, its copy, and releases made once: what the parts of `copies` work on."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cache import as_bytes, kept
from benchmarks.lines import Lines, right
from catch11 import DeepRecoder, SpectralRecoder, build_key, make_copy
from catch11.attacks.matching import Guess, share_right
from catch11.attacks.tiles import cut
from catch11.attacks.unscramble import restore
from catch11.models.frame import Model
from catch11.recoding.deep.quiet import Quiet, quiet_of
from catch11.recoding.deep.start import FINE
from catch11.recoding.frame import Recoder
from catch11.studies.place import Place
from catch11.studies.trial import SECRET

KEY = bytes([7]) * 32
TILE, BLOCKS = (16, 16), 3
Line = Mapping[str, Any]


class Bench:
    """images: judged by the original."""

    def __init__(self, assets: Path, work: Path, images: int) -> None:
        self.assets, self.cache, self.images, self.part = assets, work, images, ""
        self.place = Place(config="local", assets=assets)
        self.lines = Lines(work / "copies.jsonl")
        self.model: Model = self.place.model("photographs", "deit-tiny")
        shown = self.place.pictures("photographs", 500)
        self.clean, self.labels = shown.windows(self.model.canvas), shown.labels
        self.copy = make_copy(self.model, secret=SECRET)
        self.key = build_key(self.copy.model, secret=KEY)
        self.order = self.copy.scramble
        self.sign = 1.0 - 2.0 * self.order.inverted.double()
        self.truth = Guess(source=self.order.source, sign=self.sign, score=0.0)

    def line(self, name: str, make: Callable[[], Line]) -> Line:
        """What is found now, or was by an earlier run."""
        cell = {"part": self.part, "line": name}
        if not self.lines.has(**cell):
            self.lines.add({**cell, **make()})
        return next(one for one in self.lines.held if cell.items() <= one.items())

    def recoded(self, name: str, recoder: Recoder, clean: Tensor, *, together: int = 16) -> Tensor:
        """Windows recoded as 8-bit files hold them, from the cache or now."""
        return self.kept(name, clean, lambda some: recoder(some).images, together)

    def kept(self, name: str, clean: Tensor, make: Callable[[Tensor], Tensor], together: int = 500) -> Tensor:  # fmt: skip
        work = lambda some: {"images": as_bytes(make(some))}  # noqa: E731
        held = kept(self.cache / f"{name}.pt", clean, work, together=together)
        return held["images"].float() / 255

    def deep(self, radius: str, count: int) -> tuple[Tensor, Tensor]:
        """Deep NTEs of the first pictures for the copy, and the starts they were made from."""
        recoder, clean = self._recoder(radius, None), self.clean[:count]
        made = self.recoded(f"deep-{radius}-{count}", recoder, clean)
        starts = self.kept(f"starts-{radius}-{count}", self.order(clean), partial(_starts, recoder))
        return made, starts

    def quiet(self, radius: str, taught: int, count: int) -> tuple[Tensor, Tensor]:
        """The same of pictures 200 and on, with quiet noise learned from the first `taught` ones."""
        made, starts = self.deep(radius, 500 if radius == "auto" else 96)
        learned = quiet_of((made - starts)[:taught], TILE, variance=FINE**2)
        recoder, clean = self._recoder(radius, learned), self.clean[200 : 200 + count]
        made = self.recoded(f"quiet-{radius}-{count}", recoder, clean)
        starts = self.kept(f"begun-{radius}-{count}", self.order(clean), partial(_starts, recoder))
        return made, starts

    def _recoder(self, radius: str, quiet: Quiet | None) -> DeepRecoder:
        limit = "auto" if radius == "auto" else float(radius)
        return DeepRecoder(
            self.copy.model, self.key, radius=limit, copy=self.copy.secret, quiet=quiet,  # type: ignore[arg-type]
        )  # fmt: skip

    def spectral(self, which: slice) -> Tensor:
        """Spectral NTEs of pictures for the copy."""
        recoder = SpectralRecoder(self.key, psnr=10.0, copy=self.copy.secret)
        return self.recoded(f"spectral-{which.start}-{which.stop}", recoder, self.clean[which])

    def hits(self, reader: Model, windows: Tensor, which: slice) -> Line:
        """Accuracy with its interval."""
        given = reader.logits(reader.canvas.normalise(as_file(windows)), batch=16).argmax(1)
        return right(given == self.labels[which])

    def judge(self, name: str, find: Callable[[], Guess], released: Tensor) -> None:
        """A line: the share of places found, and what the original reads once the files are undone."""
        self.line(name, lambda: self.judged(find(), released))

    def judged(self, guess: Guess, released: Tensor) -> Line:
        which = slice(0, min(self.images, len(released)))
        found = share_right(guess, self.order.source, self.sign)
        return {"places": found, **self.undone(guess, released[which], which)}

    def undone(self, guess: Guess, released: Tensor, which: slice) -> Line:
        """What the original reads, the better of two turns."""
        both = [restore(released, TILE, guess, turned=turned) for turned in (False, True)]
        return max((self.hits(self.model, w, which) for w in both), key=lambda one: one["accuracy"])


def as_file(windows: Tensor) -> Tensor:
    """What 8 bits hold of them."""
    return (windows.clamp(0, 1) * 255).round() / 255


def into_front(model: Model, recoded: Tensor, clean: Tensor, size: tuple[int, int]) -> Tensor:
    """A linear map of tiles into a model's front, learned from pairs, ridged: a row's is row @ map."""
    weight = model.front().weight.flatten(1)
    one, two = (cut(part, size).flatten(0, 1) - 0.5 for part in (recoded, clean))
    weight = weight.to(one)
    gram = one.T @ one
    gram = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram, one.T @ (two @ weight.T))
    return solution @ torch.linalg.pinv(weight).T


def _starts(recoder: DeepRecoder, windows: Tensor) -> Tensor:
    streams = [recoder.stream(window) for window in windows]
    pairs = zip(windows, streams, strict=True)
    return torch.stack([recoder.begin.at(recoder.key, w, s) for w, s in pairs])
