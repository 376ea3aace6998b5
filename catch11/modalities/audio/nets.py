"""Small nets that hear: a waveform in frames or in overlapping steps, then a few convolutions."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from catch11.models.files.nets import Shapes, architecture

Layout = Literal["channels", "frames", "picture"]
_WIDE = 1 << 12  # of a file's shapes; beyond it the file is refused


class Heard(nn.Module):
    """A net of waveforms as one of windows (n, 1, 1, time), samples in [-1, 1].

    flat: the net takes (n, time), else (n, 1, time). normalised: each utterance is brought to mean
    0 and variance 1 first, as Wav2Vec2FeatureExtractor does with do_normalize: a scale and a shift
    of the window that depend on the window.
    """

    def __init__(self, net: nn.Module, *, flat: bool = False, normalised: bool = False) -> None:
        super().__init__()
        self.net, self.flat, self.normalised = net, flat, normalised
        self.own_scale = normalised  # which `find_front` then allows

    def forward(self, pixel_values: Float[Tensor, "batch 1 1 time"]) -> object:
        """What the net answers."""
        samples = pixel_values[:, 0, 0]
        if self.normalised:
            mean = samples.mean(1, keepdim=True)
            spread = samples.var(1, keepdim=True, unbiased=False)
            samples = (samples - mean) / (spread + 1e-7).sqrt()
        return self.net(samples if self.flat else samples[:, None])


class Features(nn.Module):
    """A net of features as one of windows (n, channel, height, width).

    layout "channels": windows (mel, 1, frame), the net takes (n, mel, frame), as Whisper; "frames":
    windows (1, mel, frame), the net takes (n, frame, mel), as AST; "picture": the window itself.
    """

    def __init__(self, net: nn.Module, *, layout: Layout) -> None:
        super().__init__()
        self.net, self.layout = net, layout

    def forward(self, pixel_values: Float[Tensor, "batch channel height width"]) -> object:
        """What the net answers."""
        if self.layout == "channels":
            return self.net(pixel_values[:, :, 0])
        if self.layout == "frames":
            return self.net(pixel_values[:, 0].transpose(1, 2))
        return self.net(pixel_values)


class Keywords(nn.Module):
    """Keyword spotting on raw samples (after M5 of Dai et al. 1610.00087), (n, 1, time) to logits.

    first: channels of the first layer; kernel: its size in samples, every fifth of which it
    starts. framed: it starts every kernel instead, as transformers read patches, and so has a null
    space in each frame.
    """

    def __init__(
        self,
        *,
        classes: int,
        first: int = 32,
        kernel: int = 80,
        wide: int = 48,
        framed: bool = False,
    ) -> None:
        super().__init__()
        stride = kernel if framed else max(1, kernel // 5)
        self.add_module("frames" if framed else "stem", nn.Conv1d(1, first, kernel, stride))
        self.first = "frames" if framed else "stem"
        self.bn0 = nn.BatchNorm1d(first)
        self.conv1 = nn.Conv1d(first, wide, 5, 2, 2)
        self.bn1 = nn.BatchNorm1d(wide)
        self.conv2 = nn.Conv1d(wide, wide, 5, 2, 2)
        self.bn2 = nn.BatchNorm1d(wide)
        self.conv3 = nn.Conv1d(wide, wide, 5, 2, 2)
        self.bn3 = nn.BatchNorm1d(wide)
        self.head = nn.Linear(wide, classes)

    def forward(self, samples: Float[Tensor, "batch 1 time"]) -> Float[Tensor, "batch classes"]:
        """Samples to logits."""
        x = F.relu(self.bn0(self.get_submodule(self.first)(samples)))
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        return self.head(x.mean(2))


class SpectrogramNet(nn.Module):
    """Keyword spotting on a log spectrogram, (n, 1, frame, bin) to logits."""

    def __init__(self, *, classes: int, wide: int = 24) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(1, wide, 5, 2, 2)
        self.bn0 = nn.BatchNorm2d(wide)
        self.conv1 = nn.Conv2d(wide, wide, 3, 2, 1)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, 2 * wide, 3, 2, 1)
        self.bn2 = nn.BatchNorm2d(2 * wide)
        self.head = nn.Linear(2 * wide, classes)

    def forward(
        self, spectrogram: Float[Tensor, "batch 1 frame bin"]
    ) -> Float[Tensor, "batch classes"]:
        """Spectrograms to logits."""
        x = F.relu(self.bn0(self.conv0(spectrogram)))
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.head(x.mean((2, 3)))


def log_spectrogram(
    samples: Float[Tensor, "batch time"], *, size: int, hop: int
) -> Float[Tensor, "batch 1 frame bin"]:
    """log10 of the magnitude, at least 1e-4, of Hann windows of `size` samples every `hop`."""
    window = torch.hann_window(size, dtype=samples.dtype, device=samples.device)
    waves = torch.stft(
        samples, size, hop, window=window, center=False, return_complex=True
    )  # (batch, bin, frame)
    return waves.abs().clamp_min(1e-4).log10().transpose(1, 2)[:, None]


@architecture("keywords")
def _keywords(shapes: Shapes) -> nn.Module | None:
    framed = "frames.weight" in shapes
    stem = shapes.get("frames.weight" if framed else "stem.weight", ())
    head = shapes.get("head.weight", ())
    if len(stem) != 3 or len(head) != 2 or "bn3.weight" not in shapes:
        return None
    if not 1 <= min(*stem, *head) <= max(*stem, *head) <= _WIDE:
        return None
    return Keywords(classes=head[0], first=stem[0], kernel=stem[2], wide=head[1], framed=framed)


@architecture("spectrogram_keywords")
def _spectrogram(shapes: Shapes) -> nn.Module | None:
    head = shapes.get("head.weight", ())
    if len(head) != 2 or "conv0.weight" not in shapes or not 1 <= max(head) <= _WIDE:
        return None
    return SpectrogramNet(classes=head[0], wide=head[1] // 2)
