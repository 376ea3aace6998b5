"""A few pictures of a release: before, as released, and after attacks that need no training."""

import base64
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from catch11.attacks import Material
from catch11.attacks.frame import Attack
from catch11.attacks.projection import ProjectInpaint, ProjectOut
from catch11.attacks.purify import each, gaussian
from catch11.data.selection import spread
from catch11.data.windows import folder_windows, to_pixels, window_of
from catch11.evaluation.conditions import find_sources, ledger_rows
from catch11.keys.key import Key
from catch11.releases.read import read_release
from catch11.subspaces.rule import spectrum

Folder = str | os.PathLike[str]
_SIDE = 224  # pixels: larger windows are shown smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file; pictures: (caption, data URI), the original first where its source is known."""

    file: str
    pictures: tuple[tuple[str, str], ...]


def samples(
    dst: Folder,
    *,
    source: Folder | None = None,
    key: Key | None = None,
    public: Folder | None = None,
    count: int = 4,
) -> tuple[Sample, ...]:
    """Evenly spaced files of a release. key: adds what an attacker who knows the first layer sees;
    public: pictures that fill in the rest. Raises ReleaseError."""
    held = read_release(dst)
    entries = spread(held.entries, count)
    released = held.windows(entries)
    columns: list[tuple[str, Tensor]] = []
    if source is not None:
        rows, _ = ledger_rows(held, dst, None)
        sources = find_sources(held, source, rows)
        shots = [window_of(sources.open(entry.file, held.canvas), held.canvas) for entry in entries]
        columns.append(("original", torch.cat(shots)))
    columns.append(("as released", released))
    columns += _attacked(
        Material(
            canvas=held.canvas,
            released=released,
            front=None if key is None else key.front,
            subspace=None if key is None else key.subspace,
            public=None if public is None else folder_windows(public, held.canvas),
        )
    )
    return tuple(
        Sample(file=entry.file, pictures=tuple((name, uri(made[place])) for name, made in columns))
        for place, entry in enumerate(entries)
    )


def _attacked(material: Material) -> Iterator[tuple[str, Tensor]]:
    released = material.released
    yield "blurred, σ = 2", each(released, lambda array: gaussian(array, sigma=2.0))
    if material.subspace is None:
        return
    if material.public is None:
        yield "first layer known: noise projected out", _first(ProjectOut(), material)
    else:
        yield "first layer known: projected and filled in", _first(ProjectInpaint(), material)


def _first(attack: Attack, material: Material) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    attempt = next(iter(attack.run(material, generator=generator)))
    assert attempt.restored is not None
    return attempt.restored


def uri(window: Tensor) -> str:
    """A window as a small JPEG in a data URI."""
    image = Image.fromarray(to_pixels(window)).convert("RGB")
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE))
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def spectrum_of(key: Key) -> dict[str, Any]:
    """What a page shows of a key: the front's singular values, and how many are unseen of them."""
    values, _ = spectrum(key.front.weight.flatten(1))
    ambient = math.prod(key.front.shape)
    return {
        "spectrum": tuple(values.tolist()),
        "unseen": round(len(values) * key.subspace.dimension / ambient),
        "front": f"{key.front.layer} ({key.front.geometry})",
    }
