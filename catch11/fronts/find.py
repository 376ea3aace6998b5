"""Find the front of a torch model: run it on a probe and see which layer reads the input itself."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument, NoFront
from catch11.fronts.affine import Unusable
from catch11.fronts.front import Front
from catch11.fronts.held import Trial, held_front, leeway, other_window
from catch11.fronts.layer import LAYERS, NORMS, Call
from catch11.fronts.stack import stackable, stacked

# A submodule's attribute: it says itself that it brings each window to the window's own deviation.
OWN_SCALE = "own_scale"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """The front with the call of its layer on the probe, the BatchNorm right behind it, and what the
    model said of the probe. Of a front of several layers, the call of the first."""

    front: Front
    call: Call
    norm: nn.Module | None
    probe: Float[Tensor, "1 channel height width"]
    answer: Float[Tensor, "..."]


def find_front(module: nn.Module, canvas: Canvas, *, layer: str | None = None) -> Front:
    """The first linear map of `module` in pixel units of the canvas window.

    Found by running the module on two probes: the layer whose input is the model's input, up to
    padding, channel order and one affine map a channel (a second normalisation), or a rearrangement
    into patches or one vector; a BatchNorm right behind it is folded in. It is accepted only if the
    front says of both probes what the layer puts out, and the output does not change when the input
    does and the layer's output is held. Where several convolutions read the input side by side, and
    the output changes with none but theirs, they are stacked. `layer` names one.

    Raises NoFront with every layer tried and why. Source: paper §3.1; DESIGN "Front geometries".
    """
    return find_reader(module, canvas, layer=layer).front


def find_reader(module: nn.Module, canvas: Canvas, *, layer: str | None = None) -> Found:
    """As `find_front`, with the layer and what it was given, for those who change it."""
    probe = probe_window(canvas)
    other = other_window(probe)
    calls, answer = _record(module, probe)
    again, moved = _record(module, other)
    scaled = any(getattr(part, OWN_SCALE, False) for part in module.modules())
    names = [call.name for call in calls if isinstance(call.layer, LAYERS)]
    if layer is not None and layer not in names:
        raise InvalidArgument(
            "layer", expected=f"one of {', '.join(names[:8])}…", found=repr(layer)
        )
    tried: list[tuple[str, str]] = []
    readers: list[Found] = []  # fronts, around each of which the input reaches the output
    for call, second in zip(calls, again, strict=False):
        if not isinstance(call.layer, LAYERS) or layer not in (None, call.name):
            continue
        try:
            trials, norm = [], None
            norms = _norm_behind(call, calls), _norm_behind(second, again)
            call, second = (_anew(one) for one in (call, second))
            for values, one, behind in zip((probe, other), (call, second), norms, strict=True):
                norm, seen = _normed(behind, one.made)
                trials.append(Trial(probe=values, call=one, made=seen))
            front = held_front(trials, canvas, norm, scaled=scaled)
            found = Found(front=front, call=call, norm=norm, probe=probe, answer=answer)
            readers.append(found)
            _check_all_read(module, [call], other, answer, moved)
            return found
        except Unusable as reason:
            tried.append((call.name, str(reason)))
    if len(readers) > 1 and stackable([one.front for one in readers]):
        with suppress(Unusable):
            _check_all_read(module, [one.call for one in readers], other, answer, moved)
            return replace(readers[0], front=stacked([one.front for one in readers]))
    tried += [
        (name, "it is quantised: its weights are no plain kernel; take the model before that")
        for name, part in module.named_modules()
        if not tried
        and type(part).__module__.startswith("torch.ao.nn.quantized")
        and hasattr(part, "weight")
    ]
    raise NoFront(tried)


def probe_window(canvas: Canvas) -> Float[Tensor, "1 channel height width"]:
    """Distinct values without structure over what every channel makes of pixels from 0 to 1, so that
    what a model clips is clipped here too; public, so a seeded generator will do."""
    ends = [sorted((o, g + o)) for g, o in zip(canvas.gain, canvas.offset, strict=True)]
    low, high = max(low for low, _ in ends), min(high for _, high in ends)
    low, high = (low, high) if low < high else (-1.0, 1.0)
    generator = torch.Generator().manual_seed(11)
    count = math.prod(canvas.shape)
    order = torch.randperm(count, generator=generator).double()
    return (low + (high - low) * (order + 0.5) / count).float().reshape(1, *canvas.shape)


def _record(module: nn.Module, probe: Tensor) -> tuple[list[Call], Tensor]:
    """The calls of layers on the probe, in order, and the model's answer."""
    calls: list[Call] = []

    def hook(name: str) -> Any:
        def note(layer: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(made, Tensor):
                calls.append(Call(name=name, layer=layer, given=given[0], made=made))

        return note

    handles = [
        child.register_forward_hook(hook(name))
        for name, child in module.named_modules()
        if isinstance(child, LAYERS + NORMS)
    ]
    try:
        answer = run_probe(module, probe)
    finally:
        for handle in handles:
            handle.remove()
    return calls, answer


def run_probe(
    module: nn.Module, values: Float[Tensor, "batch channel height width"]
) -> Float[Tensor, "..."]:
    """The model's first output tensor on normalised windows, in evaluation mode, no gradient."""
    parameter = next(module.parameters(), None)
    if parameter is not None:
        values = values.to(parameter)
    with torch.no_grad(), evaluating(module):
        return first_tensor(module(values))


def named_tensors(output: object) -> dict[str, Tensor]:
    """The tensors of a model's output by their names, or numbers; `logits` first where there are any."""
    if isinstance(output, Tensor):
        return {"output": output}
    if isinstance(output, Mapping):
        found = {str(name): value for name, value in output.items() if isinstance(value, Tensor)}
    elif isinstance(output, list | tuple):
        names = getattr(output, "_fields", range(len(output)))
        pairs = zip(names, output, strict=True)
        found = {str(name): value for name, value in pairs if isinstance(value, Tensor)}
    else:
        logits = getattr(output, "logits", None)
        found = {"logits": logits} if isinstance(logits, Tensor) else {}
    return {"logits": found["logits"], **found} if "logits" in found else found


def first_tensor(output: object) -> Tensor:
    """The tensor a module's output carries: `logits` where there are any, else the first tensor."""
    for value in named_tensors(output).values():
        return value
    raise InvalidArgument("model", expected="a tensor as output", found=type(output).__name__)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each submodule's own mode restored after."""
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


def _norm_behind(call: Call, calls: list[Call]) -> nn.Module | None:
    """The BatchNorm that reads a layer."""
    found = (one.layer for one in calls if isinstance(one.layer, NORMS) and one.given is call.made)
    return next(found, None)


@torch.no_grad()
def _anew(call: Call) -> Call:
    """The call with what the layer puts out, which an activation behind it may have written over.

    Raises Unusable for a layer that does not run by itself.
    """
    given = call.given.to(call.layer.weight.dtype)  # type: ignore[arg-type]
    try:
        with evaluating(call.layer):
            return replace(call, made=call.layer(given).to(call.made.dtype))
    except Exception as error:  # noqa: BLE001 - a stranger's layer may ask for more
        raise Unusable(f"it does not run by itself ({type(error).__name__})") from None


@torch.no_grad()
def _normed(norm: nn.Module | None, made: Tensor) -> tuple[nn.Module | None, Tensor]:
    """A BatchNorm and what it makes of a response, before an activation of its own; none where it does more."""
    if not isinstance(norm, NORMS):
        return None, made
    if norm.running_mean is None:
        return norm, norm(made)
    plain = F.batch_norm(
        made, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )
    if type(norm) in NORMS:
        return norm, plain
    with evaluating(norm):
        act = getattr(norm, "act", nn.Identity())
        same = torch.allclose(norm(made), act(plain.clone()), rtol=1e-4, atol=1e-5)
    return (norm, plain) if same else (None, made)


def _check_all_read(
    module: nn.Module, calls: Sequence[Call], other: Tensor, clean: Tensor, moved: Tensor
) -> None:
    """Hold what the layers put out and change the input: an answer that moves, beside how far it moves
    where nothing is held, has another source. Raises Unusable."""
    with ExitStack() as hooks:
        for call in calls:
            held_at = partial(_held, call.made)
            hooks.callback(call.layer.register_forward_hook(held_at).remove)
        held = run_probe(module, other)
    if held.shape == clean.shape == moved.shape:
        held, clean, moved = held.float(), clean.float(), moved.float()
        rounding = 4 * torch.finfo(clean.dtype).eps * clean.norm()
        if (held - clean).norm() <= leeway(calls[0].made) * (moved - clean).norm() + rounding:
            return
    raise Unusable("the input also reaches the output around it")


def _held(made: Tensor, *_: object) -> Tensor:
    return made.clone()
