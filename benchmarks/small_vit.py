"""A small vision transformer for CIFAR-10, patches of 8 x 8 x 3 = 192 values, trained here in some minutes."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.thumbnails import lessons
from catch11.canvas.plain import plain_canvas
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model, finish

SIDE, TILE, WIDTH, DEPTH, HEADS = 32, 8, 128, 4, 4
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
EPOCHS, BATCH, RATE = 14, 64, 1.5e-3


class SmallViT(nn.Module):
    """Patch embedding, position embeddings, transformer blocks, mean over tokens, linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, TILE, stride=TILE)
        self.positions = nn.Parameter(0.02 * torch.randn(1, (SIDE // TILE) ** 2, WIDTH))
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 3 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True,
        )  # fmt: skip
        self.blocks = nn.TransformerEncoder(block, DEPTH, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10))

    def forward(self, pixel_values: Tensor) -> Tensor:
        tokens = self.patches(pixel_values).flatten(2).transpose(1, 2) + self.positions
        answer: Tensor = self.head(self.blocks(tokens).mean(1))
        return answer


def trained(assets: Path, work: Path) -> Model:
    """The transformer, trained on 10,000 JPEG and 4,000 lossless pictures, mirrored and shifted."""
    path = work / "small-vit.pt"
    torch.manual_seed(0)
    net = SmallViT()
    if path.exists():
        net.load_state_dict(torch.load(path, weights_only=True))
    else:
        optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05)
        images, labels = _pictures(assets)
        for epoch in range(EPOCHS):
            _epoch(net, optimiser, images, labels, epoch)
        torch.save(net.state_dict(), path)
    canvas = plain_canvas(SIDE, SIDE, mean=MEAN, std=STD)
    return finish(
        spec="py:small_vit", name="small-vit", module=net, canvas=canvas, prepare=canvas_prepare(canvas),
        fingerprint=module_fingerprint(net), labels=lambda count: tuple(str(i) for i in range(count)),
    )  # fmt: skip


def _pictures(assets: Path) -> tuple[Tensor, Tensor]:
    images, labels = lessons(assets, 10_000)
    with np.load(assets / "cifar10" / "cifar_lossless_train4000.npz") as held:
        more = torch.from_numpy(held["x"]).permute(0, 3, 1, 2).float() / 255.0
        classes = torch.from_numpy(held["y"]).long()
    return torch.cat([images, more]), torch.cat([labels, classes])


def _epoch(net: nn.Module, optimiser: torch.optim.Optimizer, images: Tensor, labels: Tensor, epoch: int) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(epoch)
    parts = torch.randperm(len(images), generator=generator).split(BATCH)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    net.train()
    for step, index in enumerate(parts):
        share = (epoch + step / len(parts)) / EPOCHS
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(share * EPOCHS / 2, 0.5 + 0.5 * math.cos(math.pi * share))
        batch = moved(images[index], generator)
        logits = net((batch - mean) / std)
        loss = functional.cross_entropy(logits, labels[index], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures mirrored or not, shifted by up to four pixels, edges reflected."""
    wide = functional.pad(images, (4,) * 4, mode="reflect")
    made = torch.empty_like(images)
    drawn = torch.randint(9, (len(images), 2), generator=generator)
    flips = torch.rand(len(images), generator=generator) < 0.5
    for i, ((y, x), flip) in enumerate(zip(drawn.tolist(), flips.tolist(), strict=True)):
        one = wide[i, :, y : y + SIDE, x : x + SIDE]
        made[i] = one.flip(-1) if flip else one
    return made
