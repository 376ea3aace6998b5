"""A network as the algorithm-specific route needs it: every activation a low-degree polynomial.

AlgoSpec (Liu et al., "Enforcing Purpose Limitation with Polynomial Approximation", USENIX Security
2024) releases other data on which the one polynomial it was made for gives the same result. It was
shown on an entropy method and naive Bayes; here is its first step on deep nets, and what that step
costs. Softmax, LayerNorm and max pooling stay as they are. Polynomials alone protect nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from catch11.baselines.polynomial import Fit, Polynomial, activation_of, fit_polynomial
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.find import first_tensor

PROTECTS = "nothing by itself: the form of the model that AlgoSpec makes other data for"
_CALLS: dict[Any, str] = {
    functional.relu: "relu", torch.relu: "relu", torch.relu_: "relu",
    Tensor.relu: "relu", Tensor.relu_: "relu",
    functional.gelu: "gelu", functional.silu: "silu",
}  # fmt: skip
_SAMPLES = 20_000  # values an activation is fitted to
_AWAY = 4.0  # times the usual peak: beyond it a picture has run away and is fitted to no more
Act = Callable[[int, str, Tensor], Tensor]


class _Activations(TorchFunctionMode):
    """Hands every call of a known activation to `act`, numbered in the order of the calls."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self.act, self.calls = act, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = _CALLS.get(func)
        if name is None:
            return func(*args, **(kwargs or {}))
        place, self.calls = self.calls, self.calls + 1
        values = args[0] if args else (kwargs or {})["input"]
        return self.act(place, name, values)


@contextmanager
def acting(act: Act) -> Iterator[_Activations]:
    """Within it every activation of any module run is answered by `act`."""
    with torch.no_grad(), _Activations(act) as mode:
        yield mode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolynomialNet:
    """A module whose activations are polynomials, in the order of the calls."""

    module: nn.Module
    polynomials: tuple[Polynomial, ...]

    def __call__(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch classes"]:
        with acting(lambda place, name, values: self.polynomials[place](values)):
            return first_tensor(self.module(inputs))


def polynomial_net(
    module: nn.Module,
    inputs: Float[Tensor, "batch ..."],
    *,
    degree: int,
    fit: Fit = "least-squares",
    follow: bool = True,
) -> PolynomialNet:
    """Fit a polynomial to every activation on calibration inputs, in one forward pass.

    follow: each is fitted on what comes out of the polynomials before it, so that later ones can
    make up for earlier ones; otherwise on what the true net has there. Raises InvalidArgument, also
    where values run away, and ModelRefused for a net without a known activation.
    """
    if not len(inputs):
        raise InvalidArgument("inputs", expected="pictures to calibrate on", found="none")
    made: list[Polynomial] = []

    def act(place: int, name: str, values: Tensor) -> Tensor:
        function = activation_of(name)
        kept = _together(values)
        if not len(kept):
            raise InvalidArgument(
                "degree", expected="one at which values stay finite",
                found=f"{degree}, where they run away before activation {place}",
            )  # fmt: skip
        flat = kept.flatten()
        step = max(1, len(flat) // _SAMPLES)
        ends = torch.stack([flat.min(), flat.max()])  # the range is that of all values
        samples = torch.cat([flat[::step], ends])
        polynomial = fit_polynomial(function, samples, degree=degree, fit=fit)
        made.append(polynomial)
        return polynomial(values) if follow else function(values)

    with acting(act):
        module(inputs)
    if not made:
        raise ModelRefused(type(module).__name__, "it has no ReLU, GELU or SiLU to replace")
    return PolynomialNet(module=module, polynomials=tuple(made))


def _together(values: Tensor) -> Tensor:
    """The pictures that have not run away: one that has would stretch the range for all others."""
    peaks = values.detach().flatten(1).abs().amax(1)
    usual = peaks[torch.isfinite(peaks)]
    if not len(usual):
        return values[:0]
    return values.detach()[peaks <= _AWAY * usual.median()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How far a net is from its own true one after an activation. error: ‖p − a‖ / ‖a‖, the median
    over pictures. lost: share of pictures whose error is above 1. outside: share of values beyond
    the range that was fitted, where a polynomial runs away."""

    error: float
    lost: float
    outside: float


def depth_errors(net: PolynomialNet, inputs: Float[Tensor, "batch ..."]) -> tuple[Depth, ...]:
    """One entry an activation, in the order of the calls; the true net sees the same inputs."""
    truth = _outputs(net.module, inputs)
    found: list[Depth] = []

    def act(place: int, name: str, values: Tensor) -> Tensor:
        held, wanted = net.polynomials[place], truth[place].double().flatten(1)
        given = held(values)
        apart = (given.double().flatten(1) - wanted).norm(dim=1) / wanted.norm(dim=1)
        apart = apart.nan_to_num(nan=float("inf"), posinf=float("inf"))
        inside = (values >= held.low) & (values <= held.high)
        found.append(
            Depth(
                error=float(apart.median()),
                lost=float((apart > 1).double().mean()),
                outside=1.0 - float(inside.double().mean()),
            )
        )
        return given

    with acting(act):
        net.module(inputs)
    return tuple(found)


def _outputs(module: nn.Module, inputs: Tensor) -> list[Tensor]:
    """What each activation of the true net gives."""
    outputs: list[Tensor] = []

    def act(place: int, name: str, values: Tensor) -> Tensor:
        given = activation_of(name)(values)
        outputs.append(given)
        return given

    with acting(act):
        module(inputs)
    return outputs
