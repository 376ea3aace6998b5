"""What a personalised copy of DeiT-tiny keeps, and how many files, labels or pairs give its order away.

Prints a line an attempt: the share of places of the order that are right, and what the original then reads. Lines
and releases are kept, so that a stopped run goes on. Everything favours the attacker where it says so.

reads: deep NTEs for the copy, read by the copy, the original and its siblings (study siblings). scramble: the order
from files of the plain mode, and from pairs. spectral: the same for spectral NTEs at 10 dB. deep: the same for deep
NTEs; soft orders and a linear front, without and with labels. suite: every attack of the suite that needs neither
labels nor pairs, on deep NTEs. radii: what deep NTEs of each radius print on tiles, and what climbs find; with quiet
noise too. extrapolate: the same climb with the noise of more files than were made. counts: labelled files and pairs, up to
thousands, for a small transformer on CIFAR-10.
"""

from collections.abc import Callable
from functools import cache as once
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.copies_bench import BLOCKS, KEY, TILE, Bench, Line, into_front
from benchmarks.copies_counts import counts
from benchmarks.frame import ASSETS, WORK, Assets, Work, among
from benchmarks.lines import right
from catch11 import SpectralRecoder, build_key
from catch11.attacks.adaptation import Reader, TileFront, fit
from catch11.attacks.frame import Attack, Jury, Material, attack_names, attack_of
from catch11.attacks.jury import window_jury
from catch11.attacks.matching import Guess, climb, matrix_of, share_right, traits
from catch11.attacks.nets import Clock
from catch11.attacks.recovery import Tuned, covariance, matched, tuned_order, without_coarse
from catch11.attacks.tiles import cut, paste
from catch11.attacks.unscramble import lay_out, order_of, recover, recover_seen
from catch11.errors import Unsuited
from catch11.studies.siblings import DRIFTS, siblings

STARTS = 4  # climbs
PUBLIC, TRAINED = slice(300, 380), slice(100, 500)


def reads(bench: Bench) -> None:
    made, _ = bench.deep("auto", 500)
    every = slice(0, 500)
    bench.line("copy, released", lambda: bench.hits(bench.copy.model, made, every))

    def read(drift: float, windows: Tensor) -> Line:
        reader, moved = siblings(bench.place, bench.cache)[drift]
        return {**bench.hits(reader, windows, every), "first layer moved": moved}

    for drift in DRIFTS:
        for name, windows in (("clean", bench.clean), ("released", made)):
            bench.line(f"original drifted by {drift:.1%}, {name}", partial(read, drift, windows))


def scramble(bench: Bench) -> None:
    released = bench.order(bench.clean)
    known = once(lambda: traits(bench.clean[PUBLIC], TILE))

    def seriation(count: int) -> Guess:
        return recover(traits(released[:count], TILE), known(), blocks=BLOCKS)

    for count in (2, 4, 8, 16):
        bench.judge(f"seriation, {count} files", partial(seriation, count), released)
    bench.judge("jigsaw, 24 files", lambda: lay_out(traits(released[:24], TILE), TILE, 3), released)
    one = slice(400, 401)
    bench.judge("1 pair", lambda: order_of(bench.clean[one], released[one], TILE, BLOCKS), released)


def spectral(bench: Bench) -> None:
    released = bench.spectral(slice(0, 100))
    simulate = SpectralRecoder(build_key(bench.model, secret=KEY), psnr=10.0)
    known = once(lambda: bench.recoded("own", simulate, bench.clean[300:360]))

    def matching(count: int) -> Guess:
        return recover_seen(released[:count], known(), TILE, blocks=BLOCKS)

    for count in (1, 2, 3, 4, 8, 16, 64):
        name = f"matching, {count} files, 60 simulated"
        bench.judge(name, partial(matching, count), released)
    pairs = bench.spectral(slice(400, 416))
    for count in (1, 2, 4, 8):
        by_pairs(bench, bench.clean[400 : 400 + count], pairs[:count], released)


def by_pairs(bench: Bench, clean: Tensor, recoded: Tensor, released: Tensor) -> None:
    """The order, and a linear map into the original's front."""

    def mapped() -> Line:
        which = slice(0, min(bench.images, len(released)))
        learned = into_front(bench.model, recoded, clean, TILE)
        tiles = (cut(released[which], TILE) - 0.5) @ learned + 0.5
        return bench.hits(bench.model, paste(tiles, released[which], TILE), which)

    count = len(clean)
    bench.judge(
        f"order from {count} pairs", lambda: order_of(clean, recoded, TILE, BLOCKS), released
    )
    bench.line(f"map from {count} pairs", mapped)


def deep(bench: Bench) -> None:
    released, _ = bench.deep("auto", 500)

    def seriation() -> Guess:
        known = traits(bench.clean[PUBLIC], TILE)
        return recover(traits(released[:100], TILE), known, blocks=BLOCKS)

    def soft(labels: Tensor | None) -> Guess:
        torch.manual_seed(0)
        return tuned_order(
            bench.model, released[TRAINED], labels, TILE, BLOCKS, Tuned(), generator=_seeded()
        )

    bench.judge("seriation, 100 files", seriation, released)
    for count in (100, 400):
        some = slice(100, 100 + count)
        by_pairs(bench, bench.clean[some], released[some], released)
    for name, labels in (("no labels", None), ("400 labels", bench.labels[TRAINED])):
        bench.judge(f"soft order, 400 files, {name}", partial(soft, labels), released)
    bench.line("linear front, 400 labels", lambda: _front(bench, released))


def _front(bench: Bench, released: Tensor) -> Line:
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
    return right(given == bench.labels[which])


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
            bench.line(f"{name}, the family", partial(_attacked, attack(), material, jury))


def _attacked(attack: Attack, material: Material, jury: Jury) -> Line:
    try:
        found = attack(material, jury)
    except Unsuited as error:
        return {"nothing to work on": str(error)}
    best = max(found, key=lambda one: sum(one.hits))
    facts = {"best of": best.tries, "setting": best.setting, "rival": best.rival}
    return {**right(best.hits), **facts, "rivals": len(found)}


def radii(bench: Bench) -> None:
    """The attacker knows what was added to these very files, in the original's order: more than one
    can know by simulating."""
    for radius, count in (("auto", 500), ("8", 96), ("16", 96), ("32", 96), ("255", 64)):
        _traced(bench, f"radius {radius}", *bench.deep(radius, count), 0, (1.0,))
    for radius, taught in (("auto", 200), ("8", 96)):
        # What quiet noise leaves may be too much or too little of the print.
        files = bench.quiet(radius, taught, 64)
        _traced(bench, f"radius {radius}, quiet from {taught}", *files, 200, (1.0, -1.0))


def _traced(
    bench: Bench, name: str, released: Tensor, starts: Tensor, first: int, turns: tuple[float, ...]
) -> None:
    found = once(lambda: covariance(without_coarse(released), TILE))
    known = once(lambda: printed(bench, released, starts))
    which = slice(first, first + len(released))
    name = f"{name}, {len(released)} files"
    bench.line(f"{name}, as it is", lambda: bench.hits(bench.model, released, which))

    def climbed(turn: float) -> Line:
        line, guess = _climbed(bench, found(), turn * known())
        return {**line, **bench.undone(guess, released, which)}

    for turn in turns:
        bench.line(name + ("" if turn > 0 else ", print turned"), partial(climbed, turn))


def printed(bench: Bench, released: Tensor, starts: Tensor) -> Tensor:
    """What was added, in the original's order."""
    return covariance(bench.order.undo(released - starts + 0.5) - 0.5, TILE)


def _climbed(bench: Bench, found: Tensor, known: Tensor) -> tuple[Line, Guess]:
    turn = matrix_of(bench.truth)
    near = climb([found], [known], turn, blocks=BLOCKS, rounds=8)
    guess = matched(found, known, blocks=BLOCKS, starts=STARTS, generator=_seeded())
    score = float((found * (turn @ known @ turn.T)).sum() / found.norm() / known.norm())
    return {
        "score of the true order": score, "of the hill it stands on": near.score,
        f"best of {STARTS} climbs": guess.score,
        "places": share_right(guess, bench.order.source, bench.sign),
    }, guess  # fmt: skip


def extrapolate(bench: Bench) -> None:
    """The print of 500 files, and the noise that the starts of more files would leave on it."""
    released, starts = bench.deep("auto", 500)
    known = once(lambda: printed(bench, released, starts))

    def more(files: int) -> Line:
        spread = covariance(without_coarse(starts), TILE).std() * 500**0.5
        turn, drawn = matrix_of(bench.truth), torch.Generator().manual_seed(files)
        noise = torch.randn(known().shape, generator=drawn).double()
        noise = (noise + noise.T) / 2**0.5 * spread / files**0.5
        found = turn @ known() @ turn.T + noise - torch.diag(noise.diagonal())
        return _climbed(bench, found, known())[0]

    for files in (1000, 3000, 30000):
        bench.line(f"{files} files", partial(more, files))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


WORKS: dict[str, Callable[[Bench], None]] = {
    "reads": reads, "scramble": scramble, "spectral": spectral, "deep": deep, "suite": suite,
    "radii": radii, "extrapolate": extrapolate, "counts": counts,
}  # fmt: skip


def copies(
    names: Annotated[list[str], typer.Argument(callback=among(WORKS), metavar="NAME", help="Some of it, as named above; all without.")] = [],
    images: Annotated[int, typer.Option(help="Judged by the original.")] = 100,
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:  # fmt: skip
    bench = Bench(assets, work, images)
    for name in names or WORKS:
        bench.part = name
        WORKS[name](bench)
