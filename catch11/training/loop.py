"""The loop: epochs over shuffled pictures, a running mean of the weights, a score after each."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, matches
from catch11.training.loss import class_weights, step_loss
from catch11.training.net import Net
from catch11.training.pictures import Pictures
from catch11.training.recipe import NEW, TUNED, Recipe, rate_at, seed_of

Teach = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n classes"]]
View = Callable[[Float[Tensor, "n c p q"]], Float[Tensor, "n c h w"]]
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What an epoch came to: its number from 1, the mean loss in nats, and the share of the held
    pictures that the mean of the weights answers rightly."""

    number: int
    loss: float
    accuracy: Interval


class Loop:
    """A training as it stands. teach: windows in [0, 1] to a teacher's logits. view: whole pictures in
    [0, 1] to random windows."""

    def __init__(
        self, net: Net, train: Pictures, held: Pictures, recipe: Recipe, *,
        classes: int, view: View, teach: Teach | None = None, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.net, self.train, self.held, self.recipe = net, train, held, recipe
        self.view, self.teach, self.device = view, teach, device
        self.epoch = 0
        self.rate = recipe.rate or (TUNED if net.tuned else NEW)
        module = net.module.to(device).requires_grad_(True)
        self.optimiser = torch.optim.AdamW(_groups(module, recipe.decay), lr=self.rate, fused=True)
        self.mean = AveragedModel(module, avg_fn=self._mix, use_buffers=True)
        self.weights: Tensor | None = None
        if recipe.balanced:
            self.weights = class_weights(train.labels, classes).to(device)

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {
            "epoch": self.epoch, "module": self.net.module.state_dict(),
            "mean": self.mean.state_dict(), "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Stand where `state` was taken."""
        self.net.module.load_state_dict(state["module"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch = int(state["epoch"])

    def run(self, report: Report = lambda done, total: None) -> Iterator[Epoch]:
        """The epochs that are left, each with its score. report: (step, steps) of the whole."""
        per = -(-len(self.train) // self.recipe.batch)
        steps = per * self.recipe.epochs
        while self.epoch < self.recipe.epochs:
            self.net.module.train()
            generator = torch.Generator().manual_seed(seed_of(self.recipe.seed, self._turn()))
            order = torch.randperm(len(self.train), generator=generator)
            total = 0.0
            for number, index in enumerate(order.split(self.recipe.batch)):
                total += self._step(index, number, per, steps) * len(index)
                report(self.epoch * per + number + 1, steps)
            self.epoch += 1
            yield Epoch(
                number=self.epoch, loss=total / len(self.train), accuracy=self.score(self.held)
            )

    def averaged(self) -> nn.Module:
        """The net with the mean of the weights of all steps, late ones counting most."""
        module: nn.Module = self.mean.module
        return module

    def score(self, pictures: Pictures) -> Interval:
        """The share of pictures that the averaged net answers rightly."""
        return accuracy(matches(self.logits(pictures).argmax(1), pictures.labels))

    def logits(self, pictures: Pictures) -> Float[Tensor, "count classes"]:
        """What the averaged net answers, on the CPU."""
        module, answers = self.averaged().eval(), []
        with torch.no_grad():
            for index in torch.arange(len(pictures)).split(self.recipe.batch):
                windows = self.net.canvas.window(pictures.batch(index.tolist()))
                # A net of two heads answers with their mean, as transformers has it.
                heads = torch.stack(self._heads(module, windows))
                answers.append(heads.mean(0).cpu())
        return torch.cat(answers)

    def _turn(self) -> int:
        """The epoch whose order and views this one has."""
        return self.epoch % (self.recipe.views or self.recipe.epochs)

    def _step(self, index: Tensor, number: int, per: int, steps: int) -> float:
        rate = rate_at(self.epoch * per + number, steps, top=self.rate, warmup=self.recipe.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.random.fork_rng(devices=self._devices()):
            turn = self._turn()
            torch.manual_seed(seed_of(self.recipe.seed, turn, turn * per + number))
            windows = self.view(self.train.batch(index.tolist()))
            with self._precision():
                taught = None if self.teach is None else self.teach(windows).to(self.device)
            heads = self._heads(self.net.module, windows)
        labels = self.train.labels[index].to(self.device)
        loss = step_loss(heads, labels, taught, self.recipe, weights=self.weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.module.parameters(), 1.0)
        self.optimiser.step()
        self.mean.update_parameters(self.net.module)
        return float(loss.detach())

    def _heads(self, module: nn.Module, windows: Tensor) -> tuple[Tensor, ...]:
        with self._precision():
            heads = self.net.heads(module, self.net.canvas.normalise(windows).to(self.device))
        return tuple(head.float() for head in heads)

    def _precision(self) -> AbstractContextManager[Any]:
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def _devices(self) -> list[str]:
        return [] if torch.device(self.device).type == "cpu" else [self.device]

    def _mix(self, mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        # Early means forget faster: the first weights say nothing.
        share = min(self.recipe.average, (1 + int(count)) / (10 + int(count)))
        return mean + (now - mean) * (1 - share)


def _groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and the like do not."""
    kinds: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for parameter in module.parameters():
        kinds[parameter.ndim > 1].append(parameter)
    return [
        {"params": kinds[True], "weight_decay": decay},
        {"params": kinds[False], "weight_decay": 0.0},
    ]
