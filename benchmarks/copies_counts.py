"""How many labelled NTEs, or clean pictures beside their NTEs, give a copy's release away: counted on a
small transformer for CIFAR-10, where thousands are cheap.

The attacker holds the original. From labels: a linear front before the frozen original, the original
tuned whole, and the order sought without labels in as many files. From pairs: the order, a linear map
into the original's front, and a linear front taught the original's answers to the clean pictures.
Labels are the copy's own answers; what is judged is 500 other files.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from cifar import answers, lessons, tests
from small_vit import TILE, trained
from torch import Tensor, nn
from torch.nn import functional

from catch11.attacks.adaptation import Reader, TileFront
from catch11.attacks.matching import Guess, share_right, traits
from catch11.attacks.recovery import covariance, matched, printed, without_coarse
from catch11.attacks.tiles import cut
from catch11.attacks.unscramble import order_of, recover, recover_seen, restore
from catch11.copies.personalize import make_copy
from catch11.evaluation.metrics import accuracy
from catch11.keys.key import build_key
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.scramble import ScrambleRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder

SECRET, KEY = bytes(range(32)), bytes([7]) * 32
SIZE, BLOCKS = (TILE, TILE), 3
COUNTS = (4, 10, 30, 100, 300, 1000, 3000, 9000)
MOST = {"scramble": 3000, "spectral": 3000, "deep": 9000}
JUDGED, PUBLIC = 500, 400
# Pictures a training sees in all, of fewer than a thousand and of more, at least twice each; a step's.
SEEN, BATCH = (5_000, 20_000), 32


class Lines(Protocol):
    """What the benchmark keeps for its parts."""

    cache: Path
    assets: Path

    def recoded(
        self, name: str, recoder: Recoder, clean: Tensor, *, together: int = 16
    ) -> Tensor: ...

    def line(self, name: str, make: Callable[[], str]) -> str: ...


class Scene:
    """The original, its copy, and files of one mode: to judge on, to learn from."""

    def __init__(self, bench: Lines, mode: str) -> None:
        self.model = trained(bench.assets, bench.cache)
        self.copy = make_copy(self.model, secret=SECRET)
        self.order = self.copy.scramble
        self.sign = 1.0 - 2.0 * self.order.inverted.double()
        key = build_key(self.copy.model, secret=KEY)
        secret = self.copy.secret
        recoder = {
            "scramble": lambda: ScrambleRecoder(key, secret),
            "spectral": lambda: SpectralRecoder(key, psnr=10.0, copy=secret),
            "deep": lambda: DeepRecoder(self.copy.model, key, copy=secret, chunk=64),
        }[mode]()
        clean, self.truth = tests(bench.assets, JUDGED)
        # The tar has 10,000; the last ones are public, the first ones the owner's.
        self.clean = lessons(bench.assets, 10_000)[0]
        self.public, self.clean = self.clean[-PUBLIC:], self.clean[: MOST[mode]]
        self.judged = bench.recoded(f"vit-{mode}-test", recoder, clean, together=500)
        self.files = bench.recoded(f"vit-{mode}-train", recoder, self.clean, together=500)
        self.labels = answers(self.copy.model, self.files)
        self.meant = self.model.logits(self.model.canvas.normalise(self.clean), batch=100)

    def share(self, given: Tensor) -> str:
        found = accuracy(tuple(bool(hit) for hit in given == self.truth))
        return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"

    def read(self, windows: Tensor) -> str:
        """What the original reads."""
        return self.share(answers(self.model, (windows.clamp(0, 1) * 255).round() / 255))

    def undone(self, guess: Guess) -> str:
        right = share_right(guess, self.order.source, self.sign)
        best = max(
            self.read(restore(self.judged, SIZE, guess, turned=turn)) for turn in (False, True)
        )
        return f"{best}, {right:.3f} of the places"


def counts(bench: Lines) -> None:
    for mode in ("scramble", "spectral", "deep"):
        _counted(bench, mode, Scene(bench, mode))


def _counted(bench: Lines, mode: str, scene: Scene) -> None:
    clean = tests(bench.assets, JUDGED)[0]
    whole = _first(bench.line(f"{mode}: original, clean", lambda: scene.read(clean)))
    bench.line(f"{mode}: original, as it is", lambda: scene.read(scene.judged))
    bench.line(f"{mode}: copy", lambda: scene.share(answers(scene.copy.model, scene.judged)))
    for name, (attack, least) in ATTACKS.items():
        for count in (one for one in COUNTS if least <= one <= MOST[mode]):
            text = bench.line(f"{mode}: {name}, {count}", partial(attack, scene, mode, count))
            if _first(text) > 0.9 * whole:
                break  # more of them give no more


def _first(text: str) -> float:
    return float(text.split()[0])


def order_alone(scene: Scene, mode: str, count: int) -> str:
    """The order from files, without labels; for deep ones from what simulated files carry."""
    some = scene.files[:count]
    if mode == "scramble":
        return scene.undone(recover(traits(some, SIZE), traits(scene.public, SIZE), blocks=BLOCKS))
    if mode == "spectral":
        made = SpectralRecoder(build_key(scene.model, secret=KEY), psnr=10.0)(scene.public).images
        return scene.undone(recover_seen(some, made, SIZE, blocks=BLOCKS))
    known = covariance(printed(scene.model, scene.public), SIZE)
    found = covariance(without_coarse(some), SIZE)
    return scene.undone(matched(found, known, blocks=BLOCKS, starts=8, generator=_seeded()))


def order_by_pairs(scene: Scene, mode: str, count: int) -> str:
    return scene.undone(order_of(scene.clean[:count], scene.files[:count], SIZE, BLOCKS))


def map_by_pairs(scene: Scene, mode: str, count: int) -> str:
    """A linear front that answers NTE tiles as the original's front answers the clean ones."""
    weight = scene.model.front().weight.flatten(1).double()
    one, two = (cut(part[:count], SIZE).flatten(0, 1) - 0.5 for part in (scene.files, scene.clean))
    gram = one.T @ one
    gram = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram, one.T @ (two @ weight.T)) @ torch.linalg.pinv(weight).T
    front = _Affine(solution.float())
    return _judged(Reader(scene.model, front=front), scene)


class _Affine(nn.Module):
    """Tiles less mid-grey times a matrix, unclipped."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.front = TileFront(3, TILE)
        with torch.no_grad():
            self.front.map.weight.copy_(matrix.T)

    def forward(self, windows: Tensor) -> Tensor:
        made: Tensor = self.front(windows - 0.5) + 0.5
        return made


def front_by_labels(scene: Scene, mode: str, count: int) -> str:
    return _taught(scene, count, whole=False, wanted=None)


def tuned_by_labels(scene: Scene, mode: str, count: int) -> str:
    return _taught(scene, count, whole=True, wanted=None)


def front_by_answers(scene: Scene, mode: str, count: int) -> str:
    return _taught(scene, count, whole=False, wanted=scene.meant)


def _taught(scene: Scene, count: int, *, whole: bool, wanted: Tensor | None) -> str:
    """The original behind a linear front of tiles, the front or all of it taught."""
    torch.manual_seed(0)
    reader = Reader(scene.model, front=TileFront(3, TILE))
    reader.body.requires_grad_(whole)
    learned = [one for one in reader.parameters() if one.requires_grad]
    optimiser = torch.optim.Adam(learned, lr=3e-4 if whole else 1e-3)
    steps = max(SEEN[count >= 1000], 2 * count) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = _seeded()
    for _ in range(steps):
        index = torch.randint(count, (BATCH,), generator=generator)
        logits = reader(scene.files[index])
        if wanted is None:
            loss = functional.cross_entropy(logits, scene.labels[index])
        else:
            shares = wanted[index].softmax(1)
            loss = functional.kl_div(logits.log_softmax(1), shares, reduction="batchmean")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return _judged(reader, scene)


def _judged(reader: Reader, scene: Scene) -> str:
    with torch.no_grad():
        given = torch.cat([reader(part).argmax(1) for part in scene.judged.split(100)])
    return scene.share(given)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# With the fewest files it is tried on.
ATTACKS: dict[str, tuple[Callable[[Scene, str, int], str], int]] = {
    "order without labels": (order_alone, 4),
    "order from pairs": (order_by_pairs, 4),
    "map from pairs": (map_by_pairs, 4),
    "front from pairs": (front_by_answers, 100),
    "front from labels": (front_by_labels, 100),
    "tuned whole, labels": (tuned_by_labels, 100),
}
