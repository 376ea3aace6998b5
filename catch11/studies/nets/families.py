"""The five families at CIFAR-10 size, two seeds each, trained with ResNet-20 as their teacher and kept in
the user's cache. A training that was stopped goes on; one that is done is not begun again."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

from catch11.studies.cache import cache_folder
from catch11.studies.place import Part, Place
from catch11.training.families import FAMILIES
from catch11.training.recipe import Recipe
from catch11.training.train import FACTS, train

EPOCHS = 60
COUNTS: dict[Part, int] = {"train": 14_000, "test": 2000}
# The teacher weighs most, softened; views come again, so that it is asked once for all five families.
RECIPE = Recipe(
    epochs=EPOCHS, batch=64, teach=0.8, heat=4.0, smoothing=0.0, views=8, precision="bfloat16",
)  # fmt: skip
# Nets of patches stand still at 2e-3: after four epochs DeiT has .31 there, and .37, .39, .40 at 1e-3, 5e-4, 2e-4.
RATES: dict[str, float] = {"resnet": 2e-3, "mambavision": 2e-3}
RATE = 4e-4  # of the others


def train_families(
    place: Place,
    *,
    epochs: int,
    seeds: Iterable[int],
    say: Callable[[str], None],
    size: int = 32,
    counts: dict[Part, int] = COUNTS,
) -> None:
    """Train the nets that the cache does not hold. say: told of each what it reaches."""
    home, teacher = (
        cache_folder("families"),
        place.model("thumbnails", place.names("thumbnails")[0]),
    )
    source = write_pictures(place, home / "pictures", counts)
    for seed, arch in product(seeds, FAMILIES):
        folder = home / f"{arch}-{seed}"
        if (folder / FACTS).is_file():
            continue
        say(f"{arch}, seed {seed}")
        done = train(
            source, folder, arch=arch, size=size, teacher=teacher, resume=True,
            progress=lambda done, total, what="", said="": say(said) if said else None,
            recipe=replace(RECIPE, epochs=epochs, seed=seed, rate=RATES.get(arch, RATE)), device=place.device,
            memory=home / f"taught-{seed}.safetensors",
        )  # fmt: skip
        score = done.accuracy
        say(f"{folder}: {score.estimate:.3f} [{score.low:.3f}, {score.high:.3f}] of {done.held:,}")


def write_pictures(place: Place, folder: Path, counts: dict[Part, int]) -> Path:
    """The thumbnails as train/ and test/ with class folders: what `train` reads."""
    for part, count in counts.items():
        if (folder / part).is_dir():
            continue
        shown, rough = place.pictures("thumbnails", count, part=part), folder / f"{part}.new"
        parts = [Path(name).parts for name in shown.names]
        labels = shown.labels.tolist()
        # Files are called part/class/number, but for some that have no class in their name.
        names = {label: p[1] for p, label in zip(parts, labels, strict=True) if len(p) == 3}
        for image, found, label in zip(shown.images, parts, labels, strict=True):
            stem = Path(found[2]).stem if len(found) == 3 else "-".join(found)
            path = rough / names.get(label, str(label)) / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        rough.rename(folder / part)
    return folder
