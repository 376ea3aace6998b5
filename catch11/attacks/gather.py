"""What attackers of a release of pictures or sounds may know, read from files: windows, labels, pairs,
public ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.attacks.digest import digest
from catch11.attacks.effort import Effort
from catch11.attacks.frame import Material, Pieces
from catch11.attacks.jury import ClassJury, truths, window_jury
from catch11.attacks.posed import posed
from catch11.attacks.scene import Asked, Folder, Scene, Stand
from catch11.attacks.several import NearDuplicates
from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS, psnr
from catch11.data.labels import Labels
from catch11.data.selection import spread
from catch11.data.windows import readable, window_of
from catch11.errors import Catch11Error, InvalidArgument
from catch11.evaluation.conditions import Sources, find_sources, find_truth, ledger_rows
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.questions import question_of
from catch11.evaluation.verify import verify
from catch11.keys.authorized import seal_of
from catch11.models.frame import Model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.manifest import Entry
from catch11.releases.read import Release, read_release

Windows = Float[Tensor, "_ channel height width"]
_UNLEARNED = (
    "a control has no originals of the lessons to add noise to; without them it learns from "
    "further files of the release"
)
_UNMOVED = "a control has no originals of the moved pictures to add noise to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shots:
    """Some files of a release: their windows, clean ones where the source is given, labels."""

    files: tuple[str, ...]
    windows: Windows
    clean: Windows | None
    labels: Int[Tensor, " batch"] | None


def gather(asked: Asked, *, pieces: Callable[[int | None], Pieces] | None = None) -> Scene:
    """Read a release of windows and all that is given beside it. pieces: how windows fall into rows of
    numbers, where attacks on them do without tiles.

    A control leaves a release to learn from out, for its originals are not there. Raises ReleaseError,
    InvalidArgument where there is nothing to judge predictions by.
    """
    asked.needed("rivals")
    effort, first = asked.effort, next(iter(asked.models.values()))
    release = asked.release
    rows, withheld = ledger_rows(release, asked.dst, asked.ledger)
    sources = None if asked.source is None else find_sources(release, asked.source, rows)
    truth = None
    if not first.speaks:
        truth, _ = find_truth(release, sources, asked.labels, names=first.labels)
    if truth is None and seal_of(asked.model):
        raise InvalidArgument(
            "labels", expected="them, to judge a sealed copy by", found="none",
            remedy="it reads no clean picture, so its own answers to the source are no truth",
        )  # fmt: skip
    entries = release.entries
    if truth is not None:
        entries = tuple(entry for entry in entries if truth.of(entry.file) is not None)
    judged, rest = _split(entries, effort)
    ours = _shots(asked, release, judged, sources, truth, effort)
    kept_out = {NearDuplicates.name: _UNMOVED} if effort.control else {}
    if asked.learn is None:
        extra = _shots(asked, release, rest, sources, truth, effort)
    else:
        extra = _lessons(asked, asked.learn, first.labels)
        if effort.control:
            extra = replace(extra, labels=None)
            kept_out["labels"] = _UNLEARNED
    public, said = _public(asked.public, release.canvas, ours, effort)
    material = Material(
        canvas=release.canvas,
        released=ours.windows,
        rivals=asked.models,
        others=None if asked.opened else _others(asked.others, release, ours, effort),
        public=public,
        front=None if asked.key is None else asked.key.front,
        subspace=None if asked.key is None else asked.key.subspace,
        labelled=None if extra.labels is None or not extra.files else (extra.windows, extra.labels),
        classes=first.labels,
        pairs=None if extra.clean is None or not extra.files else (extra.clean, extra.windows),
        query=_query(asked, release, ours),
        weights=asked.model,
        pieces=pieces,
    )
    own = None if sources is None else partial(_own, sources, ours.files, release.canvas)
    right, metric = truths(asked.models, ours.labels, own)
    jury: ClassJury = window_jury(
        release.canvas, rivals=asked.models, truth=right, released=ours.windows, clean=ours.clean,
        metric=metric,
    )  # fmt: skip
    if asked.question is not None:
        question = question_of(asked.question)
        material, jury = posed(question, material, jury, labels=ours.labels, names=first.labels)
        yes = sum(int(t.sum()) for t in jury.truth.values()) // max(1, len(jury.truth))
        if not 0 < yes < len(judged):
            raise InvalidArgument(
                "question", expected="files of which some answer yes and some no",
                found=f"{yes} yes of {len(judged)}", remedy="ask another, or attack more files",
            )  # fmt: skip
        said = (*said, f"asked was: {question.text}")
    learned = material.labelled or material.pairs
    return Scene(
        stands=(Stand(material=material, jury=jury),),
        count=len(judged),
        verify=asked.verified(
            verify, labels=asked.labels, limit=len(judged), seed=effort.seed, copy=asked.copy
        ),
        digest=_digest(release, sources, truth, withheld, len(judged)),
        learned=0 if learned is None else len(learned[0]),
        kept_out=kept_out,
        said=said,
    )  # fmt: skip


def _digest(
    release: Release, sources: Sources | None, truth: Labels | None, withheld: int, count: int
) -> str:
    """Of what `verify` of as many files reads: other models see more of a source than the window."""
    parts: list[object] = [release.complete, withheld, None if truth is None else len(truth)]
    for entry in spread(release.entries, max(1, count)):
        label = None if truth is None else truth.of(entry.file)
        known = sources is not None and entry.file in sources.paths
        source = _source_digest(sources, entry.file) if sources is not None and known else ""
        parts.append(f"{entry.sha256} {label} {source}")
    return digest(*parts)


def _source_digest(sources: Sources, file: str) -> str:
    """SHA-256 of a source; empty where it is gone."""
    try:
        return sha256(sources.data(file)).hexdigest()
    except Catch11Error:
        return ""


def _split(entries: Sequence[Entry], effort: Effort) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Files to judge, evenly spaced, and others to learn from, evenly spaced among the rest."""
    judged = spread(entries, effort.judged)
    held = {entry.file for entry in judged}
    return judged, spread([e for e in entries if e.file not in held], effort.training)


def _lessons(asked: Asked, folder: Folder, names: Sequence[str]) -> Shots:
    """Labelled files of another release for the same model, evenly spaced."""
    other, effort = read_release(folder), asked.effort
    if other.canvas != asked.release.canvas:
        raise InvalidArgument("learn", expected="a release of the same canvas", found=str(folder))
    if asked.opened and other.facts.get("sealed") != asked.release.facts.get("sealed"):
        raise InvalidArgument("learn", expected="a release for the same sealed copy", found=folder)
    truth, _ = find_truth(other, None, asked.labels, names=names)
    if truth is None:
        raise InvalidArgument("learn", expected="labels of its files", found="none")
    entries = tuple(entry for entry in other.entries if truth.of(entry.file) is not None)
    return _shots(
        asked, other, spread(entries, effort.training), None, truth, replace(effort, control=False)
    )


def _shots(
    asked: Asked,
    release: Release,
    entries: Sequence[Entry],
    sources: Sources | None,
    truth: Labels | None,
    effort: Effort,
) -> Shots:
    windows, clean = asked.read(release.windows(entries)), None
    if sources is not None:
        shots = [torch.zeros(0, *release.canvas.shape)]
        for entry in entries:
            source = sources.open(entry.file, release.canvas)
            shots.append(window_of(source, release.canvas))
        clean = torch.cat(shots)
        if effort.control:
            windows = _as_noise(release, windows, clean, [e.file for e in entries], effort)
    elif effort.control:
        raise InvalidArgument("control", expected="a source to add noise to", found="no source")
    rows = None if truth is None else [truth.of(entry.file) for entry in entries]
    return Shots(
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
    folder: Folder | None, canvas: Canvas, judged: Shots, effort: Effort
) -> tuple[Windows | None, tuple[str, ...]]:
    """Public windows, without the originals of what is attacked unless there are no others; and what
    to say of that."""
    if folder is None:
        return None, ()
    held = () if judged.clean is None else judged.clean
    originals = {window.numpy().tobytes() for window in held}
    windows: list[Tensor] = []
    met: list[Tensor] = []
    what = "sounds" if canvas.sound else "pictures"
    for _, window in readable(folder, canvas):
        (met if window[0].numpy().tobytes() in originals else windows).append(window)
        if len(windows) == effort.public:
            break
    if windows and met:
        return torch.cat(windows), (
            f"{len(met)} public {what} are originals of the release: left out",
        )
    if met:
        return torch.cat(met), (
            f"all public {what} are originals of the release: that favours attackers",
        )
    if not windows:
        expected = "a folder of sounds" if canvas.sound else "a folder of other pictures"
        raise InvalidArgument("--public", expected=expected, found=f"none in {folder}")
    return torch.cat(windows), ()


def _others(
    folders: Sequence[Folder], release: Release, judged: Shots, effort: Effort
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


def _query(asked: Asked, release: Release, judged: Shots) -> Callable[[Tensor], Tensor] | None:
    """The data owner's recoder as an oracle; of a spectral release it can be built from the key."""
    owner = asked.recoder
    if asked.sealed and asked.copy is None:
        return None  # the owner answers with sealed files, which takes the secret
    if owner is None and asked.key is not None and release.method == SpectralRecoder.method:
        strength = 10.0
        if judged.clean is not None:
            strength = float(psnr(judged.windows, judged.clean).median())
        owner = SpectralRecoder(asked.key, psnr=strength, format=release.form.name, copy=asked.copy)
    return None if owner is None else partial(_recoded, owner)


def _recoded(owner: Any, windows: Tensor) -> Tensor:
    return owner(windows).images


def _own(
    sources: Sources, files: Sequence[str], canvas: Canvas, model: Model
) -> Int[Tensor, " batch"]:
    """A model's own predictions on the clean sources, one at a time."""
    each = [sources.open(file, canvas) for file in files]
    return torch.cat([model.answers(model.preprocess([one])) for one in each])
