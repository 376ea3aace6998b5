"""What attackers of a release may know, read from files: windows, labels, pairs, public pictures."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.attacks.effort import Effort
from catch11.attacks.frame import Jury, Knowledge, Material
from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, psnr
from catch11.data.labels import Labels
from catch11.data.pictures import open_picture
from catch11.data.selection import spread
from catch11.data.windows import open_source, readable, window_of
from catch11.errors import InvalidArgument
from catch11.evaluation.conditions import (
    Given,
    Sources,
    find_sources,
    find_truth,
    ledger_rows,
)
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.manifest import Entry
from catch11.releases.read import Release, read_release

Windows = Float[Tensor, "_ channel height width"]
Folder = str | os.PathLike[str]
_UNLEARNED = (
    "a control has no originals of the lessons to add noise to; without them it learns from "
    "further files of the release"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoils:
    """Some files of a release: their windows, clean ones where the source is given, labels (-1
    where unknown)."""

    files: tuple[str, ...]
    windows: Windows
    clean: Windows | None
    labels: Int[Tensor, " batch"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything an assault works with. metric: by rival, accuracy or agreement. overlap: public
    pictures that were originals of the release and were left out. withheld: sources that the
    ledger lists as such. kept_out: why something that was given is not in the material."""

    release: Release
    sources: Sources | None
    truth: Labels | None
    withheld: int
    judged: Spoils
    material: Material
    jury: Jury
    metric: Mapping[str, str]
    overlap: int
    kept_out: Mapping[Knowledge, str]


def gather(
    dst: Folder,
    rivals: Mapping[str, Model],
    *,
    source: Folder | None,
    ledger: Folder | None,
    key: Key | None,
    recoder: Recoder | None,
    labels: Given,
    names: Sequence[str],
    public: Folder | None,
    others: Sequence[Folder],
    learn: Folder | None = None,
    effort: Effort,
) -> Scene:
    """Read a release and all that is given beside it. names: the authorized model's classes.
    learn: a further release to learn labels from, instead of further files of this one; a control
    leaves it out, for its originals are not at hand.

    Raises ReleaseError, InvalidArgument where there is nothing to judge answers by.
    """
    release = read_release(dst)
    rows, withheld = ledger_rows(release, dst, ledger)
    sources = None if source is None else find_sources(release, source, rows)
    truth, _ = find_truth(release, sources, labels, names=names)
    entries = release.entries
    if truth is not None:
        entries = tuple(entry for entry in entries if truth.of(entry.file) is not None)
    judged, rest = _split(entries, effort)
    ours = _spoils(release, judged, sources, truth, effort)
    kept_out: dict[Knowledge, str] = {}
    if learn is None:
        extra = _spoils(release, rest, sources, truth, effort)
    else:
        extra = _lessons(learn, release, labels, names, effort)
        if effort.control:
            extra = replace(extra, labels=None)
            kept_out["labels"] = _UNLEARNED
    found, overlap = _public(public, release.canvas, ours, effort)
    material = Material(
        canvas=release.canvas,
        released=ours.windows,
        rivals=rivals,
        others=_others(others, release, ours, effort),
        public=found,
        front=None if key is None else key.front,
        subspace=None if key is None else key.subspace,
        labelled=None if extra.labels is None or not extra.files else (extra.windows, extra.labels),
        pairs=None if extra.clean is None or not extra.files else (extra.clean, extra.windows),
        query=_query(release, key, recoder, ours),
    )
    jury, metric = _jury(release, ours, sources, rivals, names)
    return Scene(
        release=release,
        sources=sources,
        truth=truth,
        withheld=withheld,
        judged=ours,
        material=material,
        jury=jury,
        metric=metric,
        overlap=overlap,
        kept_out=kept_out,
    )


def _split(entries: Sequence[Entry], effort: Effort) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Files to judge, evenly spaced, and others to learn from, evenly spaced among the rest."""
    judged = spread(entries, effort.judged)
    held = {entry.file for entry in judged}
    return judged, spread([e for e in entries if e.file not in held], effort.training)


def _lessons(
    folder: Folder, release: Release, labels: Given, names: Sequence[str], effort: Effort
) -> Spoils:
    """Labelled files of another release for the same model, evenly spaced."""
    other = read_release(folder)
    if other.canvas != release.canvas:
        raise InvalidArgument("learn", expected="a release of the same canvas", found=str(folder))
    truth, _ = find_truth(other, None, labels, names=names)
    if truth is None:
        raise InvalidArgument("learn", expected="labels of its files", found="none")
    entries = tuple(entry for entry in other.entries if truth.of(entry.file) is not None)
    return _spoils(
        other, spread(entries, effort.training), None, truth, replace(effort, control=False)
    )


def _spoils(
    release: Release,
    entries: Sequence[Entry],
    sources: Sources | None,
    truth: Labels | None,
    effort: Effort,
) -> Spoils:
    windows, clean = release.windows(entries), None
    if sources is not None:
        shots = [torch.zeros(0, *release.canvas.shape)]
        for entry in entries:
            source = open_source(sources.path(entry.file), release.canvas)
            shots.append(window_of(source, release.canvas))
        clean = torch.cat(shots)
        if effort.control:
            windows = _as_noise(release, windows, clean, [e.file for e in entries], effort)
    elif effort.control:
        raise InvalidArgument("control", expected="a source to add noise to", found="no source")
    rows = None if truth is None else [truth.of(entry.file) for entry in entries]
    return Spoils(
        files=tuple(entry.file for entry in entries),
        windows=windows,
        clean=clean,
        labels=None if rows is None else torch.tensor(rows, dtype=torch.long),
    )


def _as_noise(
    release: Release, windows: Windows, clean: Windows, names: Sequence[str], effort: Effort
) -> Windows:
    """The control of released windows: Gaussian noise of each one's PSNR, drawn by its name."""
    return noise_at(
        clean,
        tuple(psnr(windows, clean).tolist()),
        grid=GRIDS[release.form.name],
        generators=tuple(item_generator(name, seed=effort.seed) for name in names),
    )


def _public(
    folder: Folder | None, canvas: Canvas, judged: Spoils, effort: Effort
) -> tuple[Windows | None, int]:
    """Public pictures as windows, without the originals of what is attacked, and how many of those
    there were."""
    if folder is None:
        return None, 0
    held = () if judged.clean is None else judged.clean
    originals = {window.numpy().tobytes() for window in held}
    windows: list[Tensor] = []
    overlap = 0
    for _, window in readable(folder, canvas):
        if len(windows) == effort.public:
            break
        if window[0].numpy().tobytes() in originals:
            overlap += 1
        else:
            windows.append(window)
    if not windows:
        raise InvalidArgument("public", expected="a folder of other pictures", found="none")
    return torch.cat(windows), overlap


def _others(
    folders: Sequence[Folder], release: Release, judged: Spoils, effort: Effort
) -> tuple[Windows, ...] | None:
    """The same files of other releases; in a control each has Gaussian noise of its own."""
    made = []
    for number, folder in enumerate(folders):
        other = read_release(folder)
        windows = _same(other, release.canvas, judged.files)
        if effort.control:
            assert judged.clean is not None
            names = [f"{file} of other {number}" for file in judged.files]
            windows = _as_noise(other, windows, judged.clean, names, effort)
        made.append(windows)
    return tuple(made) or None


def _same(release: Release, canvas: Canvas, files: Sequence[str]) -> Windows:
    """The same files of another release."""
    entries = {entry.file: entry for entry in release.entries}
    missing = [file for file in files if file not in entries]
    found = f"{len(missing)} of them missing, {missing[0]} for one" if missing else ""
    if release.canvas.shape != canvas.shape:
        found = f"windows {release.canvas.shape} beside {canvas.shape}"
    if found:
        raise InvalidArgument("others", expected="releases of the same pictures", found=found)
    return release.windows([entries[file] for file in files])


def _query(
    release: Release, key: Key | None, recoder: Recoder | None, judged: Spoils
) -> Callable[[Tensor], Tensor] | None:
    """The data owner's recoder as an oracle; of a spectral release it can be built from the key."""
    if recoder is None and key is not None and release.method == SpectralRecoder.method:
        strength = 10.0
        if judged.clean is not None:
            strength = float(psnr(judged.windows, judged.clean).median())
        recoder = SpectralRecoder(key, psnr=strength, format=release.form.name)
    if recoder is None:
        return None
    owner = recoder
    return lambda windows: owner(windows).images


def _jury(
    release: Release,
    judged: Spoils,
    sources: Sources | None,
    rivals: Mapping[str, Model],
    names: Sequence[str],
) -> tuple[Jury, dict[str, str]]:
    """Labels where they apply to a rival, else its own answers to the clean sources."""
    truth, metric = {}, {}
    for name, rival in rivals.items():
        if judged.labels is not None and len(rival.labels) == len(names):
            truth[name], metric[name] = judged.labels, "accuracy"
        elif sources is not None:
            answers = []
            for file in judged.files:
                values = rival.preprocess([open_picture(sources.path(file))])
                answers.append(rival.logits(values).argmax(1))
            truth[name], metric[name] = torch.cat(answers), "agreement"
        else:
            expected = "labels or a source to judge answers by"
            raise InvalidArgument("labels", expected=expected, found="neither")
    jury = Jury(
        canvas=release.canvas,
        rivals=rivals,
        truth=truth,
        released=judged.windows,
        clean=judged.clean,
    )
    return jury, metric
