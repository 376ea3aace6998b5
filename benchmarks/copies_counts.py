"""How many labelled NTEs, or clean pictures beside their NTEs, give a copy's release away: counted on a
small transformer for CIFAR-10, where thousands are cheap.

The attacker holds the original. From labels: a linear front before the frozen original, the original
tuned whole, and the order sought without labels in as many files. From pairs: the order, a linear map
into the original's front, and a linear front taught the original's answers to the clean pictures.
Labels are the copy's own answers; what is judged is 500 other files.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.copies_bench import KEY, Bench, Line, as_file, into_front
from benchmarks.lines import right
from benchmarks.small_vit import TILE, trained
from benchmarks.thumbnails import answers, lessons, tests
from catch11 import DeepRecoder, ScrambleRecoder, SpectralRecoder, build_key, make_copy
from catch11.attacks.adaptation import Reader, TileFront
from catch11.attacks.matching import Guess, share_right, traits
from catch11.attacks.recovery import covariance, matched, printed, without_coarse
from catch11.attacks.unscramble import order_of, recover, recover_seen, restore
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.studies.trial import SECRET

SIZE, BLOCKS = (TILE, TILE), 3
COUNTS = (4, 10, 30, 100, 300, 1000, 3000, 9000)
MOST = {"scramble": 3000, "spectral": 3000, "deep": 9000}
JUDGED, PUBLIC = 500, 400
# Pictures a training sees in all, of fewer than a thousand and of more, at least twice each; a step's.
SEEN, BATCH = (5_000, 20_000), 32


class Scene:
    """The original, its copy, and files of one mode: to judge on, to learn from."""

    def __init__(self, bench: Bench, mode: str) -> None:
        self.model, self.mode = trained(bench.assets, bench.cache), mode
        self.copy = make_copy(self.model, secret=SECRET)
        self.order = self.copy.scramble
        key, secret = build_key(self.copy.model, secret=KEY), self.copy.secret
        recoders: dict[str, Callable[[], Recoder]] = {
            "scramble": lambda: ScrambleRecoder(key, secret),
            "spectral": lambda: SpectralRecoder(key, psnr=10.0, copy=secret),
            "deep": lambda: DeepRecoder(self.copy.model, key, copy=secret, chunk=64),
        }
        recoder = recoders[mode]()
        self.shown, self.truth = tests(bench.assets, JUDGED)
        # The tar has 10,000; the last ones are public, the first ones the owner's.
        whole = lessons(bench.assets, 10_000)[0]
        self.public, self.clean = whole[-PUBLIC:], whole[: MOST[mode]]
        self.judged = bench.recoded(f"vit-{mode}-test", recoder, self.shown, together=500)
        self.files = bench.recoded(f"vit-{mode}-train", recoder, self.clean, together=500)
        self.labels = answers(self.copy.model, self.files)
        self.meant = self.model.logits(self.model.canvas.normalise(self.clean), batch=100)

    def share(self, given: Tensor) -> Line:
        return right(given == self.truth)

    def read(self, windows: Tensor, by: Model | None = None) -> Line:
        """What the original reads, or another."""
        return self.share(answers(by or self.model, as_file(windows)))

    def read_by(self, reader: Reader) -> Line:
        with torch.no_grad():
            given = torch.cat([reader(part).argmax(1) for part in self.judged.split(100)])
        return self.share(given)

    def undone(self, guess: Guess) -> Line:
        both = (self.read(restore(self.judged, SIZE, guess, turned=turn)) for turn in (False, True))
        sign = 1.0 - 2.0 * self.order.inverted.double()
        best = max(both, key=lambda one: one["accuracy"])
        return {**best, "places": share_right(guess, self.order.source, sign)}


def counts(bench: Bench) -> None:
    for mode in MOST:
        scene = Scene(bench, mode)
        clean = bench.line(f"{mode}: original, clean", partial(scene.read, scene.shown))
        bench.line(f"{mode}: original, as it is", partial(scene.read, scene.judged))
        bench.line(f"{mode}: copy", partial(scene.read, scene.judged, by=scene.copy.model))
        for name, (attack, least) in ATTACKS.items():
            for count in (one for one in COUNTS if least <= one <= MOST[mode]):
                found = bench.line(f"{mode}: {name}, {count}", partial(attack, scene, count))
                if found["accuracy"] > 0.9 * clean["accuracy"]:
                    break  # more of them give no more


def order_alone(scene: Scene, count: int) -> Line:
    """The order from files, without labels; for deep ones from what simulated files carry."""
    some = scene.files[:count]
    if scene.mode == "scramble":
        return scene.undone(recover(traits(some, SIZE), traits(scene.public, SIZE), blocks=BLOCKS))
    if scene.mode == "spectral":
        made = SpectralRecoder(build_key(scene.model, secret=KEY), psnr=10.0)(scene.public).images
        return scene.undone(recover_seen(some, made, SIZE, blocks=BLOCKS))
    known = covariance(printed(scene.model, scene.public), SIZE)
    found = covariance(without_coarse(some), SIZE)
    return scene.undone(matched(found, known, blocks=BLOCKS, starts=8, generator=_seeded()))


def order_by_pairs(scene: Scene, count: int) -> Line:
    return scene.undone(order_of(scene.clean[:count], scene.files[:count], SIZE, BLOCKS))


def map_by_pairs(scene: Scene, count: int) -> Line:
    """A linear front that answers NTE tiles as the original's front answers the clean ones."""
    learned = into_front(scene.model, scene.files[:count], scene.clean[:count], SIZE)
    return scene.read_by(Reader(scene.model, front=_Affine(learned.float())))


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


def taught(scene: Scene, count: int, *, whole: bool = False, answers: bool = False) -> Line:
    """The original behind a linear front of tiles, the front or all of it taught: the labels, or the
    original's answers to the clean pictures."""
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
        if answers:
            shares = scene.meant[index].softmax(1)
            loss = functional.kl_div(logits.log_softmax(1), shares, reduction="batchmean")
        else:
            loss = functional.cross_entropy(logits, scene.labels[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return scene.read_by(reader)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# With the fewest files it is tried on.
ATTACKS: dict[str, tuple[Callable[[Scene, int], Line], int]] = {
    "order without labels": (order_alone, 4),
    "order from pairs": (order_by_pairs, 4),
    "map from pairs": (map_by_pairs, 4),
    "front from pairs": (partial(taught, answers=True), 100),
    "front from labels": (taught, 100),
    "tuned whole, labels": (partial(taught, whole=True), 100),
}
