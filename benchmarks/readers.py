"""Draws what the authorized model and another one read: `python benchmarks/readers.py docs/pictures/readers.png`.

Ten digits of `catch11 demo`, clean and as two recoders release them; under each picture two answers,
the right ones in blue, the wrong ones in red. The key is drawn anew each time.
"""

import sys

import torch
from einops import rearrange
from matplotlib.figure import Figure
from torch import Tensor

import catch11
from catch11.studies.nets import digits

AUTHORIZED, RIVAL = "patch", "dense"
RIGHT, WRONG = "#1f5fa8", "#c0392b"


def draw(path: str) -> None:
    """Three rows of pictures and answers."""
    held = digits.load_digits()
    chosen = torch.stack([(held.test_labels == label).nonzero()[0, 0] for label in range(10)])
    clean, labels = held.test[chosen], held.test_labels[chosen]
    model, rival = digits.patch(), digits.dense()
    key = catch11.build_key(model)
    rows = {
        "the picture": clean,
        "spectral file": catch11.SpectralRecoder(key, psnr=8.0)(clean).images,
        "deep file": catch11.DeepRecoder(model, key, radius=24.0)(clean).images,
    }
    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(3, 1), rows.items(), strict=True):
        axes.imshow(rearrange(pad(images), "n c h w -> h (n w) c"), interpolation="nearest")
        answers = {
            net.name: net.logits(net.canvas.normalise(images)).argmax(1) for net in (model, rival)
        }
        for height, (who, answer) in enumerate(answers.items()):
            kind = "authorized" if who == AUTHORIZED else "another model"
            axes.text(-2, 11.6 + 3.4 * height, f"{kind} reads", ha="right", va="center", fontsize=9)
            for place, (said, label) in enumerate(
                zip(answer.tolist(), labels.tolist(), strict=True)
            ):
                colour = RIGHT if said == label else WRONG
                weight = "normal" if said == label else "bold"
                axes.text(5 + 10 * place, 11.6 + 3.4 * height, str(said), ha="center", va="center",
                          color=colour, fontsize=11, fontweight=weight)  # fmt: skip
        axes.text(-2, 5, name, ha="right", va="center", fontsize=11, fontweight="bold")
        axes.set(xlim=(-26, 100), ylim=(17, -0.5))
        axes.axis("off")
    figure.savefig(path, dpi=110, facecolor="white")


def pad(images: Tensor) -> Tensor:
    """A white border of one pixel around each picture."""
    return torch.nn.functional.pad(images, (1, 1, 1, 1), value=1.0)


if __name__ == "__main__":
    draw(sys.argv[1])
