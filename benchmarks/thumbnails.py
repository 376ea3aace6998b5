"""Thumbnails and the two nets that read them: pictures, keys, answers, and files kept between runs."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.cache import Columns, as_bytes, kept
from catch11 import DeepRecoder, Key, build_key
from catch11.models.frame import Model
from catch11.recoding.codecs import survival
from catch11.studies.place import Part, Place

BATCH, CLASSES = 100, 10
WAYS: dict[str, dict[str, object]] = {
    "as it is": {},
    "least": {"radius": "least", "steps": 160, "margin": 0.1, "survive": "jpeg:75,jpeg:50"},
    "auto": {"radius": "auto", "margin": 0.1, "survive": "jpeg:50"},
}


def tests(assets: Path, count: int) -> tuple[Tensor, Tensor]:
    """Pictures in [0, 1] and classes, to judge by."""
    return _drawn(assets, "test", 2_000, count)


def lessons(assets: Path, count: int) -> tuple[Tensor, Tensor]:
    """Others, to learn from."""
    return _drawn(assets, "train", 10_000, count)


def _drawn(assets: Path, part: Part, whole: int, count: int) -> tuple[Tensor, Tensor]:
    """So many of the whole, in an order that is always the same."""
    held = Place(assets=assets).pictures("thumbnails", whole, part=part)
    by_name = np.argsort(held.names)
    order = by_name[np.random.default_rng(0).permutation(len(by_name))[:count]]
    images = np.stack([np.asarray(held.images[i]) for i in order])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0, held.labels[order]


def models(assets: Path) -> tuple[Model, Key, Model]:
    """ResNet-20, which is authorized, its key, and ResNet-32, which is a rival."""
    model, rival = Place(assets=assets).models("thumbnails").values()
    return model, build_key(model, energy=0.01, secret=bytes(32)), rival


def answers(model: Model, images: Tensor) -> Tensor:
    """The classes that a model names."""
    return model.logits(model.canvas.normalise(images), batch=BATCH).argmax(1)


def forward_seconds(model: Model, images: Tensor) -> float:
    """Processor seconds that one answer takes."""
    begun = time.process_time()
    answers(model, images)
    return (time.process_time() - begun) / len(images)


def share(a: Tensor, b: Tensor) -> float:
    """Of answers, those alike."""
    return round(float((a == b).float().mean()), 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Recoded pictures, which of them may be released, and processor seconds a picture."""

    images: Tensor
    kept: Tensor
    seconds: float


def files(recoder: DeepRecoder, images: Tensor, cache: Path) -> Files:
    """Recode pictures, or take them from the cache."""

    def work(some: Tensor) -> Columns:
        begun = time.process_time()
        made = recoder(some)
        spent = torch.full((len(some),), (time.process_time() - begun) / len(some))
        whole = torch.tensor([reason is None for reason in made.reasons])
        return {"images": as_bytes(made.images), "kept": whole, "seconds": spent}

    held = kept(cache, images, work, together=2 * BATCH)
    seconds = float(held["seconds"].mean())
    return Files(images=held["images"].float() / 255.0, kept=held["kept"], seconds=seconds)


def made_as(way: str, model: Model, key: Key) -> DeepRecoder:
    """The recoder of one of `WAYS`."""
    settings = dict(WAYS[way])
    survive = survival(str(settings.pop("survive", "")))
    return DeepRecoder(model, key, chunk=BATCH, survive=survive, **settings)  # type: ignore[arg-type]
