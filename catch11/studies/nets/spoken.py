"""Ten spoken words for studies of sounds, and the nets that learn them.

No speech corpus can be fetched everywhere, so the words are spoken on the spot by espeak-ng (Debian
package espeak-ng), with 32 voices, five accents and drawn pitch and speed: the vocabulary of Speech
Commands' smaller half. Test words are spoken by eight voices that training never heard. Where
espeak-ng is not installed, ten chirps take their place; a chirp is easier than a word, and says so
by its name.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import Clip, decode_clip, fit_clip, resample
from catch11.modalities.audio.model import AudioModel, Listen, sound_model, spectrogram_features
from catch11.modalities.audio.nets import Features, Heard, Keywords, SpectrogramNet
from catch11.studies.nets.descent import descend
from catch11.studies.place import Unavailable

RATE, SAMPLES = 8000, 8000
CLASSES = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_NAMES = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 adam Alex Alicia Andrea Andy Annie belinda benjamin boris "
    "caleb david Denis Diogo ed edward Gene Henrique Hugo iven"
)
VOICES = _NAMES.split()
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
HEARD = 24  # voices to train on; the others are for testing
TRAIN_EACH, TEST_EACH = 6, 4  # times that a voice says each word
PROGRAM = "espeak-ng"
EPOCHS, BATCH, RATE_OF_LEARNING = 18, 32, 2e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spoken:
    """Windows in [0, 1], (sample + 1) / 2, and their classes."""

    train: Float[Tensor, "train 1 1 time"]
    train_labels: Int[Tensor, " train"]
    test: Float[Tensor, "test 1 1 time"]
    test_labels: Int[Tensor, " test"]


@cache
def spoken_words() -> Spoken:
    """1,440 words to train on and 320 to test on, spoken by espeak-ng; a minute on one core.

    Raises Unavailable where espeak-ng is not installed.
    """
    if shutil.which(PROGRAM) is None:
        raise Unavailable(PROGRAM, "install the Debian package espeak-ng, or take the quick scale")
    draw = np.random.default_rng(11)
    train = _say_all(VOICES[:HEARD], TRAIN_EACH, draw)
    return _spoken(train, _say_all(VOICES[HEARD:], TEST_EACH, draw))


@cache
def chirps(train: int = 400, test: int = 100) -> Spoken:
    """Ten chirps, of five starting pitches and two directions, in noise; nothing to install."""
    draw = np.random.default_rng(12)
    sets = [[(_chirp(i % 10, draw), i % 10) for i in range(count)] for count in (train, test)]
    return _spoken(sets[0], sets[1])


def canvas() -> Canvas:
    """One second at 8,000 samples a second."""
    return sound_canvas((1, 1, SAMPLES), rate=RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A net of the studies: how it is built and heard, and the seed of its training."""

    build: Callable[[], nn.Module]
    seed: int
    spectrogram: bool = False


def _framed() -> nn.Module:
    return Heard(Keywords(classes=10, first=24, kernel=64, framed=True))


def _overlapping() -> nn.Module:
    return Heard(Keywords(classes=10, first=32, kernel=80))


def _spectral() -> nn.Module:
    return Features(SpectrogramNet(classes=10, wide=16), layout="picture")


NETS: Mapping[str, Net] = {
    "framed": Net(build=_framed, seed=1),
    "framed_twin": Net(build=_framed, seed=2),
    "overlapping": Net(build=_overlapping, seed=3),
    "overlapping_twin": Net(build=_overlapping, seed=4),
    "spectrogram": Net(build=_spectral, seed=5, spectrogram=True),
}


def sound_net(name: str, words: Spoken, *, epochs: int = EPOCHS) -> AudioModel:
    """A net of `NETS`, trained from scratch: the same weights whenever it is asked for."""
    net = NETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(net.seed)
        module = net.build()
    place, listen = canvas(), None
    if net.spectrogram:
        place, listen = spectrogram_features(rate=RATE, samples=SAMPLES, size=256, hop=128)
    prepare = _inputs(canvas(), listen)
    generator = torch.Generator().manual_seed(net.seed)
    _train(module, words, prepare, epochs=epochs, generator=generator)
    return sound_model(
        f"py:{__name__}:{name}", module, place, name=name, listen=listen,
        labels=lambda count: CLASSES,
    )  # fmt: skip


@cache
def trained(name: str) -> AudioModel:
    return sound_net(name, spoken_words())


@cache
def chirping(name: str) -> AudioModel:
    return sound_net(name, chirps(), epochs=6)


# The nets by spec, so that every command can be tried on them: py:catch11.studies.nets.spoken:framed,
# or trained on chirps in seconds: py:catch11.studies.nets.spoken:chirping_framed.
framed, framed_twin, overlapping, overlapping_twin, spectrogram = (
    partial(trained, name) for name in NETS
)
chirping_framed, chirping_twin, chirping_overlapping, _, chirping_spectrogram = (
    partial(chirping, name) for name in NETS
)
for _function in (
    framed, framed_twin, overlapping, overlapping_twin, spectrogram,
    chirping_framed, chirping_twin, chirping_overlapping, chirping_spectrogram,
):  # fmt: skip
    _function.modality = "audio"  # type: ignore[attr-defined]


def _inputs(window: Canvas, listen: Listen | None) -> Callable[[Tensor], Tensor]:
    """Windows in [0, 1] to a net's input."""
    if listen is None:
        return window.normalise
    heard: Listen = listen

    def prepare(windows: Tensor) -> Tensor:
        waves = (windows.flatten(1) * 2.0 - 1.0).numpy()
        return heard([Clip(samples=wave, rate=RATE) for wave in waves])

    return prepare


def _train(
    module: nn.Module, words: Spoken, prepare: Callable[[Tensor], Tensor], *, epochs: int,
    generator: torch.Generator,
) -> None:  # fmt: skip
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE_OF_LEARNING, weight_decay=1e-2)
    steps = epochs * -(-len(words.train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2 * RATE_OF_LEARNING, total_steps=steps
    )
    module.train()

    def loss(batch: Tensor) -> Tensor:
        made = module(prepare(_varied(words.train[batch], generator)))
        return nn.functional.cross_entropy(made, words.train_labels[batch], label_smoothing=0.05)

    descend(
        loss, optimizer, schedule,
        count=len(words.train), epochs=epochs, batch=BATCH, generator=generator,
    )  # fmt: skip


def _varied(windows: Tensor, generator: torch.Generator) -> Tensor:
    """Shifted by up to a tenth of a second, louder or quieter by 6 dB, in noise of any small strength."""
    waves = windows * 2.0 - 1.0
    shift = int(torch.randint(-RATE // 10, RATE // 10 + 1, (1,), generator=generator))
    loud = 2.0 ** (torch.rand(len(waves), 1, 1, 1, generator=generator) * 2.0 - 1.0)
    level = 0.01 * torch.rand(len(waves), 1, 1, 1, generator=generator).square()
    noise = level * torch.randn(waves.shape, generator=generator)
    return ((waves.roll(shift, 3) * loud + noise).clamp(-1.0, 1.0) + 1.0) / 2.0


def _spoken(train: list[tuple[np.ndarray, int]], test: list[tuple[np.ndarray, int]]) -> Spoken:
    def stack(items: list[tuple[np.ndarray, int]]) -> tuple[Tensor, Tensor]:
        made = [fit_clip(Clip(samples=wave, rate=RATE), canvas()) for wave, _ in items]
        # As a 16-bit file holds them: what is released and checked starts from a file.
        values = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2)
        values = (values * 65536).round().clamp(0, 65535) / 65536
        return values.contiguous(), torch.tensor([label for _, label in items])

    (one, ones), (other, others) = stack(train), stack(test)
    return Spoken(train=one, train_labels=ones, test=other, test_labels=others)


def _say_all(
    voices: list[str], each: int, draw: np.random.Generator
) -> list[tuple[np.ndarray, int]]:
    made = []
    for label, word in enumerate(CLASSES):
        for voice in voices:
            for _ in range(each):
                accent = ACCENTS[int(draw.integers(len(ACCENTS)))]
                pitch, speed = int(draw.integers(25, 76)), int(draw.integers(120, 191))
                wave = _say(word, f"{accent}+{voice}", pitch, speed)
                made.append((_placed(wave, draw), label))
    return made


def _say(word: str, voice: str, pitch: int, speed: int) -> np.ndarray:
    command = [PROGRAM, "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", word]
    data = bytearray(subprocess.run(command, check=True, capture_output=True).stdout)
    # A stream's length is not known when its header is written.
    start = data.index(b"data") + 8
    data[start - 4 : start] = (len(data) - start).to_bytes(4, "little")
    clip = decode_clip(bytes(data))
    return resample(clip.samples, clip.rate, RATE)


def _placed(wave: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The word at a drawn place in its second and a drawn loudness, in faint noise."""
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1][:SAMPLES]
    start = int(draw.integers(0, SAMPLES - len(wave) + 1))
    made = 0.002 * draw.standard_normal(SAMPLES)
    level = 10.0 ** (-draw.uniform(0.0, 12.0) / 20.0)
    made[start : start + len(wave)] += 0.8 * level * wave / np.abs(wave).max()
    return np.clip(made, -1.0, 1.0).astype(np.float32)


def _chirp(label: int, draw: np.random.Generator) -> np.ndarray:
    """Half a second that glides up or down by half an octave from one of five pitches."""
    time = np.arange(SAMPLES // 2) / RATE
    pitch = 250.0 * 1.6 ** (label // 2) * draw.uniform(0.97, 1.03)
    octaves = (1.0 if label % 2 else -1.0) * time
    phase = 2 * np.pi * np.cumsum(pitch * 2.0**octaves) / RATE
    made = 0.02 * draw.standard_normal(SAMPLES)
    start = int(draw.integers(0, SAMPLES // 2))
    made[start : start + len(time)] += draw.uniform(0.2, 0.6) * np.sin(phase)
    return np.clip(made, -1.0, 1.0).astype(np.float32)
