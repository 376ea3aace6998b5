"""Attacks on released sounds: filters, other rates, a codec, and attackers who know more; what each
model answers after them."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.data.selection import spread
from catch11.data.windows import readable
from catch11.errors import InvalidArgument, ReleaseError
from catch11.evaluation.conditions import (
    Given,
    find_sources,
    find_truth,
    heard_again,
    ledger_rows,
    read_batch,
)
from catch11.evaluation.record import Record
from catch11.evaluation.roles import named as named_by
from catch11.evaluation.roles import role_of
from catch11.evaluation.verify import answers
from catch11.keys.key import Key
from catch11.modalities.audio.filters import blind_attacks, projected, wiener
from catch11.modalities.audio.model import AudioModel
from catch11.modalities.tries import Tries, chosen, tried
from catch11.releases.read import Release, read_release

Told = Callable[[str, int, int], None]
Waves = Float[Tensor, "batch 1 1 time"]


def attack_sounds(
    dst: str | os.PathLike[str],
    rivals: Sequence[AudioModel],
    *,
    source: str | os.PathLike[str],
    model: AudioModel | None = None,
    key: Key | None = None,
    public: str | os.PathLike[str] | None = None,
    labels: Given = None,
    ledger: str | os.PathLike[str] | None = None,
    limit: int = 60,
    seed: int = 0,
    attacks: Sequence[str] | None = None,
    command: str | None = None,
    progress: Told | None = None,
) -> list[Record]:
    """What models answer to a release of waves, as it is and after each attack that what is given
    here allows: public sounds, the key's front.

    Without labels a model's own clean answer is the truth. Raises ReleaseError, InvalidArgument.
    """
    release = read_release(dst)
    if not release.canvas.waveform:
        raise InvalidArgument(
            "DST", expected="a release of waves, which filters can be tried on", found="features"
        )
    named = named_by((*rivals,) if model is None else (model, *rivals))
    rows, _ = ledger_rows(release, dst, ledger)
    sources = find_sources(release, source, rows)
    batch, problems = read_batch(release, spread(release.entries, limit), sources, seed=seed)
    if not batch.files:
        raise ReleaseError(dst, problems[0][1] if problems else "it lists no files")
    first = next(iter(named.values()))
    truth = None
    if not first.speaks:
        truth, _ = find_truth(release, sources, labels, names=first.labels)
    plain: Tries[Waves] = {"": ((), lambda: batch.windows["nte"])}
    runs = _runs(batch.windows["nte"], public, key, release)
    return tried(
        {**plain, **chosen(runs, attacks)}, named,
        restored=lambda one, made: answers(one, heard_again(made, release)).tolist(),
        own=lambda one: answers(one, batch.pictures["clean"]).tolist(),
        role=lambda one: role_of(model, one),
        truth=[None if truth is None else truth.of(file) for file in batch.files],
        release=release, seed=seed, command=command, progress=progress,
    )  # fmt: skip


def _runs(
    windows: Waves, public: str | os.PathLike[str] | None, key: Key | None, release: Release
) -> Tries[Waves]:
    """What can be run, by name, with what it knows."""
    found: dict[str, tuple[tuple[str, ...], Callable[[], Waves]]] = {
        name: ((), partial(run, windows)) for name, run in blind_attacks().items()
    }
    if public is None:
        return found
    others = _public(Path(public), release)
    found["Wiener"] = (("public",), lambda: wiener(windows, others))
    if key is not None and key.front.patched:
        front = key.front
        found["front known"] = (("public", "front"), lambda: projected(windows, others, front))
    return found


def _public(folder: Path, release: Release) -> Waves:
    made = [window for _, window in readable(folder, release.canvas)]
    if not made:
        raise InvalidArgument("--public", expected="a folder of sounds", found=str(folder))
    return torch.cat(made)
