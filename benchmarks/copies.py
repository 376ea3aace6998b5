"""What a personalised copy of DeiT-tiny keeps, and how many files, labels or pairs give its order away.

`python benchmarks/copies.py PART… --assets A [--cache DIR] [--images N]`, or `all`:

reads        deep NTEs for the copy, read by the copy, the original and its siblings (study siblings)
scramble     the order from files of the plain mode, and from pairs
spectral     the same for spectral NTEs at 10 dB
deep         the same for deep NTEs; soft orders and a linear front, without and with labels
suite        every attack of the suite that needs neither labels nor pairs, on deep NTEs
radii        what deep NTEs of each radius print on tiles, and what climbs find; with quiet noise too
extrapolate  the same climb with the noise of more files than were made
counts       labelled files and pairs, up to thousands, for a small transformer on CIFAR-10

Lines and releases are kept in the cache, so that a stopped run goes on. Everything favours the attacker
where it says so.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import cache as once
from pathlib import Path

import torch
from copies_counts import counts
from torch import Tensor

from catch11.attacks.adaptation import Reader, TileFront, fit
from catch11.attacks.frame import Attack, Jury, Material, Unsuited, attack_names, attack_of
from catch11.attacks.jury import window_jury
from catch11.attacks.matching import (
    Guess,
    climb,
    matrix_of,
    share_right,
    traits,
)
from catch11.attacks.nets import Clock
from catch11.attacks.recovery import (
    Tuned,
    covariance,
    matched,
    tuned_order,
    without_coarse,
)
from catch11.attacks.tiles import cut, paste
from catch11.attacks.unscramble import lay_out, order_of, recover, recover_seen, restore
from catch11.copies.personalize import make_copy
from catch11.evaluation.metrics import accuracy
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.recoding.deep.quiet import Quiet, quiet_of
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.deep.start import FINE
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.place import Place
from catch11.studies.siblings import DRIFTS, siblings

SECRET, KEY = bytes(range(32)), bytes([7]) * 32
TILE, BLOCKS = (16, 16), 3
STARTS = 4  # climbs
PUBLIC, TRAINED = slice(300, 380), slice(100, 500)


class Bench:
    """The pictures, the public model, its copy, and releases made once."""

    def __init__(self, assets: Path, cache: Path, images: int) -> None:
        self.place, self.cache, self.images = Place(config="local", assets=assets), cache, images
        self.assets, self.part = assets, ""
        cache.mkdir(parents=True, exist_ok=True)
        self.done: dict[str, str] = {}
        if (cache / "lines.jsonl").exists():
            rows = map(json.loads, (cache / "lines.jsonl").read_text().splitlines())
            self.done = {row["line"]: row["found"] for row in rows}
        self.model: Model = self.place.model("photographs", "deit-tiny")
        shown = self.place.pictures("photographs", 500)
        self.clean, self.labels = shown.windows(self.model.canvas), shown.labels
        self.copy = make_copy(self.model, secret=SECRET)
        self.order = self.copy.scramble
        self.sign = 1.0 - 2.0 * self.order.inverted.double()
        self.truth = Guess(source=self.order.source, sign=self.sign, score=0.0)

    def line(self, name: str, make: Callable[[], str]) -> str:
        """Print a line, found now or by an earlier run."""
        whole = f"{self.part}: {name}"
        if whole not in self.done:
            began = time.process_time()
            self.done[whole] = make()
            row = {"line": whole, "found": self.done[whole], "seconds": time.process_time() - began}
            with (self.cache / "lines.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
        print(f"{name}: {self.done[whole]}", flush=True)
        return self.done[whole]

    def kept(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Windows from the cache, as 8-bit files hold them, or made now."""
        path = self.cache / f"{name}.pt"
        if not path.exists():
            torch.save((make() * 255).round().byte(), path)
        return torch.load(path).float() / 255

    def recoded(self, name: str, recoder: Recoder, clean: Tensor, *, together: int = 16) -> Tensor:
        """Windows recoded some at a time, so that a stop loses only those."""

        def part(number: int) -> Tensor:
            some = clean[number * together : (number + 1) * together]
            return self.kept(f"{name}.{number}", lambda: recoder(some).images)

        return self.kept(
            name, lambda: torch.cat([part(i) for i in range(-(-len(clean) // together))])
        )

    def deep(self, radius: str, count: int) -> tuple[Tensor, Tensor]:
        """Deep NTEs of the first pictures for the copy, and the starts they were made from."""
        recoder, clean = self._recoder(radius, None), self.clean[:count]
        made = self.recoded(f"deep-{radius}-{count}", recoder, clean)
        starts = self.kept(f"starts-{radius}-{count}", lambda: _starts(recoder, self.order(clean)))
        return made, starts

    def quiet(self, radius: str, taught: int, count: int) -> tuple[Tensor, Tensor]:
        """The same of pictures 200 and on, with quiet noise learned from the first `taught` ones."""
        made, starts = self.deep(radius, 500 if radius == "auto" else 96)
        learned = quiet_of((made - starts)[:taught], TILE, variance=FINE**2)
        recoder, clean = self._recoder(radius, learned), self.clean[200 : 200 + count]
        made = self.recoded(f"quiet-{radius}-{count}", recoder, clean)
        starts = self.kept(f"begun-{radius}-{count}", lambda: _starts(recoder, self.order(clean)))
        return made, starts

    def _recoder(self, radius: str, quiet: Quiet | None) -> DeepRecoder:
        limit = "auto" if radius == "auto" else float(radius)
        key = build_key(self.copy.model, secret=KEY)
        return DeepRecoder(
            self.copy.model, key, radius=limit, copy=self.copy.secret, quiet=quiet,  # type: ignore[arg-type]
        )  # fmt: skip

    def spectral(self, which: slice) -> Tensor:
        """Spectral NTEs of pictures for the copy."""
        key = build_key(self.copy.model, secret=KEY)
        recoder = SpectralRecoder(key, psnr=10.0, copy=self.copy.secret)
        name = f"spectral-True-{which.start}-{which.stop}"
        return self.recoded(name, recoder, self.clean[which])

    def hits(self, reader: Model, windows: Tensor, which: slice) -> str:
        """Accuracy with its interval."""
        windows = (windows.clamp(0, 1) * 255).round() / 255
        given = reader.logits(reader.canvas.normalise(windows), batch=16).argmax(1)
        share = accuracy(tuple(bool(hit) for hit in given == self.labels[which]))
        return f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}] n={len(given)}"

    def judge(self, name: str, find: Callable[[], Guess], released: Tensor) -> None:
        """A line: the share of places found, and what the original reads once the files are undone."""
        self.line(name, lambda: self.judged(find(), released))

    def judged(self, guess: Guess, released: Tensor) -> str:
        right = share_right(guess, self.order.source, self.sign)
        which = slice(0, min(self.images, len(released)))
        both = [restore(released[which], TILE, guess, turned=turn) for turn in (False, True)]
        best = max(self.hits(self.model, windows, which) for windows in both)
        return f"{right:.3f} of the places, the original reads {best}"


def _starts(recoder: DeepRecoder, windows: Tensor) -> Tensor:
    streams = [recoder.stream(window) for window in windows]
    pairs = zip(windows, streams, strict=True)
    return torch.stack([recoder.begin.at(recoder.key, w, s) for w, s in pairs])


def reads(bench: Bench) -> None:
    made, _ = bench.deep("auto", 500)
    every = slice(0, 500)
    bench.line("copy, released", lambda: bench.hits(bench.copy.model, made, every))
    for drift in DRIFTS:
        for name, windows in (("clean", bench.clean), ("released", made)):
            bench.line(
                f"original drifted by {drift:.1%}, {name}",
                lambda drift=drift, windows=windows: _read(bench, drift, windows),  # type: ignore[misc]
            )


def _read(bench: Bench, drift: float, windows: Tensor) -> str:
    reader, moved = siblings(bench.place, bench.cache)[drift]
    return f"{bench.hits(reader, windows, slice(0, 500))}, first layer moved by {moved:.4f}"


def scramble(bench: Bench) -> None:
    released = bench.order(bench.clean)
    known = once(lambda: traits(bench.clean[PUBLIC], TILE))
    for count in (2, 4, 8, 16):
        bench.judge(
            f"seriation, {count} files",
            lambda n=count: recover(traits(released[:n], TILE), known(), blocks=BLOCKS),  # type: ignore[misc]
            released,
        )
    bench.judge("jigsaw, 24 files", lambda: lay_out(traits(released[:24], TILE), TILE, 3), released)
    one = slice(400, 401)
    bench.judge("1 pair", lambda: order_of(bench.clean[one], released[one], TILE, BLOCKS), released)


def spectral(bench: Bench) -> None:
    released = bench.spectral(slice(0, 100))
    simulate = SpectralRecoder(build_key(bench.model, secret=KEY), psnr=10.0)
    known = once(lambda: bench.recoded("own", simulate, bench.clean[300:360]))
    for count in (1, 2, 3, 4, 8, 16, 64):
        bench.judge(
            f"matching, {count} files, 60 simulated",
            lambda n=count: recover_seen(released[:n], known(), TILE, blocks=BLOCKS),  # type: ignore[misc]
            released,
        )
    pairs = bench.spectral(slice(400, 416))
    for count in (1, 2, 4, 8):
        some = slice(400, 400 + count)
        bench.judge(
            f"order from {count} pairs",
            lambda n=count, s=some: order_of(bench.clean[s], pairs[:n], TILE, BLOCKS),  # type: ignore[misc]
            released,
        )
        bench.line(
            f"map from {count} pairs",
            lambda n=count, s=some: _mapped(bench, bench.clean[s], pairs[:n], released),  # type: ignore[misc]
        )


def _mapped(bench: Bench, clean: Tensor, recoded: Tensor, released: Tensor) -> str:
    """A linear map into the original's front, learned from pairs."""
    weight = bench.model.front().weight.flatten(1)
    one, two = (cut(part, TILE).flatten(0, 1) - 0.5 for part in (recoded, clean))
    gram = one.T @ one
    gram = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram, one.T @ (two @ weight.T))
    which = slice(0, min(bench.images, len(released)))
    tiles = (cut(released[which], TILE) - 0.5) @ solution @ torch.linalg.pinv(weight).T + 0.5
    return bench.hits(bench.model, paste(tiles, released[which], TILE), which)


def deep(bench: Bench) -> None:
    released, _ = bench.deep("auto", 500)
    bench.judge(
        "seriation, 100 files",
        lambda: recover(traits(released[:100], TILE), traits(bench.clean[PUBLIC], TILE), blocks=3),
        released,
    )
    for count in (100, 400):
        some = slice(100, 100 + count)
        bench.judge(
            f"order from {count} pairs",
            lambda s=some: order_of(bench.clean[s], released[s], TILE, BLOCKS),  # type: ignore[misc]
            released,
        )
        bench.line(
            f"map from {count} pairs",
            lambda s=some: _mapped(bench, bench.clean[s], released[s], released),  # type: ignore[misc]
        )
    for name, labels in (("no labels", None), ("400 labels", bench.labels[TRAINED])):
        bench.judge(
            f"soft order, 400 files, {name}",
            lambda known=labels: _soft(bench, released, known),  # type: ignore[misc]
            released,
        )
    bench.line("linear front, 400 labels", lambda: _front(bench, released))


def _soft(bench: Bench, released: Tensor, labels: Tensor | None) -> Guess:
    torch.manual_seed(0)
    some = released[TRAINED]
    return tuned_order(bench.model, some, labels, TILE, BLOCKS, Tuned(), generator=_seeded())


def _front(bench: Bench, released: Tensor) -> str:
    front = TileFront(3, 16)
    reader = Reader(bench.model, front=front)
    reader.body.requires_grad_(False)
    fit(
        reader, torch.optim.Adam(front.parameters(), lr=1e-3), released[TRAINED], bench.labels[TRAINED],
        epochs=3, batch=16, clock=Clock(600.0), generator=_seeded(),
    )  # fmt: skip
    which = slice(0, min(bench.images, 100))
    with torch.no_grad():
        given = torch.cat([reader(part).argmax(1) for part in released[which].split(16)])
    share = accuracy(tuple(bool(hit) for hit in given == bench.labels[which]))
    return f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}] n={len(given)}"


def suite(bench: Bench) -> None:
    """Attacks that take a front are given the original's: the copy's is nobody else's. The original
    and its siblings read what comes out."""
    released = bench.deep("auto", 500)[0][: bench.images]
    canvas, front = bench.model.canvas, bench.model.front()
    family = siblings(bench.place, bench.cache).items()
    rivals = {f"sibling {drift:.1%}" if drift else "original": one for drift, (one, _) in family}
    material = Material(
        canvas=canvas, released=released, rivals=rivals, public=bench.clean[PUBLIC], front=front,
        subspace=build_key(bench.model, secret=KEY).subspace,
    )  # fmt: skip
    truth = dict.fromkeys(rivals, bench.labels[: bench.images])
    jury = window_jury(canvas, rivals=rivals, truth=truth, released=released)
    for name in attack_names():
        attack = attack_of(name)
        if attack.knowledge <= {"released", "public", "front"}:
            bench.line(
                f"{name}, the family",
                lambda attack=attack: _attacked(attack(), material, jury),  # type: ignore[misc]
            )


def _attacked(attack: Attack, material: Material, jury: Jury) -> str:
    try:
        found = attack(material, jury)
    except Unsuited as error:
        return f"nothing to work on: {error}"
    best = max(found, key=lambda one: sum(one.hits))
    share = accuracy(best.hits)
    text = f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}] n={len(best.hits)}"
    return f"{text}, best of {best.tries}: {best.setting}, {best.rival} of {len(found)} rivals"


def radii(bench: Bench) -> None:
    """The attacker knows what was added to these very files, in the original's order: more than one
    can know by simulating."""
    for radius, count in (("auto", 500), ("8", 96), ("16", 96), ("32", 96), ("255", 64)):
        _traced(bench, f"radius {radius}", bench.deep(radius, count), (1.0,))
    for radius, taught in (("auto", 200), ("8", 96)):
        # What quiet noise leaves may be too much or too little of the print.
        files = bench.quiet(radius, taught, 64)
        _traced(bench, f"radius {radius}, quiet from {taught}", files, (1.0, -1.0))


def _traced(
    bench: Bench, name: str, files: tuple[Tensor, Tensor], turns: tuple[float, ...]
) -> None:
    released, starts = files
    both = once(
        lambda: (
            covariance(without_coarse(released), TILE),
            covariance(bench.order.undo(released - starts + 0.5) - 0.5, TILE),
        )
    )
    which = slice(0, len(released)) if "quiet" not in name else slice(200, 200 + len(released))
    name = f"{name}, {len(released)} files"
    bench.line(f"{name}, as it is", lambda: bench.hits(bench.model, released, which))
    for turn in turns:
        sign = "" if turn > 0 else ", print turned"
        bench.line(
            f"{name}{sign}",
            lambda turn=turn: _climbed(bench, both()[0], turn * both()[1], released, which),  # type: ignore[misc]
        )


def _climbed(
    bench: Bench, found: Tensor, known: Tensor, released: Tensor | None, which: slice
) -> str:
    turn = matrix_of(bench.truth)
    score = float((found * (turn @ known @ turn.T)).sum() / found.norm() / known.norm())
    near = climb([found], [known], turn, blocks=BLOCKS, rounds=8)
    guess = matched(found, known, blocks=BLOCKS, starts=STARTS, generator=_seeded())
    right = share_right(guess, bench.order.source, bench.sign)
    text = (
        f"true order scores {score:.3f}, the hill it stands on {near.score:.3f}, the best of {STARTS} "
        f"climbs {guess.score:.3f} with {right:.3f} of the places"
    )
    if released is None:
        return text
    both = [restore(released, TILE, guess, turned=turned) for turned in (False, True)]
    return f"{text}, the original reads {max(bench.hits(bench.model, w, which) for w in both)}"


def extrapolate(bench: Bench) -> None:
    """The print of 500 files, and the noise that the starts of more files would leave on it."""
    released, starts = bench.deep("auto", 500)
    facts = once(
        lambda: (
            covariance(bench.order.undo(released - starts + 0.5) - 0.5, TILE),
            covariance(without_coarse(starts), TILE).std() * 500**0.5,
        )
    )
    for files in (1000, 3000, 30000):
        bench.line(f"{files} files", lambda n=files: _extrapolated(bench, *facts(), n))  # type: ignore[misc]


def _extrapolated(bench: Bench, known: Tensor, spread: Tensor, files: int) -> str:
    turn = matrix_of(bench.truth)
    noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(files)).double()
    noise = (noise + noise.T) / 2**0.5 * spread / files**0.5
    found = turn @ known @ turn.T + noise - torch.diag(noise.diagonal())
    return _climbed(bench, found, known, None, slice(0))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


PARTS = {
    f.__name__: f for f in (reads, scramble, spectral, deep, suite, radii, extrapolate, counts)
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("copies-cache"))
    parser.add_argument("--images", type=int, default=100, help="judged by the original")
    given = parser.parse_args()
    bench = Bench(given.assets, given.cache, given.images)
    for part in PARTS if "all" in given.parts else given.parts:
        print(f"# {part}", flush=True)
        bench.part = part
        PARTS[part](bench)


if __name__ == "__main__":
    main()
