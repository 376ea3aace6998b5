"""The radius of the deep recoder: what it costs, who reads the files, who learns to, what JPEG leaves.

ResNet-20 authorized on CIFAR-10, ResNet-32 fine-tuned on labelled files. One JSON line a radius, and
one plot with --plot FILE:

    python benchmarks/deep_dial.py ASSETS --radii auto 8 16 32 128 --plot dial.png
"""

import argparse
import copy
import io
import json
import math
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from catch11 import DeepRecoder, build_key, load_model
from catch11.models.frame import Model
from catch11.recode.frame import Recoded
from catch11.survival import Jpeg

BATCH = 100


def labelled(path: Path, count: int) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] and classes, drawn from a tar of class folders in a fixed order."""
    with tarfile.open(path) as tar:
        files = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda m: m.name)
        names = sorted({Path(m.name).parent.name for m in files})
        order = np.random.default_rng(0).permutation(len(files))[:count]
        images, labels = [], []
        for member in (files[i] for i in order):
            data = tar.extractfile(member)
            assert data is not None
            picture = Image.open(io.BytesIO(data.read())).convert("RGB")
            images.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1))
            labels.append(names.index(Path(member.name).parent.name))
    return torch.stack(images).float() / 255.0, torch.tensor(labels)


def answers(model: Model, images: Tensor) -> Tensor:
    return model.logits(model.canvas.normalise(images), batch=BATCH).argmax(1)


def recoded(recoder: DeepRecoder, images: Tensor) -> tuple[Tensor, list[str | None], float]:
    spent = time.process_time()
    parts: list[Recoded] = [recoder(part) for part in images.split(BATCH)]
    spent = (time.process_time() - spent) / len(images)
    reasons = [reason for part in parts for reason in part.reasons]
    return torch.cat([part.images for part in parts]), reasons, spent


def adapted(rival: Model, train: tuple[Tensor, Tensor], *, lr: float, epochs: int) -> nn.Module:
    """A copy of the rival fine-tuned on labelled files: SGD, momentum, cosine, bfloat16."""
    assert rival.module is not None
    module = copy.deepcopy(rival.module).train().requires_grad_(True)
    images, labels = rival.canvas.normalise(train[0]), train[1]
    optimiser = torch.optim.SGD(
        module.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    total = epochs * -(-len(images) // BATCH)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * step / total))
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16):
                logits = module(images[batch])
            optimiser.zero_grad()
            F.cross_entropy(logits.float(), labels[batch]).backward()
            optimiser.step()
            rates.step()
    return module.eval()


def share(a: Tensor, b: Tensor) -> float:
    return round(float((a == b).float().mean()), 4)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--radii", nargs="+", default=["auto", "8", "16", "32", "128"])
    ask.add_argument("--train", type=int, default=3000)
    ask.add_argument("--test", type=int, default=1000)
    ask.add_argument("--rates", type=float, nargs="+", default=[0.01])
    ask.add_argument("--epochs", type=int, default=8)
    ask.add_argument("--steps", type=int, default=60)
    ask.add_argument("--margin", type=float, default=0.5)
    ask.add_argument("--plot", type=Path)
    given = ask.parse_args()
    torch.set_num_threads(1)
    models = given.assets / "models"
    model = load_model(f"torch:{models / 'cifar10_resnet20.safetensors'}")
    rival = load_model(f"torch:{models / 'cifar10_resnet32.safetensors'}")
    key = build_key(model, energy=0.01, secret=bytes(32))
    test, truth = labelled(given.assets / "cifar10" / "cifar10_test_2000_jpeg.tar", given.test)
    train, labels = labelled(given.assets / "cifar10" / "cifar10_train_10000_jpeg.tar", given.train)
    clean = answers(model, test)
    spent = time.process_time()
    answers(model, test)
    forward = (time.process_time() - spent) / len(test)

    lines = []
    for text in given.radii:
        radius = text if text == "auto" else float(text)
        recoder = DeepRecoder(
            model, key, radius=radius, steps=given.steps, margin=given.margin, chunk=BATCH
        )
        files, reasons, spent = recoded(recoder, test)
        kept = torch.tensor([reason is None for reason in reasons])
        lessons, _, _ = recoded(recoder, train)
        line = {
            "radius": text,
            "same": share(answers(model, files), clean),
            "withheld": int((~kept).sum()),
            "jpeg 75": share(answers(model, Jpeg(quality=75).real(files, 1.0)), clean),
            "forwards": round(spent / forward, 1),
            "rival": share(answers(rival, files), truth),
        }
        for rate in given.rates:
            module = adapted(rival, (lessons, labels), lr=rate, epochs=given.epochs)
            with torch.no_grad():
                read = torch.cat([module(p) for p in rival.canvas.normalise(files).split(BATCH)])
            line[f"adapted, rate {rate:g}"] = share(read.argmax(1), truth)
        lines.append(line)
        print(json.dumps(line), flush=True)
    if given.plot is not None:
        plot(lines, given.plot)


def plot(lines: Sequence[dict[str, object]], path: Path) -> None:
    """Shares and cost against the radius in one figure."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4))
    places = range(len(lines))
    names = [n for n in lines[0] if n not in ("radius", "withheld", "forwards")]
    for name in names:
        axis.plot(places, [line[name] for line in lines], marker="o", label=name)  # type: ignore[arg-type]
    axis.axhline(0.1, color="grey", linestyle=":", label="chance")
    axis.set_xticks(list(places), [str(line["radius"]) for line in lines])
    axis.set(xlabel="radius, 255ths", ylabel="share", ylim=(0, 1.05))
    cost = axis.twinx()
    cost.plot(places, [line["forwards"] for line in lines], "k--", label="forwards an image")  # type: ignore[arg-type]
    cost.set(ylabel="forward passes an image", ylim=(0, None))
    axis.legend(loc="center right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
