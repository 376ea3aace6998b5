"""What a deep file keeps of the authorized model's inside, by what was matched.

ResNet-20 on CIFAR-10. For each target: the share withheld and of same answers, steps, cosine of the
pooled features and of a hidden map with those of the clean pictures, KL of the answers, the score of
another head (a linear one for the same classes and one for "animal or thing", both fitted on clean
features of training pictures), and what ResNet-32 says of the files. Prints JSON lines.

    python benchmarks/deep_targets.py ASSETS --count 300
"""

import argparse
import json
import statistics
from pathlib import Path

import cifar
import torch
import torch.nn.functional as F
from deep_table import Watched
from torch import Tensor, nn

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


def read(target: Target, images: Tensor) -> Reading:
    with torch.no_grad():
        parts = [target.read(part) for part in images.split(cifar.BATCH)]
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

    rule.step(loss)  # type: ignore[arg-type]
    linear.weight.data /= scale
    return linear


def right(linear: nn.Module, features: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return cifar.share(linear(features).argmax(1), labels)


def cosine(a: Tensor, b: Tensor) -> float:
    return round(float(F.cosine_similarity(a.flatten(1), b.flatten(1)).mean()), 3)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--count", type=int, default=300)
    ask.add_argument("--steps", type=int, default=200)
    given = ask.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, key, rival = cifar.models(given.assets)
    images, truth = cifar.tests(given.assets, given.count)
    seen = Target(model, key.canvas, {"features": 1.0, HIDDEN: 1.0})
    clean = read(seen, images)
    lessons, labels = cifar.lessons(given.assets, 2000)
    learnt = read(seen, lessons).maps[0]
    kinds = torch.tensor([int(c in ANIMALS) for c in range(cifar.CLASSES)])
    heads = {
        "classes": (head(learnt, labels), truth),
        "animal": (head(learnt, kinds[labels]), kinds[truth]),
    }
    print(json.dumps({
        "target": "clean pictures", "n": len(images),
        **{name: right(linear, clean.maps[0], meant) for name, (linear, meant) in heads.items()},
        "rival": cifar.share(cifar.answers(rival, images), truth),
    }), flush=True)  # fmt: skip
    for settings in TARGETS:
        recoder = Watched(model, key, steps=given.steps, chunk=cifar.BATCH, **settings)  # type: ignore[arg-type]
        recoder.notes.clear()
        made = recoder(images)
        kept = torch.tensor([reason is None for reason in made.reasons])
        steps = [int(s) for note in recoder.notes for s in note.steps]
        got = read(seen, made.images)
        print(json.dumps({
            "target": recoder.settings["at"], **settings, "n": len(images),
            "withheld": int((~kept).sum()), "steps, median": statistics.median(steps),
            "same": cifar.share(got.logits.argmax(1), clean.logits.argmax(1)),
            "KL": round(float(divergence(got.logits, clean.logits).mean()), 3),
            "cosine, features": cosine(got.maps[0], clean.maps[0]),
            f"cosine, {HIDDEN}": cosine(got.maps[1], clean.maps[1]),
            **{name: right(linear, got.maps[0], meant) for name, (linear, meant) in heads.items()},
            "rival": cifar.share(cifar.answers(rival, made.images), truth),
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
