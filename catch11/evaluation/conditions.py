"""One batch of a release under each condition it is judged in: clean, released, and the controls."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, psnr
from catch11.data.labels import Labels, folder_labels, given_labels, stem
from catch11.data.pictures import SUFFIXES as PICTURES
from catch11.data.pictures import quiet
from catch11.data.sounds import SUFFIXES as SOUNDS
from catch11.data.stores.find import opened
from catch11.data.stores.frame import Source, Wanted
from catch11.data.windows import Heard, as_clips, decode_source, to_pixels, window_of
from catch11.errors import Catch11Error, InvalidArgument, LabelsRefused, ReleaseError
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.metrics import ssim
from catch11.evaluation.record import Condition
from catch11.releases.holdings import ledgers
from catch11.releases.ledger import Row, read_ledger
from catch11.releases.manifest import Entry
from catch11.releases.read import Release, sources_of

Given = Labels | Mapping[str, int] | str | os.PathLike[str] | None
_WINDOW = 11  # pixels: the smallest picture that structural similarity is defined for


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some released files. Windows are in pixel units; clean, gaussian and control are there only
    where the source is. pictures: as any pipeline sees them, 8-bit; the clean ones of their own size;
    of sounds, clips as any pipeline hears them, or a feature model's own input. psnr (dB, peak 1) and ssim: one number a file, against the clean window."""

    files: tuple[str, ...]
    pictures: Mapping[Condition, Sequence[Any]]
    windows: Mapping[Condition, Float[Tensor, "batch channel height width"]]
    psnr: Mapping[Condition, tuple[float, ...]]
    ssim: Mapping[Condition, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where each released file came from: names in a folder or store, by released name."""

    files: Source
    paths: Mapping[str, str]

    def data(self, file: str) -> bytes:
        """The source's bytes. Raises ReleaseError, UnreadableSource."""
        if file not in self.paths:
            raise ReleaseError(file, "no source of this file was found", "give its ledger")
        return self.files.data(self.paths[file])

    def open(self, file: str, canvas: Canvas) -> Any:
        """The source itself, a picture or clip."""
        data = self.data(file)
        with quiet():
            return decode_source(data, canvas, path=self.paths[file])


def find_sources(
    release: Release, root: str | os.PathLike[str], rows: Mapping[str, Row]
) -> Sources:
    """Sources by the ledger's rows where they are at hand, else by the mirrored names.

    a/b.png comes from a/b.jpg, a/b.jpg.png too; where two sources share a stem, from the one that
    has no released file of its own. Opaque names need the ledger.
    """
    suffixes = SOUNDS if release.canvas.sound else PICTURES
    column = str(release.facts.get("column", ""))
    source = opened(root, Wanted(suffixes=suffixes, column=column))
    files = source.names
    stems: dict[str, list[str]] = defaultdict(list)
    for file in files:
        stems[stem(file)].append(file)
    known, released = set(files), {stem(entry.file) for entry in release.entries}
    paths = {file: row.source for file, row in rows.items()}
    for entry in release.entries:
        base = stem(entry.file)
        if entry.file not in paths and base in known:
            paths[entry.file] = base
        elif entry.file not in paths:
            free = [file for file in stems[base] if file not in released]
            if len(free) == 1:
                paths[entry.file] = free[0]
    return Sources(files=source, paths=paths)


def read_batch(
    release: Release, entries: Sequence[Entry], sources: Sources | None, *, seed: int,
    heard: Heard | None = None,
) -> tuple[Batch, tuple[tuple[str, str], ...]]:  # fmt: skip
    """The batch, and (file, reason) of the files that cannot be read and are left out.

    seed: of the Gaussian control, whose noise is drawn for each file by its name. heard: of a
    feature model, how it hears a source.
    """
    read, problems = [], []
    for entry in entries:
        try:
            window = release.windows([entry])
            source = None if sources is None else sources.open(entry.file, release.canvas)
            clean = None if source is None else window_of(source, release.canvas, heard=heard)
            read.append((entry.file, window, as_read(release, entry), source, clean))
        except Catch11Error as error:
            problems.append((entry.file, str(error)))
    empty = torch.zeros(0, *release.canvas.shape)
    files = tuple(item[0] for item in read)
    windows: dict[Condition, Tensor] = {"nte": torch.cat([empty, *(item[1] for item in read)])}
    pictures: dict[Condition, Sequence[Any]] = {"nte": [item[2] for item in read]}
    if sources is not None:
        windows["clean"] = torch.cat([empty, *(item[4] for item in read if item[4] is not None)])
        pictures["clean"] = [item[3] for item in read if item[3] is not None]
        _add_controls(release, files, windows, pictures, seed=seed)
    batch = Batch(
        files=files,
        pictures=pictures,
        windows=windows,
        psnr=_measured(windows, psnr),
        ssim=_measured(windows, ssim) if min(release.canvas.shape[1:]) >= _WINDOW else {},
    )
    return batch, tuple(problems)


def as_read(release: Release, entry: Entry) -> Any:
    """A released file as any pipeline of its kind reads it: a picture, a clip, or features."""
    if not release.canvas.sound:
        return release.picture(entry)
    return as_clips(release.windows([entry]), release.canvas)[0]


def _add_controls(
    release: Release,
    files: Sequence[str],
    windows: dict[Condition, Tensor],
    pictures: dict[Condition, Sequence[Any]],
    *,
    seed: int,
) -> None:
    grid = GRIDS[release.form.name]
    generators = tuple(item_generator(file, seed=seed) for file in files)
    strength = tuple(psnr(windows["nte"], windows["clean"]).tolist())
    windows["control"] = grid.round(windows["clean"])
    windows["gaussian"] = noise_at(windows["clean"], strength, grid=grid, generators=generators)
    for name in ("control", "gaussian"):
        pictures[name] = on_margin(windows[name], pictures["nte"], release)


def on_margin(
    windows: Float[Tensor, "batch channel height width"],
    released: Sequence[Any],
    release: Release,
) -> list[Any]:
    """8-bit pictures with these windows and the released files' own margins; sounds have none."""
    canvas = release.canvas
    if canvas.sound:
        return as_clips(windows, canvas)
    made = []
    for window, picture in zip(windows, released, strict=True):
        pixels = to_pixels(window)
        if picture.size == (canvas.width, canvas.height):
            array = np.array(picture.convert("RGB"))
            rows = slice(canvas.top, canvas.top + canvas.window_height)
            columns = slice(canvas.left, canvas.left + canvas.window_width)
            array[rows, columns] = pixels
            pixels = array
        made.append(Image.fromarray(pixels))
    return made


def _measured(windows: Mapping[Condition, Tensor], measure: object) -> dict[Condition, tuple]:
    assert callable(measure)
    if "clean" not in windows or not len(windows["clean"]):
        return {}
    return {
        name: tuple(measure(value, windows["clean"]).tolist())
        for name, value in windows.items()
        if name != "clean"
    }


def ledger_rows(
    release: Release, dst: str | os.PathLike[str], ledger: str | os.PathLike[str] | None
) -> tuple[Mapping[str, Row], int]:
    """The owner's rows of the listed files, and how many sources were withheld."""
    rows: dict[str, Row] = {}
    withheld = 0
    for shard, path in ledgers(dst, ledger):
        refused = {row.source for row in read_ledger(path) if row.outcome == "withheld"}
        found = sources_of(release, path, shard=shard)
        withheld += len(refused - {row.source for row in found.values()})
        rows |= {f: replace(row, source=f"{shard}{row.source}") for f, row in found.items()}
    return rows, withheld


def find_truth(
    release: Release,
    sources: Sources | None,
    labels: Given,
    *,
    names: Sequence[str],
) -> tuple[Labels | None, tuple[str, ...]]:
    """Labels by released name, and the files that have none; no labels where nobody gave any.

    names: the authorized model's class names. Raises InvalidArgument, LabelsRefused.
    """
    paths = {} if sources is None else sources.paths
    places = {entry.file: paths.get(entry.file, entry.file) for entry in release.entries}
    if labels is None:
        try:
            given = folder_labels(places.values(), names=names)
        except LabelsRefused:
            return None, ()
    else:
        given = given_labels(labels, names=names)
    rows = {}
    for file, place in places.items():
        label = given.of(place)
        label = given.of(file) if label is None else label
        if label is not None:
            rows[file] = label
    if not rows:
        raise InvalidArgument(
            "labels", expected="labels of the released files",
            found=f"none in {given.source}, which does not list {next(iter(places.values()))}",
        )  # fmt: skip
    return Labels(rows=rows, source=given.source), tuple(f for f in places if f not in rows)
