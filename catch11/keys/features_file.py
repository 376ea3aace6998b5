"""Feature files: what the authorized side hands over instead of weights, and keys made from it.

A safetensors file with the tensors `windows` (n, channel, height, width), pixels in [0, 1], and
`features`, the first layer's outputs before any nonlinearity; its metadata hold kernel, stride,
dilation, padding (top, bottom, left, right) and groups as JSON under `catch11`.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from catch11.canvas.frame import Canvas
from catch11.data.windows import folder_windows
from catch11.errors import InvalidArgument
from catch11.keys.estimate import Probe, choose_rule, estimate_front, probe_layer
from catch11.keys.key import Key, key_of
from catch11.models.frame import Model

_SHAPE = ("kernel", "stride", "dilation", "padding", "groups")


def take_probe(model: Model, folder: str | os.PathLike[str], *, layer: str | None = None) -> Probe:
    """Run pictures through the model and keep what its first layer answers; no weight is read.

    The layer's place and shape come from the model, as its owner knows them. At most 64
    readable pictures of `folder`, in the order of their names.
    """
    if model.module is None:
        raise InvalidArgument(
            "--probe", expected="a torch model, or a folder of feature files", found=model.spec
        )
    front = model.front(layer)
    if front.layer not in dict(model.module.named_modules()):
        raise InvalidArgument(
            "--probe", expected="a model whose input one layer reads", found=front.layer
        )
    windows = folder_windows(folder, model.canvas)
    features = probe_layer(model.module, front.layer, windows, normalise=model.canvas.normalise)
    return Probe(
        windows=windows, features=features, kernel=front.kernel, stride=front.stride,
        dilation=front.dilation, padding=front.padding, groups=front.groups,
    )  # fmt: skip


def save_probe(probe: Probe, path: str | os.PathLike[str]) -> None:
    """Write a feature file."""
    facts = json.dumps({name: getattr(probe, name) for name in _SHAPE})
    tensors = {"windows": probe.windows.contiguous(), "features": probe.features.contiguous()}
    save_file(tensors, path, metadata={"catch11": facts})


def load_probe(path: str | os.PathLike[str]) -> Probe:
    """Read a feature file; raises InvalidArgument, one sentence, whatever is wrong with it."""
    try:
        with safe_open(path, "pt") as file:
            facts = _facts(json.loads((file.metadata() or {})["catch11"]))
            windows, features = (file.get_tensor(name).float() for name in ("windows", "features"))
        return Probe(windows=windows, features=features, **facts)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InvalidArgument(
            "--probe", expected="a feature file (windows, features and their kernel)",
            found=f"{path}: {reason}",
        ) from None  # fmt: skip


def probed_key(
    folder: str | os.PathLike[str],
    canvas: Canvas,
    *,
    model: Model | None = None,
    layer: str | None = None,
    psnr: float = 10.0,
    deviation: float = 0.01,
) -> Key:
    """A key from features alone: the front estimated, the largest rule that moves the probed
    features by at most `deviation` at `psnr` dB. It holds no model fingerprint.

    folder: feature files, or sample pictures that are then run through `model`.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files and model is None:
        raise InvalidArgument("--probe", expected="*.safetensors feature files", found="none")
    if files or model is None:
        probe = _merged([load_probe(file) for file in files])
    else:
        probe = take_probe(model, folder, layer=layer)
    return key_from_probe(probe, canvas, psnr=psnr, deviation=deviation)


def key_from_probe(
    probe: Probe, canvas: Canvas, *, psnr: float = 10.0, deviation: float = 0.01
) -> Key:
    """A key from one probe; see `probed_key`."""
    front = estimate_front(probe, canvas)
    rule = choose_rule(front, probe.windows, psnr=psnr, deviation=deviation)
    return key_of(front, canvas=canvas, rule=rule)


def _facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Kernel, stride, dilation, padding and groups as small whole numbers."""
    read: dict[str, Any] = {}
    for name, count in (("kernel", 2), ("stride", 2), ("dilation", 2), ("padding", 4)):
        values = facts[name]
        if len(values) != count or not all(type(v) is int and 0 <= v <= 4096 for v in values):
            raise ValueError(f"{name} is {str(values)[:40]}")
        read[name] = tuple(values)
    if type(facts["groups"]) is not int or facts["groups"] < 1:
        raise ValueError("groups is no count")
    return read | {"groups": facts["groups"]}


def _merged(probes: list[Probe]) -> Probe:
    first = probes[0]
    for other in probes[1:]:
        if any(getattr(other, name) != getattr(first, name) for name in _SHAPE):
            raise InvalidArgument(
                "--probe", expected="feature files of one layer", found="different kernels"
            )
    return Probe(
        windows=torch.cat([p.windows for p in probes]),
        features=torch.cat([p.features for p in probes]),
        **{name: getattr(first, name) for name in _SHAPE},
    )
