"""What a personalised copy of DeiT-tiny keeps, and how many files, labels or pairs give its order away.

`python benchmarks/copies.py PART… --assets A [--cache DIR] [--images N]`, parts in any order:

reads      deep NTEs for the copy, read by the copy, the original and its siblings (study siblings)
scramble   the order from files of the plain mode, and from pairs
spectral   the same for spectral NTEs at 10 dB
deep       the same for deep NTEs; soft orders and a linear front, without and with labels
trace      what deep NTEs print on tiles: correlation with what was added, and what climbs find
extrapolate  the same climb with the noise of more files than were made
quiet      how much of the print is left with quiet noise

Releases are kept in the cache and taken up again. Everything favours the attacker where it says so.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from catch11.attacks.adaptation import Reader, TileFront, fit
from catch11.attacks.matching import (
    Guess,
    climb,
    matrix_of,
    share_right,
    traits,
)
from catch11.attacks.recovery import Tuned, covariance, matched, tuned_order, without_coarse
from catch11.attacks.tiles import cut, paste
from catch11.attacks.unscramble import lay_out, order_of, recover, restore
from catch11.key import build_key
from catch11.metrics import accuracy
from catch11.models.frame import Model
from catch11.personalize import make_copy
from catch11.recode.deep import DeepRecoder
from catch11.recode.quiet import quiet_of
from catch11.recode.spectral import SpectralRecoder
from catch11.recode.start import FINE
from catch11.studies.place import Place
from catch11.studies.siblings import siblings

SECRET, KEY = bytes(range(32)), bytes([7]) * 32
TILE, BLOCKS = (16, 16), 3
PUBLIC, TRAINED = slice(300, 380), slice(100, 500)


class Bench:
    """The pictures, the public model, its copy, and releases made once."""

    def __init__(self, assets: Path, cache: Path, images: int) -> None:
        self.place, self.cache, self.images = Place(config="local", assets=assets), cache, images
        cache.mkdir(parents=True, exist_ok=True)
        self.model: Model = self.place.model("photographs", "deit-tiny")
        shown = self.place.pictures("photographs", 500)
        self.clean, self.labels = shown.windows(self.model.canvas), shown.labels
        self.copy = make_copy(self.model, secret=SECRET)
        self.order = self.copy.scramble
        self.sign = 1.0 - 2.0 * self.order.inverted.double()
        self.truth = Guess(source=self.order.source, sign=self.sign, score=0.0)

    def kept(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Windows from the cache, as 8-bit files hold them, or made now."""
        path = self.cache / f"{name}.pt"
        if not path.exists():
            torch.save((make() * 255).round().byte(), path)
        return torch.load(path).float() / 255

    def deep(self, radius: str, count: int) -> tuple[Tensor, Tensor]:
        """Deep NTEs for the copy, and the starts they were made from."""
        limit = "auto" if radius == "auto" else float(radius)
        recoder = DeepRecoder(
            self.copy.model, build_key(self.copy.model, secret=KEY), radius=limit,  # type: ignore[arg-type]
            copy=self.copy.secret,
        )  # fmt: skip
        clean = self.clean[:count]
        made = self.kept(f"deep-{radius}-{count}", lambda: _by_chunks(recoder, clean))
        starts = self.kept(f"starts-{radius}-{count}", lambda: _starts(recoder, self.order(clean)))
        return made, starts

    def spectral(self, which: slice, *, ours: bool) -> Tensor:
        """Spectral NTEs of pictures: for the copy, or an attacker's for the original."""
        model, copy = (self.copy.model, self.copy.secret) if ours else (self.model, None)
        recoder = SpectralRecoder(build_key(model, secret=KEY), psnr=10.0, copy=copy)
        name = f"spectral-{ours}-{which.start}-{which.stop}"
        return self.kept(name, lambda: _by_chunks(recoder, self.clean[which]))

    def hits(self, reader: Model, windows: Tensor, which: slice) -> str:
        """Accuracy with its interval."""
        windows = (windows.clamp(0, 1) * 255).round() / 255
        given = reader.logits(reader.canvas.normalise(windows), batch=16).argmax(1)
        share = accuracy(tuple(bool(hit) for hit in given == self.labels[which]))
        return f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}] n={len(given)}"

    def judge(self, name: str, guess: Guess, released: Tensor) -> None:
        """Print the share of places found, and what the original reads once the files are undone."""
        right = share_right(guess, self.order.source, self.sign)
        which = slice(0, min(self.images, len(released)))
        both = [restore(released[which], TILE, guess, turned=turn) for turn in (False, True)]
        best = max(self.hits(self.model, windows, which) for windows in both)
        print(f"{name}: {right:.3f} of the places, the original reads {best}", flush=True)


def _by_chunks(recoder: DeepRecoder | SpectralRecoder, clean: Tensor) -> Tensor:
    return torch.cat([recoder(part).images for part in clean.split(16)])


def _starts(recoder: DeepRecoder, windows: Tensor) -> Tensor:
    streams = [recoder._stream("recode", window) for window in windows]
    pairs = zip(windows, streams, strict=True)
    return torch.stack([recoder.start.at(recoder.key, w, s) for w, s in pairs])


def reads(bench: Bench) -> None:
    made, _ = bench.deep("auto", 500)
    readers = {"copy": bench.copy.model} | {
        one.name: one for one, _ in siblings(bench.place).values()
    }
    for name, reader in readers.items():
        clean = (
            "" if name == "copy" else f"clean {bench.hits(reader, bench.clean, slice(0, 500))}, "
        )
        print(f"{name}: {clean}released {bench.hits(reader, made, slice(0, 500))}", flush=True)


def scramble(bench: Bench) -> None:
    released, known = bench.order(bench.clean), traits(bench.clean[PUBLIC], TILE)
    for count in (2, 4, 8, 16):
        guess = recover(traits(released[:count], TILE), known, blocks=BLOCKS)
        bench.judge(f"seriation, {count} files", guess, released)
    bench.judge("jigsaw, 24 files", lay_out(traits(released[:24], TILE), TILE, 3), released)
    pair = order_of(bench.clean[400:401], released[400:401], TILE, BLOCKS)
    bench.judge("1 pair", pair, released)


def spectral(bench: Bench) -> None:
    released = bench.spectral(slice(0, 100), ours=True)
    known = traits(bench.spectral(slice(300, 360), ours=False), TILE)
    for count in (4, 8, 16, 32, 64):
        guess = recover(traits(released[:count], TILE), known, blocks=BLOCKS)
        bench.judge(f"matching, {count} files, 60 simulated", guess, released)
    pairs = bench.spectral(slice(400, 416), ours=True)
    for count in (1, 2, 4, 8):
        guess = order_of(bench.clean[400 : 400 + count], pairs[:count], TILE, BLOCKS)
        bench.judge(f"order from {count} pairs", guess, released)
    for count in (1, 2, 4, 8, 16):
        _mapped(bench, bench.clean[400 : 400 + count], pairs[:count], released)


def _mapped(bench: Bench, clean: Tensor, recoded: Tensor, released: Tensor) -> None:
    """A linear map into the original's front, learned from pairs."""
    weight = bench.model.front().weight.flatten(1)
    one, two = (cut(part, TILE).flatten(0, 1) - 0.5 for part in (recoded, clean))
    gram = one.T @ one
    gram = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram, one.T @ (two @ weight.T))
    which = slice(0, min(bench.images, len(released)))
    tiles = (cut(released[which], TILE) - 0.5) @ solution @ torch.linalg.pinv(weight).T + 0.5
    read = bench.hits(bench.model, paste(tiles, released[which], TILE), which)
    print(f"map from {len(clean)} pairs: the original reads {read}", flush=True)


def deep(bench: Bench) -> None:
    released, _ = bench.deep("auto", 500)
    known = traits(bench.clean[PUBLIC], TILE)
    bench.judge(
        "seriation, 100 files",
        recover(traits(released[:100], TILE), known, blocks=BLOCKS),
        released,
    )
    for count in (100, 400):
        which = slice(100, 100 + count)
        bench.judge(
            f"order from {count} pairs",
            order_of(bench.clean[which], released[which], TILE, BLOCKS),
            released,
        )
        _mapped(bench, bench.clean[which], released[which], released)
    for labels in (None, bench.labels[TRAINED]):
        torch.manual_seed(0)
        guess = tuned_order(
            bench.model, released[TRAINED], labels, TILE, BLOCKS, Tuned(), generator=_seeded()
        )
        bench.judge(
            f"soft order, 400 files, {'no ' if labels is None else ''}labels", guess, released
        )
    front = TileFront(3, 16)
    reader = Reader(bench.model, front=front)
    reader.body.requires_grad_(False)
    fit(
        reader, torch.optim.Adam(front.parameters(), lr=1e-3), released[TRAINED], bench.labels[TRAINED],
        epochs=2, batch=16, end=time.process_time() + 600.0, generator=_seeded(),
    )  # fmt: skip
    which = slice(0, min(bench.images, 100))
    with torch.no_grad():
        answers = torch.cat([reader(part).argmax(1) for part in released[which].split(16)])
    print(f"linear front, 400 labels: {float((answers == bench.labels[which]).float().mean()):.3f}")


def trace(bench: Bench) -> None:
    """The attacker knows what was added to these very files, in the original's order: more than one
    can know by simulating."""
    for radius, count in (("auto", 500), ("8", 96), ("16", 96), ("32", 96), ("255", 64)):
        released, starts = bench.deep(radius, count)
        known = covariance(bench.order.undo(released - starts + 0.5) - 0.5, TILE)
        found = covariance(without_coarse(released), TILE)
        _climbed(bench, f"radius {radius}, {count} files", found, known, released)


def _climbed(
    bench: Bench, name: str, found: Tensor, known: Tensor, released: Tensor | None
) -> None:
    turn = matrix_of(bench.truth)
    score = float((found * (turn @ known @ turn.T)).sum() / found.norm() / known.norm())
    near = climb([found], [known], turn, blocks=BLOCKS, rounds=8)
    guess = matched(found, known, blocks=BLOCKS, starts=4, generator=_seeded())
    right = share_right(guess, bench.order.source, bench.sign)
    print(
        f"{name}: true order scores {score:.3f}, the hill it stands on {near.score:.3f}, the best of four "
        f"climbs {guess.score:.3f} with {right:.3f} of the places",
        flush=True,
    )
    if released is not None:
        bench.judge("  undone", guess, released)


def extrapolate(bench: Bench) -> None:
    """The print of 500 files, and the noise that the starts of more files would leave on it."""
    released, starts = bench.deep("auto", 500)
    known = covariance(bench.order.undo(released - starts + 0.5) - 0.5, TILE)
    spread = covariance(without_coarse(starts), TILE).std() * 500**0.5
    turn, generator = matrix_of(bench.truth), _seeded()
    for files in (1000, 3000, 30000):
        noise = torch.randn(known.shape, generator=generator).double()
        noise = (noise + noise.T) / 2**0.5 * spread / files**0.5
        found = turn @ known @ turn.T + noise - torch.diag(noise.diagonal())
        _climbed(bench, f"{files} files", found, known, None)


def quiet(bench: Bench) -> None:
    released, starts = bench.deep("auto", 500)
    learned = quiet_of((released - starts)[:200], TILE, variance=FINE**2)
    key = build_key(bench.copy.model, secret=KEY)
    recoder = DeepRecoder(bench.copy.model, key, copy=bench.copy.secret, quiet=learned)
    clean = bench.clean[200:264]
    made = bench.kept("quiet", lambda: _by_chunks(recoder, clean))
    begun = bench.kept("quiet-starts", lambda: _starts(recoder, bench.order(clean)))
    added = covariance(made - begun, TILE)
    factor = learned.factor.double()
    hidden = FINE**2 * (factor @ factor)
    hidden = hidden - torch.diag(hidden.diagonal())
    left = float(((added + hidden) * added).sum() / added.square().sum())
    print(f"64 files: {left:.3f} of the print is left by quiet noise learned from 200 others")


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


PARTS = {f.__name__: f for f in (reads, scramble, spectral, deep, trace, extrapolate, quiet)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("copies-cache"))
    parser.add_argument("--images", type=int, default=100, help="judged by the original")
    given = parser.parse_args()
    bench = Bench(given.assets, given.cache, given.images)
    for part in given.parts:
        print(f"# {part}", flush=True)
        PARTS[part](bench)


if __name__ == "__main__":
    main()
