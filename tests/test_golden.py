"""What a release holds stays as it was recorded in `tests/golden`, whatever becomes of the code.

Everything is asked of the command line, of models and sources that are written here, and read back
with libraries of others. Spectral and scrambled files must hold the same pixels, samples, cells and
embeddings; deep files must be answered as the clean data was. Processors round differently: where
the recording's kind runs, contents are equal to the last bit, elsewhere all but some by a level.

Recorded anew on purpose alone, all rows or, with -k, some, and in one process:
`CATCH11_GOLDEN=record python -m pytest tests/test_golden.py`.
"""

import csv
import hashlib
import importlib.util
import json
import math
import os
import secrets
import wave
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.io import wavfile
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    ViTConfig,
    ViTForImageClassification,
)

from tests.calls import run

GOLDEN = Path(__file__).parent / "golden"
FACTS, LEVELS = GOLDEN / "releases.json", GOLDEN / "releases.npz"
MOVED = 0.005  # share of values that another kind of processor may round to the next level


def vision_language_folder(folder: Path) -> Path:
    """The one inner part used here: what writes a tiny InternVL with its processor."""
    from catch11.studies.nets.tiny_vlm import write_tiny

    return write_tiny(folder, "internvl", seed=0)


# Models: functions in a file of the user's own, which knows the package by its public names alone.
NETS = '''
import numpy as np
import torch
from torch import nn

from catch11 import Canvas, Fit


def canvas(side, *, whole=None, channels=3, order=(0, 1, 2), mean=0.5, std=0.25):
    """A window in the middle of a picture, often all of it."""
    whole = whole or side
    edge, resize = (whole - side) // 2, "exact" if whole == side else "short"
    return Canvas(
        height=whole, width=whole, top=edge, left=edge, window_height=side, window_width=side,
        gain=(1 / std,) * channels, offset=(-mean / std,) * channels, channels=channels,
        order=order[:channels], fit=Fit(resize=resize, height=whole, width=whole),
    )


def drawn(net, seed):
    """Weights from numpy, whose generator gives the same on every processor; biases are small."""
    draw = np.random.default_rng(seed)
    for value in net.parameters():
        spread = value[0].numel() ** -0.5 if value.dim() > 1 else 0.05
        value.data = torch.from_numpy(draw.normal(0, spread, tuple(value.shape))).float()
    return net.eval()


def patches(channels=3):
    first = nn.Conv2d(channels, 4 * channels, 4, 4)
    return drawn(nn.Sequential(first, nn.GELU(), nn.Flatten(), nn.Linear(64 * channels, 8)), 1)


def patch():
    return patches(), canvas(16)


def margin():
    return patches(), canvas(16, whole=20)


def grey():
    return patches(1), canvas(16, channels=1, mean=0.4)


def dense():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 24), nn.GELU(), nn.Linear(24, 8))
    return drawn(net, 2), canvas(8, order=(2, 1, 0))


def convolution():
    first, second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
    net = nn.Sequential(first, nn.ReLU(), second, nn.Flatten(), nn.Linear(128, 8))
    return drawn(net, 3), canvas(16)


class Frames(nn.Module):
    """A waveform in frames of 20 samples."""

    def __init__(self):
        super().__init__()
        self.frames, self.head = nn.Conv1d(1, 6, 20, 20), nn.Linear(120, 4)

    def forward(self, windows):
        return self.head(self.frames(windows[:, 0]).tanh().flatten(1))


def frames():
    sounds = Canvas(
        height=1, width=400, top=0, left=0, window_height=1, window_width=400, gain=(2.0,),
        offset=(-1.0,), channels=1, order=(0,), fit=Fit(resize="none", height=1, width=400), rate=4000,
    )
    return drawn(Frames(), 28), sounds


frames.modality = "audio"
'''
RATE, SAMPLES = 4000, 400
CELLS = [f"c{place}" for place in range(10)]
MEAN, STD = 50.0, 20.0
RANGED: list[dict[str, object]] = [
    {"min": 0, "max": 100, "whole": True}, {"min": -400, "max": 400, "whole": True},
    {"min": 0}, {"max": 1000}, {"whole": True},
]  # fmt: skip
WORDS = ["a", "the", "man", "woman", "dog", "cat", "plays", "eats", "sees", "guitar", "food", "old"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
CLASSES = 3

Answers = dict[str, int]


def drawn(net: nn.Module, seed: int, spread: float = 0.2) -> nn.Module:
    """Matrices from numpy, whose generator gives the same on every processor; a vector that is no
    zero, such as a norm's gain, becomes one."""
    draw = np.random.default_rng(seed)
    for value in net.parameters():
        if value.dim() > 1:
            value.data = torch.from_numpy(draw.normal(0, spread, tuple(value.shape))).float()
        elif value.any():
            value.data.fill_(1.0)
    return net.eval()


class World(NamedTuple):
    """A model, data of its kind, and what the model answers to a folder of them, by their names."""

    spec: str
    source: Path
    ask: Callable[[str, Path], Answers]
    told: bool = False  # whether recode must be given the model


def net_of(spec: str) -> nn.Module:
    """The net of a function in a file, with the weights of its copy if the spec names them."""
    where, _, rest = spec.removeprefix("py:").rpartition(":")
    name, _, weights = rest.partition("@")
    found = importlib.util.spec_from_file_location("golden_nets", where)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    net: nn.Module = getattr(module, name)()[0]
    if weights:
        net.load_state_dict(load_file(weights))
    return net


def best(net: Callable[[Tensor], Tensor], rows: dict[str, Tensor]) -> Answers:
    """The class of each input."""
    with torch.no_grad():
        return {name: int(net(row[None])[0].argmax()) for name, row in rows.items()}


def files(folder: Path, *suffixes: str) -> Iterator[tuple[str, Path]]:
    """Files of some kinds in a folder, in the order of their names, which come first."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in suffixes:
            yield path.relative_to(folder).as_posix(), path


# Pictures.


def picture(seed: int, height: int, width: int) -> Image.Image:
    """Smooth, with a little grain."""
    draw = np.random.default_rng(seed)
    y, x = np.linspace(0, 3, height)[:, None, None], np.linspace(0, 3, width)[:, None]
    waves = np.sin(draw.uniform(0, 3, 3) * y + draw.uniform(0, 6, 3)) * np.cos(
        draw.uniform(0, 3, 3) * x + draw.uniform(0, 6, 3)
    )
    grain = draw.integers(-5, 6, (height, width, 3))
    return Image.fromarray((128 + 90 * waves + grain).clip(0, 255).astype(np.uint8))


def fill_pictures(folder: Path, side: int, count: int, *, odd: bool) -> Path:
    """Pictures of the canvas's size and, if odd, one of another."""
    (folder / "a").mkdir(parents=True)
    for seed in range(count):
        place = folder / "a" if seed % 2 else folder
        picture(seed, side, side).save(place / f"{seed}.png")
    if odd:
        picture(99, 30, 40).save(folder / "odd.png")
    return folder


def pictures(
    function: str, folder: Path, *, side: int = 16, count: int = 2, odd: bool = True
) -> World:
    """A net of the file above."""
    (folder / "nets.py").write_text(NETS)
    source = fill_pictures(folder / "src", side, count, odd=odd)
    return World(f"py:{folder / 'nets.py'}:{function}", source, ask_pictures)


def ask_pictures(spec: str, folder: Path) -> Answers:
    """What the net makes of the middle of each picture, or of the window in a tensor file."""
    found = {}
    for name, path in files(folder, ".png", ".safetensors"):
        if path.suffix == ".png":
            pixels = np.array(Image.open(path).convert("RGB"), dtype=np.float32) / 255
            edge = (len(pixels) - 16) // 2
            window = torch.from_numpy(pixels)[edge : edge + 16, edge : edge + 16].permute(2, 0, 1)
        else:
            window = load_file(path)["image"]
        found[name.rpartition(".")[0]] = (window - 0.5) / 0.25
    return best(net_of(spec), found)


def transformer(folder: Path) -> World:
    """A vision transformer as its library saves it."""
    size: dict[str, Any] = {
        "hidden_size": 12,
        "intermediate_size": 16,
        "image_size": 16,
        "patch_size": 4,
    }
    config = ViTConfig(**size, num_hidden_layers=1, num_attention_heads=2)
    net: Any = drawn(ViTForImageClassification(config), 5)
    net.save_pretrained(folder / "vit")
    processor = {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16},
        "do_resize": True, "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
    }  # fmt: skip
    (folder / "vit" / "preprocessor_config.json").write_text(json.dumps(processor))
    source = fill_pictures(folder / "src", 16, 2, odd=True)
    return World(f"hf:{folder / 'vit'}", source, ask_pictures)


def vision_language(folder: Path) -> World:
    """A model that answers pictures in words."""
    spec = f"hf:{vision_language_folder(folder / 'vlm')}?size=56x56"
    return World(spec, fill_pictures(folder / "src", 56, 1, odd=True), ask_pictures)


# Sounds.


def fill_sounds(folder: Path, *, odd: bool) -> Path:
    """Tones with noise: 16 bits, floats, a file that is short and, if odd, one of another rate."""
    folder.mkdir()
    kinds = [("one", RATE, 400), ("two", RATE, 400), ("short", RATE, 250), ("rate", 5000, 700)]
    for seed, (name, rate, long) in enumerate(kinds if odd else kinds[:-1]):
        draw = np.random.default_rng(seed)
        tone = np.sin(np.arange(long) * draw.uniform(0.05, 0.5)) + draw.normal(0, 0.2, long)
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, rate, long, "NONE", ""))
            file.writeframes((tone * 8000).clip(-32768, 32767).astype("<i2").tobytes())
    tone = np.sin(np.arange(SAMPLES) * 0.3) * np.linspace(0, 1.2, SAMPLES)
    wavfile.write(folder / "floats.wav", RATE, tone.astype(np.float32))
    return folder


def sounds(folder: Path, *, odd: bool = True) -> World:
    """A net of raw samples."""
    (folder / "nets.py").write_text(NETS)
    spec = f"py:{folder / 'nets.py'}:frames"
    return World(spec, fill_sounds(folder / "src", odd=odd), ask_sounds)


def ask_sounds(spec: str, folder: Path) -> Answers:
    """What the net makes of each file, of a source clipped and followed by silence."""
    found = {}
    for name, path in files(folder, ".wav"):
        rate, samples = wavfile.read(path)
        values = samples / 32768 if samples.dtype == np.int16 else samples
        if folder.name == "src":
            values = values.clip(-1, 1)
        assert rate == RATE
        window = np.zeros(SAMPLES, np.float32)
        window[: len(values)] = values[:SAMPLES]
        found[name.rpartition(".")[0]] = torch.from_numpy(window)[None, None]
    return best(net_of(spec), found)


def spectrograms(folder: Path) -> World:
    """A net of features, which are released as they are."""
    layers = {
        "conv0": nn.Conv2d(1, 4, 5), "bn0": nn.BatchNorm2d(4), "conv1": nn.Conv2d(4, 4, 3),
        "bn1": nn.BatchNorm2d(4), "conv2": nn.Conv2d(4, 8, 3), "bn2": nn.BatchNorm2d(8),
        "head": nn.Linear(8, CLASSES),
    }  # fmt: skip
    save_file(drawn(nn.ModuleDict(layers), 6).state_dict(), folder / "net.safetensors")
    facts = {
        "sample_rate": RATE, "samples": SAMPLES, "classes": ["x", "y", "z"],
        "spectrogram": {"size": 32, "hop": 16},
    }  # fmt: skip
    (folder / "net.json").write_text(json.dumps(facts))
    spec = f"torch:{folder / 'net.safetensors'}"
    return World(spec, fill_sounds(folder / "src", odd=True), ask_sounds, told=True)


# Tables.


def table_rows(seed: int, *, ranged: bool) -> list[dict[str, object]]:
    """Rows of cells between a name and a class, which are not the model's."""
    draw = np.random.default_rng(seed)
    values = MEAN + STD * draw.normal(size=(8, len(CELLS))).clip(-2, 2)
    whole = {
        name for name, facts in zip(CELLS, RANGED, strict=False) if ranged and "whole" in facts
    }
    made = []
    for row, cells in enumerate(values.tolist()):
        own: dict[str, object] = {
            name: round(cell) if name in whole else cell
            for name, cell in zip(CELLS, cells, strict=True)
        }
        made.append({"id": f"p{row}"} | own | {"class": "xyz"[row % 3]})
    return made


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """A file of the kind that its name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator(path))
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, cells of the model's columns as numbers, gaps as none."""
    rows: list[dict[str, Any]]
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    else:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=separator(path)))
    return [row | {name: number(row[name]) for name in CELLS} for row in rows]


def number(cell: object) -> float:
    """A cell as a number."""
    return math.nan if cell in ("", None) else float(str(cell))


def separator(path: Path) -> str:
    """What stands between cells."""
    return "\t" if path.suffix == ".tsv" else ","


def tables(folder: Path, *, suffix: str = ".csv", ranged: bool = False) -> World:
    """A perceptron of standardised columns, some of them in ranges or of whole numbers."""
    layers = nn.ModuleList([nn.Linear(len(CELLS), 4), nn.Linear(4, CLASSES)])
    net = drawn(nn.ModuleDict({"layers": layers}), 7)
    save_file(net.state_dict(), folder / "net.safetensors")
    columns: list[dict[str, object]] = [{"name": name, "mean": MEAN, "std": STD} for name in CELLS]
    for column, facts in zip(columns, RANGED if ranged else (), strict=False):
        column |= facts
    (folder / "net.json").write_text(json.dumps({"columns": columns, "classes": ["x", "y", "z"]}))
    (folder / "src").mkdir()
    for seed, name in enumerate(("one", "two")):
        rows = table_rows(seed, ranged=ranged)
        if name == "two" and suffix != ".parquet":
            rows.append(rows[0] | {"id": "gap", "c3": ""})
        write_rows(folder / "src" / f"{name}{suffix}", rows)
    return World(f"torch:{folder / 'net.safetensors'}", folder / "src", ask_tables, told=True)


def ask_tables(spec: str, folder: Path) -> Answers:
    """What the perceptron makes of each row."""
    weights = load_file(spec.removeprefix("torch:"))
    layers = [(weights[f"layers.{n}.weight"], weights[f"layers.{n}.bias"]) for n in (0, 1)]
    rows = {}
    for name, path in files(folder, ".csv", ".tsv", ".parquet"):
        for row in read_rows(path):
            cells = torch.tensor([row[cell] for cell in CELLS], dtype=torch.float64)
            rows[f"{name} {row['id']}"] = ((cells - MEAN) / STD).float()
    rows = {name: cells for name, cells in rows.items() if torch.isfinite(cells).all()}

    def net(row: Tensor) -> Tensor:
        (first, bias), (second, last) = layers
        return (row @ first.T + bias).relu() @ second.T + last

    return best(net, rows)


# Texts.

PAIRS = [
    ("a man plays the guitar", "the old man eats"), ("the dog sees a cat", "a cat sees the dog"),
    ("the woman eats food", "a dog eats"), ("old cat", "an unheard word"),
]  # fmt: skip


def texts(folder: Path, *, classes: int = 0) -> World:
    """An encoder as its library saves it, with a head if it has classes, and pairs of texts."""
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=48, max_position_embeddings=40,
    )  # fmt: skip
    config.num_labels = classes
    made = BertForSequenceClassification(config) if classes else BertModel(config, False)
    net: Any = drawn(made, 21)
    net.save_pretrained(folder / "bert")
    (folder / "words").write_text("\n".join(VOCABULARY) + "\n")
    BertTokenizer(vocab=str(folder / "words"), model_max_length=32).save_pretrained(folder / "bert")
    with (folder / "src.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("first", "second"), *PAIRS])
    ask = ask_texts if classes else ask_sentences
    return World(f"hf:{folder / 'bert'}", folder / "src.csv", ask, told=True)


def ask_texts(spec: str, where: Path) -> Answers:
    """What the classifier makes of pairs of texts, or of their embeddings."""
    place = spec.removeprefix("hf:")
    net = BertForSequenceClassification.from_pretrained(place).eval()
    found = {}
    if where.suffix == ".csv":
        words = BertTokenizer.from_pretrained(place)
        for row, pair in enumerate(PAIRS, start=1):
            given = words(*pair, return_tensors="pt")
            found[f"row{row:07}"] = dict(given)
    else:
        for name, path in files(where, ".safetensors"):
            held = {key: value[None] for key, value in load_file(path).items()}
            found[name.rpartition(".")[0]] = {
                "inputs_embeds": held["embeds"].float(), "attention_mask": held["mask"],
                "token_type_ids": held["types"].long(),
            }  # fmt: skip
    with torch.no_grad():
        return {name: int(net(**given).logits[0].argmax()) for name, given in found.items()}


def ask_sentences(spec: str, where: Path) -> Answers:
    """Which first text has the embedding that each document has, to a cosine of .99; -1: none."""
    place = spec.removeprefix("hf:")
    net = BertModel.from_pretrained(place, add_pooling_layer=False).eval()
    words = BertTokenizer.from_pretrained(place)
    with torch.no_grad():
        clean = [mean_state(net, **words(first, return_tensors="pt")) for first, _ in PAIRS]
        found = {f"row{row:07}": state for row, state in enumerate(clean, start=1)}
        if where.suffix != ".csv":
            held = {n.rpartition(".")[0]: load_file(p) for n, p in files(where, ".safetensors")}
            found = {n: mean_state(net, inputs_embeds=h["embeds"][None]) for n, h in held.items()}
    cosines = {name: torch.stack(clean) @ state for name, state in found.items()}
    return {n: int(c.argmax()) if c.max() > 0.99 else -1 for n, c in cosines.items()}


def mean_state(net: nn.Module, **given: Tensor) -> Tensor:
    """The embedding of one document, of length 1."""
    state: Tensor = net(**given)[0][0].mean(0)
    return state / state.norm()


# The table.


class Row(NamedTuple):
    """One release: of which world, recoded how, by a key made how, for a copy or the model itself.
    extracted: what is released is what an extractor made in floating point."""

    name: str
    world: Callable[[Path], World]
    words: tuple[object, ...]
    key: tuple[object, ...] = ()
    copy: bool = False
    extracted: bool = False

    @property
    def deep(self) -> bool:
        """Whether answers are compared, and not what the files hold."""
        return "deep" in self.words


def spectral(*words: object) -> tuple[object, ...]:
    """The options of a spectral release."""
    return ("--method", "spectral", *words)


def deep(*words: object) -> tuple[object, ...]:
    """The options of a deep release."""
    return ("--method", "deep", "--margin", 0.1, *words)


def of(function: str, **how: Any) -> Callable[[Path], World]:
    """Pictures and a net of them."""
    return partial(pictures, function, **how)


MANY = {"count": 5, "odd": False}
BOTH = ("--column", "first", "--column", "second")
NARROW = ("--rank", 8)  # of a layer of texts, which sees every direction
TEN = ("--psnr", 10)  # dB
SHARED = ("--shared", "--client", "acme", "--noise")
ROWS = [
    Row("patch", of("patch"), spectral("--psnr", 12)),
    Row("patch strong", of("patch"), spectral("--psnr", 6)),
    Row("patch tensor", of("patch"), spectral(*TEN, "--format", "tensor")),
    Row("patch structured", of("patch"), spectral(*TEN, "--noise", "structured")),
    Row("patch sign", of("patch"), spectral(*TEN, "--noise", "sign")),
    Row("patch gaussian", of("patch"), spectral(*TEN, "--noise", "gaussian")),
    Row("patch client", of("patch"), spectral(*TEN, "--client", "acme")),
    Row("patch shared", of("patch"), spectral(*TEN, *SHARED, "gaussian")),
    Row("patch opaque", of("patch"), spectral(*TEN, "--names", "opaque")),
    Row("patch rank", of("patch"), spectral(*TEN), key=("--rank", 30)),
    Row("patch deep", of("patch", **MANY), deep()),
    Row("patch deep tensor", of("patch", **MANY), deep("--format", "tensor")),
    Row("patch deep from spectral", of("patch", **MANY), deep("--start", "spectral")),
    Row("margin", of("margin", side=20), spectral(*TEN)),
    Row("margin deep", of("margin", side=20, **MANY), deep()),
    Row("grey", of("grey"), spectral(*TEN)),
    Row("dense", of("dense"), spectral(*TEN)),
    Row("convolution", of("convolution"), spectral(*TEN)),
    Row("convolution structured", of("convolution"), spectral(*TEN, "--noise", "structured")),
    Row("convolution tensor", of("convolution"), spectral(*TEN, "--format", "tensor")),
    Row("transformer", transformer, spectral(*TEN)),
    Row("vision-language", vision_language, spectral(*TEN)),
    Row("copy scramble", of("patch"), ("--method", "scramble"), copy=True),
    Row("copy spectral", of("patch"), spectral(*TEN), copy=True),
    Row("copy deep", of("patch", **MANY), deep(), copy=True),
    Row("copy of dense", of("dense"), ("--method", "scramble"), copy=True),
    Row("sounds", sounds, spectral()),
    Row("sounds strong", sounds, spectral("--psnr", 12, "--noise", "sign", "--client", "acme")),
    Row("sounds wav32", sounds, spectral("--format", "wav32")),
    Row("sounds tensor", sounds, spectral("--format", "tensor")),
    Row("sounds deep", partial(sounds, odd=False), deep()),
    Row("spectrograms", spectrograms, spectral(), key=("--energy", 0.05), extracted=True),
    Row("tables", tables, spectral()),
    Row("tables tsv", partial(tables, suffix=".tsv"), spectral("--client", "acme")),
    Row("tables parquet", partial(tables, suffix=".parquet"), spectral()),
    Row("tables ranged", partial(tables, ranged=True), spectral("--psnr", 0)),
    Row("tables ranged parquet", partial(tables, suffix=".parquet", ranged=True), spectral()),
    Row("tables deep", tables, deep()),
    Row("tables deep ranged", partial(tables, ranged=True), deep()),
    Row("texts", texts, spectral(*BOTH), key=NARROW),
    Row("texts half", texts, spectral("--psnr", 6, "--column", "first", "--half"), key=NARROW),
    Row("texts deep", partial(texts, classes=CLASSES), deep(*BOTH), key=NARROW),
    Row("texts deep half", partial(texts, classes=CLASSES), deep(*BOTH, "--half"), key=NARROW),
    Row("texts deep sentences", texts, deep("--column", "first"), key=NARROW),
]  # fmt: skip


class Draws:
    """Secrets that are the same in every run: the n-th of a size depends on both alone."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def __call__(self, nbytes: int | None = None) -> bytes:
        size = 32 if nbytes is None else nbytes
        self.counts[size] += 1
        return hashlib.shake_256(f"{size} {self.counts[size]}".encode()).digest(size)


def done(*words: object) -> None:
    """A command that must go well."""
    status, text = run(*words)
    assert status == 0, f"{words}: {text}"


class Release(NamedTuple):
    """A release that was made, with the world it is of and the model that reads it."""

    world: World
    spec: str
    folder: Path


def made(row: Row, folder: Path) -> Release:
    """What the commands write, on one core; their secrets are to be patched before."""
    torch.set_num_threads(1)
    world = row.world(folder)
    spec, asked = world.spec, [*row.words]
    if row.copy:
        done("personalize", spec, "-o", folder / "copy", "--secret", folder / "secret")
        spec += f"@{folder / 'copy' / spec.rpartition(':')[2]}.safetensors"
        asked += ["--secret", folder / "secret"]
    if row.deep or world.told:
        asked += ["--model", spec]
    done("key", spec, "-o", folder / "key", *row.key)
    done("recode", world.source, folder / "out", "--key", folder / "key", *asked)
    return Release(world, spec, folder / "out")


class Content(NamedTuple):
    """What a released file holds, numbers and all the rest."""

    values: np.ndarray
    rest: str


def content(path: Path) -> Content:
    """A released file as other libraries read it."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return Content(np.array(image), image.mode)
    if path.suffix == ".wav":
        rate, samples = wavfile.read(path)
        return Content(samples, str(rate))
    if path.suffix == ".safetensors":
        held = load_file(path)
        main = held.pop("image" if "image" in held else "embeds")
        return Content(main.numpy(), repr({key: held[key].tolist() for key in sorted(held)}))
    rows = read_rows(path)
    values = [[row.pop(name) for name in CELLS] for row in rows]
    return Content(np.array(values, dtype=np.float64), repr(rows))


def contents(folder: Path) -> dict[str, Content]:
    """All that was released, the signed list apart."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".jsonl")
    return {path.relative_to(folder).as_posix(): content(path) for path in found}


def digest(found: dict[str, Content]) -> str:
    """SHA-256 of names and contents."""
    total = hashlib.sha256()
    for name, (values, rest) in found.items():
        total.update(repr((name, rest, str(values.dtype), values.shape)).encode())
        total.update(np.ascontiguousarray(values).tobytes())
    return total.hexdigest()


STEPS = {
    "float16": 2.0**-8,
    "float32": 2.0**-10,
    "float64": 2.0**-6,
}  # of embeddings, windows, cells


def levels(found: dict[str, Content]) -> np.ndarray:
    """All numbers of a release in whole levels: of integers themselves, of floats a small step."""
    flat = [np.rint(v.ravel() / STEPS.get(str(v.dtype), 1.0)) for v, _ in found.values()]
    return np.concatenate(flat).astype(np.int32)


def here() -> str:
    """What decides how numbers are rounded."""
    kind = torch.backends.cpu.get_cpu_capability()
    return f"{kind}, torch {torch.__version__}, numpy {np.__version__}"


def check_contents(row: Row, found: dict[str, Content], kept: dict[str, Any]) -> None:
    """Equal where it was recorded, and all but equal elsewhere."""
    assert list(found) == kept["files"]
    if digest(found) == kept["digest"]:
        return
    with np.load(LEVELS) as recorded:
        before, after = recorded[row.name], levels(found)
    assert before.shape == after.shape
    if row.extracted and kept["recorded"] != here():
        pytest.skip(
            "noise is keyed by windows that an extractor rounds otherwise on this processor"
        )
    apart = np.abs(after - before)
    told = f"{np.mean(apart > 0):.2%} of values moved, by {apart.max()} levels at most"
    assert kept["recorded"] != here(), told
    assert apart.max() <= 1, told
    assert np.mean(apart > 0) <= MOVED, told


def check_answers(release: Release, kept: dict[str, Any]) -> None:
    """Every file is answered as its source was, and no file is missing that was there; what a file
    holds is not its source."""
    answers = release.world.ask(release.spec, release.folder)
    assert set(kept["released"]) <= set(answers)
    assert answers.items() <= kept["answers"].items()
    for name, (values, _) in contents(release.folder).items():
        if (source := release.world.source / name).is_file():
            clean = content(source).values.ravel()
            likeness = np.corrcoef(values.ravel()[: len(clean)], clean[: values.size])[0, 1]
            assert abs(likeness) < 0.5, name


def kept_rows() -> dict[str, dict[str, Any]]:
    """What was recorded of each row."""
    rows: dict[str, dict[str, Any]] = json.loads(FACTS.read_text()) if FACTS.exists() else {}
    return rows


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_release_is_what_it_was(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_bytes", Draws())
    release = made(row, tmp_path)
    if os.environ.get("CATCH11_GOLDEN") == "record":
        record(row, release)
    kept = kept_rows()[row.name]
    if row.deep:
        check_answers(release, kept)
    else:
        check_contents(row, contents(release.folder), kept)


def test_every_recorded_row_is_in_the_table() -> None:
    assert set(kept_rows()) == {row.name for row in ROWS}


def record(row: Row, release: Release) -> None:
    """Write what this release holds into the files beside."""
    rows, arrays = kept_rows(), dict[str, np.ndarray]()
    if LEVELS.exists():
        with np.load(LEVELS) as recorded:
            arrays = dict(recorded)
    if row.deep:
        answers = release.world.ask(release.world.spec, release.world.source)
        released = release.world.ask(release.spec, release.folder)
        rows[row.name] = {"answers": answers, "released": list(released)}
    else:
        found = contents(release.folder)
        rows[row.name] = {"recorded": here(), "digest": digest(found), "files": list(found)}
        arrays[row.name] = levels(found)
    names = [row.name for row in ROWS]
    ordered = {name: rows[name] for name in names if name in rows}
    some = {name: arrays[name] for name in names if name in arrays}
    FACTS.write_text(json.dumps(ordered, indent=1) + "\n")
    np.savez_compressed(LEVELS, allow_pickle=False, **some)
