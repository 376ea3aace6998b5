"""Models that hear: from transformers folders, torch files and functions of the user's own.

A waveform model reads a window of raw samples, and its releases are wav files. A feature model
(Whisper, AST) reads log-mel features, which no wav of noise gives back, so its releases are the
feature tensors themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import Clip, decode_clip, fit_clip, heard
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.find import named_tensors
from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.audio import nets as sound_nets  # its nets join the registry of known ones
from catch11.models.answer import Picked, answers_of, indices
from catch11.models.files.sidecar import REMARKS, facts_beside
from catch11.models.frame import Model, move
from catch11.models.weights import check_weights

WAVES = frozenset(
    {"wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "unispeech", "unispeech-sat", "sew",
     "sew-d", "data2vec-audio"}
)  # fmt: skip
FEATURES = frozenset({"whisper", "audio-spectrogram-transformer"})
WINDOW = "catch11.json"  # beside config.json: {"seconds": 2}
LOG_MEL = (4.0, -2.0)  # gain and offset: v in [0, 1] stands for features from -2 to 2

_KNOWN = REMARKS | {
    "sample_rate", "samples", "seconds", "language", "flat", "normalise", "spectrogram", "output",
}  # fmt: skip

Listen = Callable[[Sequence[Clip]], Tensor]
"""Sounds to the model's input (n, channel, height, width), as its own pipeline makes it."""
Heard = Callable[[Clip], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AudioModel(Model):
    """A model of sounds: its canvas holds the rate and one window. features: its input is features
    that are no waveform, so a release of it is feature tensors."""

    modality: ClassVar[str] = "audio"

    features: bool = False

    def __repr__(self) -> str:
        window = "x".join(map(str, self.canvas.shape))
        return f"AudioModel({self.name!r}, {window} at {self.canvas.rate}/s, {len(self.labels)} classes)"

    def preprocess(self, images: Sequence[Any]) -> Float[Tensor, "n c h w"]:
        """Sounds to the model's input; a tensor of features is taken as it is, if it fits.

        Raises InvalidArgument for features of another shape.
        """
        if not images:
            return torch.zeros(0, *self.canvas.shape, device=self.device)
        made = [self._input(item) for item in images]
        return torch.cat(made).to(self.device, torch.float32)

    def read(self, data: bytes, path: str, canvas: Canvas) -> np.ndarray:
        """A source file as the release reads it; see `releases.windows.Read`."""
        clip = decode_clip(data, path=path, canvas=None if self.features else canvas)
        if not self.features:
            return fit_clip(clip, canvas)
        return self._hear(clip)[0].permute(1, 2, 0).numpy()

    @property
    def heard(self) -> Heard | None:
        """Of a feature model, how it hears a clip: clipped to [0, 1]."""
        return self._hear if self.features else None

    def _hear(self, clip: Clip) -> Tensor:
        values = self.prepare([clip])  # type: ignore[list-item]
        return self.canvas.denormalise(values).clamp(0.0, 1.0)

    def _input(self, item: object) -> Tensor:
        if isinstance(item, Clip):
            return self.prepare([item])  # type: ignore[list-item]
        if not isinstance(item, Tensor) or item.shape != self.canvas.shape or not self.features:
            found = tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__
            expected = f"features of {self.canvas.shape}" if self.features else "sounds"
            raise InvalidArgument(f"input of {self.name}", expected=expected, found=found)
        return item[None]


def claims(facts: Mapping[str, Any]) -> bool:
    """Whether a config.json, or the JSON beside a file, is of a model of sounds."""
    return facts.get("model_type") in WAVES | FEATURES or "sample_rate" in facts


def sound_model(
    spec: str,
    module: nn.Module,
    canvas: Canvas,
    *,
    name: str,
    labels: Callable[[int], tuple[str, ...]] = indices,
    listen: Listen | None = None,
    fingerprint: str = "",
    device: str = "cpu",
    notes: tuple[str, ...] = (),
    output: str | None = None,
) -> AudioModel:
    """A module that takes windows (n, channel, height, width) as an AudioModel.

    listen: of a feature model, how it makes its input of sounds; a waveform model hears the window
    itself. Raises ModelRefused.
    """
    if not canvas.sound:
        raise ModelRefused(spec, "its canvas has no rate", "use sound_canvas(shape, rate=...)")
    check_weights(spec, module)
    name_of = fingerprint or module_fingerprint(module)
    net = move(spec, module, device)
    found = answers_of(spec, lambda v: named_tensors(net(v.to(device))), canvas, asked=output)
    module = net if output is None else Picked(net, output)
    return AudioModel(
        name=name,
        spec=spec,
        module=module,
        canvas=canvas,
        labels=labels(found.classes),
        output=found.output,
        alone=found.alone,
        fingerprint=name_of,
        prepare=listen or wave_listener(canvas),  # type: ignore[arg-type]
        device=device,
        notes=notes,
        features=listen is not None,
    )


def wave_listener(canvas: Canvas) -> Listen:
    """Sounds to windows of raw samples."""

    def listen(clips: Sequence[Clip]) -> Tensor:
        fitted = np.stack([fit_clip(clip, canvas) for clip in clips])
        return canvas.normalise(torch.from_numpy(fitted).permute(0, 3, 1, 2))

    return listen


def spectrogram_features(*, rate: int, samples: int, size: int, hop: int) -> tuple[Canvas, Listen]:
    """The canvas of log10 spectrograms, from -4 to 4, and what makes them of sounds."""
    shape = (1, (samples - size) // hop + 1, size // 2 + 1)

    def listen(clips: Sequence[Clip]) -> Tensor:
        waves = np.stack([heard(clip, rate=rate, samples=samples) for clip in clips])
        return sound_nets.log_spectrogram(torch.from_numpy(waves), size=size, hop=hop)

    return sound_canvas(shape, rate=rate, gain=8.0, offset=-4.0), listen


def sound_facts(spec: str, path: Path) -> dict[str, Any]:
    """The JSON that says what window a model hears. Raises ModelRefused."""
    example = (
        '{"seconds": 2}' if path.name == WINDOW else '{"sample_rate": 16000, "samples": 16000}'
    )
    lacks = ", so its window is unknown"
    return facts_beside(spec, path, known=_KNOWN, lacks=lacks, remedy=f"write {example}")


def whole_up_to(spec: str, name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ModelRefused(spec, f"its {name} is {value!r:.40}, expected 1 to {most}")
    return value
