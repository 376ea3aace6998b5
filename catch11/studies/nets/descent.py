"""One loop of training for the nets that studies train on the spot."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def descend(
    loss: Callable[[Tensor], Tensor],
    *rules: Any,
    count: int,
    epochs: int,
    batch: int,
    generator: torch.Generator | None = None,
) -> None:
    """`count` items drawn anew each epoch, `batch` at a time. loss: of a batch's indices. rules: the
    optimiser, and what else steps behind it."""
    optimiser = rules[0]
    for _ in range(epochs):
        for index in torch.randperm(count, generator=generator).split(batch):
            optimiser.zero_grad()
            loss(index).backward()
            for rule in rules:
                rule.step()


def train_classes(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    generator: torch.Generator,
    epochs: int,
    batch: int,
    rate: float,
) -> None:
    """Train a classifier as it stands, by AdamW and cross-entropy."""
    descend(
        lambda index: nn.functional.cross_entropy(module(inputs[index]), labels[index]),
        torch.optim.AdamW(module.parameters(), lr=rate),
        count=len(inputs), epochs=epochs, batch=batch, generator=generator,
    )  # fmt: skip
