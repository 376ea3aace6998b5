"""What a deep file keeps of the authorized model's inside, by what was matched.

ResNet-20 on CIFAR-10. Prints a line of the clean pictures, then one a target: the share withheld and of same answers, steps, cosine of
the pooled features and of a hidden map with those of the clean pictures, KL of the answers, the score of
another head (a linear one for the same classes and one for "animal or thing", both fitted on clean
features of training pictures), and what ResNet-32 says of the files.
"""

import statistics
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from benchmarks.deep_table import Watched
from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import show
from benchmarks.thumbnails import BATCH, CLASSES, answers, lessons, models, share, tests
from catch11.recoding.deep.agreement import divergence
from catch11.recoding.deep.target import Reading, Target

HIDDEN = "layer2"
ANIMALS = (2, 3, 4, 5, 6, 7)

# Settings of the recoder; the least demanding first.
TARGETS: tuple[dict[str, object], ...] = (
    {"agreement": "top1"},
    {"agreement": "topk:3", "margin": 0.1, "radius": 16.0},
    {"agreement": "kl<0.1", "margin": 0.0, "radius": 16.0},
    {"agreement": "kl<0.01", "margin": 0.0, "radius": 16.0},
    {"at": "features", "agreement": "match<0.3", "margin": 0.0, "radius": 16.0},
    {"at": "features", "agreement": "match<0.1", "margin": 0.0, "radius": 32.0},
    {"at": "layer2", "agreement": "match<0.5", "margin": 0.0, "radius": 128.0},
)


def deep_targets(
    count: Annotated[int, typer.Option(help="Pictures.")] = 300,
    steps: Annotated[int, typer.Option(help="At most.")] = 200,
    assets: Assets = ASSETS,
) -> None:
    torch.manual_seed(0)
    model, key, rival = models(assets)
    images, truth = tests(assets, count)
    seen = Target(model, key.canvas, {"features": 1.0, HIDDEN: 1.0})
    clean = read(seen, images)
    taught, labels = lessons(assets, 2000)
    learnt = read(seen, taught).maps[0]
    kinds = torch.tensor([int(c in ANIMALS) for c in range(CLASSES)])
    heads = {
        "classes": (head(learnt, labels), truth),
        "animal": (head(learnt, kinds[labels]), kinds[truth]),
    }

    def told(features: Tensor, files: Tensor) -> dict[str, float]:
        """What the heads say of features, and the rival of files."""
        with torch.no_grad():
            said = {
                name: share(linear(features).argmax(1), meant)
                for name, (linear, meant) in heads.items()
            }
        return {**said, "rival": share(answers(rival, files), truth)}

    show({"target": "clean pictures", "n": len(images), **told(clean.maps[0], images)})
    for settings in TARGETS:
        recoder = Watched(model, key, steps=steps, chunk=BATCH, **settings)  # type: ignore[arg-type]
        recoder.notes.clear()
        made = recoder(images)
        found = [int(s) for note in recoder.notes for s in note.steps]
        got = read(seen, made.images)
        show({
            "target": recoder.settings["at"], **settings, "n": len(images),
            "withheld": sum(reason is not None for reason in made.reasons),
            "steps, median": statistics.median(found),
            "same": share(got.logits.argmax(1), clean.logits.argmax(1)),
            "KL": float(divergence(got.logits, clean.logits).mean()),
            "cosine, features": cosine(got.maps[0], clean.maps[0]),
            f"cosine, {HIDDEN}": cosine(got.maps[1], clean.maps[1]),
            **told(got.maps[0], made.images),
        })  # fmt: skip


def read(target: Target, images: Tensor) -> Reading:
    with torch.no_grad():
        parts = [target.read(part) for part in images.split(BATCH)]
    maps = zip(*(part.maps for part in parts), strict=True)
    return Reading(
        logits=torch.cat([part.logits for part in parts]), maps=tuple(torch.cat(m) for m in maps)
    )


def head(features: Tensor, labels: Tensor) -> nn.Module:
    """Logistic regression, fitted by L-BFGS with a little weight decay."""
    scale = features.std(0).clamp_min(1e-6)
    linear = nn.Linear(features.shape[1], int(labels.max()) + 1)
    rule = torch.optim.LBFGS(linear.parameters(), max_iter=100)

    def loss() -> Tensor:
        rule.zero_grad()
        value = F.cross_entropy(linear(features / scale), labels)
        value = value + 1e-3 * linear.weight.square().sum()
        value.backward()
        return value

    rule.step(loss)
    linear.weight.data /= scale
    return linear


def cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a.flatten(1), b.flatten(1)).mean())
