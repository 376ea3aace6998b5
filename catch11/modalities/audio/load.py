"""Models of sounds by spec: transformers folders, torch files and functions of the user's own."""

from collections.abc import Callable
from functools import partial

from torch import nn

from catch11.canvas.frame import RATE, Canvas
from catch11.canvas.plain import sound_canvas
from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.audio import nets as sound_nets
from catch11.modalities.audio.hub import from_hub
from catch11.modalities.audio.model import (
    AudioModel,
    Listen,
    sound_facts,
    sound_model,
    spectrogram_features,
    whole_up_to,
)
from catch11.models.files import function
from catch11.models.files.sidecar import class_names
from catch11.models.files.torch import read_module
from catch11.models.frame import local_file
from catch11.models.load import parse_spec


def load_audio(spec: str, *, device: str = "cpu", allow_code: bool = False) -> AudioModel:
    """Load a model of sounds: hf: a transformers folder or id, torch: a file with a JSON beside it
    ({"sample_rate": 16000, "samples": 16000, "classes": [...]}), py: a function of the user's own
    that returns an AudioModel or (nn.Module, Canvas of a rate[, labels]).

    Raises ModelRefused, InvalidArgument.
    """
    kind, rest = parse_spec(spec)
    if kind == "hf":
        return from_hub(rest, device=device, allow_code=allow_code)
    if kind == "torch":
        return _from_file(rest, device=device, allow_code=allow_code)
    if kind == "py":
        model = function.load(rest, device=device, allow_code=allow_code, finish=_finished)
        if not isinstance(model, AudioModel):
            raise ModelRefused(
                spec, "the function returned a model of pictures", "give one of sounds"
            )
        return model
    raise ModelRefused(spec, f"{kind}: holds no model of sounds", "write hf:, torch: or py:")


def _finished(
    spec: str, module: nn.Module, canvas: Canvas, labels: Callable[[int], tuple[str, ...]],
    *, name: str, device: str,
) -> AudioModel:  # fmt: skip
    if not canvas.sound:
        raise ModelRefused(spec, "the function returned a model of pictures", "give one of sounds")
    return sound_model(spec, module, canvas, name=name, labels=labels, device=device)


def _from_file(rest: str, *, device: str, allow_code: bool) -> AudioModel:
    spec = f"torch:{rest}"
    path = local_file(spec, rest)
    facts = sound_facts(spec, path.with_suffix(".json"))
    net = read_module(spec, path, allow_code=allow_code)
    rate = whole_up_to(spec, "sample_rate", facts.get("sample_rate"), RATE)
    samples = whole_up_to(spec, "samples", facts.get("samples"), 1 << 20)
    canvas, listen = sound_canvas((1, 1, samples), rate=rate), None
    module: nn.Module = sound_nets.Heard(
        net, flat=bool(facts.get("flat")), normalised=bool(facts.get("normalise"))
    )
    if "spectrogram" in facts:
        canvas, listen = _spectrogram(spec, facts["spectrogram"], rate=rate, samples=samples)
        module = sound_nets.Features(net, layout="picture")
    return sound_model(
        spec, module, canvas, name=path.stem, listen=listen, device=device,
        labels=partial(class_names, spec, facts), output=facts.get("output"), fingerprint=module_fingerprint(net),
    )  # fmt: skip


def _spectrogram(spec: str, facts: object, *, rate: int, samples: int) -> tuple[Canvas, Listen]:
    """The canvas and listener of a log spectrogram {"size": 256, "hop": 128}."""
    given = facts if isinstance(facts, dict) else {}
    size = whole_up_to(spec, "spectrogram.size", given.get("size"), samples)
    hop = whole_up_to(spec, "spectrogram.hop", given.get("hop"), samples)
    return spectrogram_features(rate=rate, samples=samples, size=size, hop=hop)
