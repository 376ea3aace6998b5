"""DP-SGD (Abadi et al. 2016) with Opacus: a classifier that hides which pictures trained it.

What ε bounds: how much any one training picture can change the trained weights. It says nothing of
the pictures the finished classifier is asked about, and gates no model: whoever has those reads them.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from catch11.baselines.library import library, quiet
from catch11.errors import InvalidArgument, ModelRefused

Accountant = Literal["prv", "rdp", "gdp"]
PROTECTS = "training members, against whoever holds the weights; inference is not gated"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateTraining:
    """Settings of DP-SGD. epsilon, delta: the budget of the whole training. batch: expected size of
    a Poisson-sampled batch. clip: largest norm of one picture's gradient. rate: of Adam."""

    epsilon: float
    delta: float = 1e-5
    epochs: int = 20
    batch: int = 128
    rate: float = 5e-3
    clip: float = 1.0
    accountant: Accountant = "prv"

    def __post_init__(self) -> None:
        check_budget(self.epsilon, self.delta)
        for name in ("epochs", "batch", "rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InvalidArgument(name, expected="above 0", found=getattr(self, name))
        if self.accountant not in ("prv", "rdp", "gdp"):
            expected = "prv, rdp or gdp"
            raise InvalidArgument("accountant", expected=expected, found=self.accountant)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrivateModel:
    """A classifier trained with DP-SGD. epsilon: what its accountant says was spent at `delta`.
    noise: multiplier. replaced: layers that had no per-picture gradient and what they became."""

    module: nn.Module
    epsilon: float
    delta: float
    noise: float
    steps: int
    replaced: tuple[str, ...]


def check_budget(epsilon: float, delta: float | None = None) -> None:
    """Raises InvalidArgument for a budget that is none."""
    if not 0.0 < epsilon < float("inf"):
        raise InvalidArgument("epsilon", expected="a finite number above 0", found=epsilon)
    if delta is not None and not 0.0 < delta < 1.0:
        raise InvalidArgument("delta", expected="a number between 0 and 1", found=delta)


def validated(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy that every picture has a gradient of its own in: BatchNorm becomes GroupNorm.

    Also the names of the replaced layers. Raises ModelRefused where Opacus has no replacement.
    """
    validator = library("opacus.validators", package="opacus").ModuleValidator
    trainable = copy.deepcopy(module).requires_grad_(True).train()
    with quiet():
        made = validator.fix(trainable)
        errors = validator.validate(made, strict=False)
    if errors:
        reason = "; ".join(" ".join(str(error).split()) for error in errors)[:200]
        raise ModelRefused(type(module).__name__, f"no per-picture gradients: {reason}")
    after = dict(made.named_modules())
    replaced = tuple(
        f"{name}: {type(old).__name__} → {type(after[name]).__name__}"
        for name, old in trainable.named_modules()
        if name in after and type(after[name]) is not type(old)
    )
    return made, replaced


def train_private(
    module: nn.Module,
    inputs: Float[Tensor, "batch ..."],
    labels: Int[Tensor, " batch"],
    settings: PrivateTraining,
    *,
    generator: torch.Generator,
) -> PrivateModel:
    """Train a copy of `module` from where it stands, with cross-entropy.

    The noise comes from `generator`: repeatable, for measurements. Opacus's secure mode is for
    weights that are given away. Raises InvalidArgument, ModelRefused, MissingExtra.
    """
    if not 1 <= settings.batch <= len(inputs):
        raise InvalidArgument(
            "batch", expected=f"1 to the {len(inputs)} pictures there are", found=settings.batch
        )
    if not bool(torch.isfinite(inputs).all()):
        raise InvalidArgument("inputs", expected="finite numbers", found="others among them")
    net, replaced = validated(module)
    loader = DataLoader(
        TensorDataset(inputs, labels), batch_size=settings.batch, generator=generator
    )
    with quiet():
        engine = library("opacus", package="opacus").PrivacyEngine(accountant=settings.accountant)
        wrapped, optimiser, sampled = engine.make_private_with_epsilon(
            module=net,
            optimizer=torch.optim.Adam(net.parameters(), lr=settings.rate),
            data_loader=loader,
            target_epsilon=settings.epsilon,
            target_delta=settings.delta,
            epochs=settings.epochs,
            max_grad_norm=settings.clip,
            poisson_sampling=True,  # the accountant's amplification holds for nothing else
            noise_generator=generator,
        )
        for _ in range(settings.epochs):
            for part, truth in sampled:
                optimiser.zero_grad()
                functional.cross_entropy(wrapped(part), truth).backward()
                optimiser.step()
        epsilon = float(engine.get_epsilon(settings.delta))
    wrapped.remove_hooks()
    trained: nn.Module = wrapped._module
    return PrivateModel(
        module=trained.eval().requires_grad_(False),
        epsilon=epsilon,
        delta=settings.delta,
        noise=float(optimiser.noise_multiplier),
        steps=settings.epochs * len(sampled),
        replaced=replaced,
    )


def train_open(
    module: nn.Module,
    inputs: Float[Tensor, "batch ..."],
    labels: Int[Tensor, " batch"],
    settings: PrivateTraining,
    *,
    generator: torch.Generator,
) -> nn.Module:
    """The same net, layers replaced and all, trained as long without privacy: what ε costs."""
    net, _ = validated(module)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)
    for _ in range(settings.epochs):
        for index in torch.randperm(len(inputs), generator=generator).split(settings.batch):
            optimiser.zero_grad()
            functional.cross_entropy(net(inputs[index]), labels[index]).backward()
            optimiser.step()
    return net.eval().requires_grad_(False)
