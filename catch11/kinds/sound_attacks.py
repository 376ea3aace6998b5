"""Attacks on released sounds: filters, other rates, a codec, and attackers who know more; what each
model answers after them."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.sounds import blind_attacks, projected, wiener
from catch11.conditions import (
    Given,
    clean_window,
    find_sources,
    find_truth,
    heard_again,
    ledger_rows,
    read_batch,
    spread,
)
from catch11.data.folder import walk
from catch11.data.sounds import open_clip
from catch11.errors import Catch11Error, InvalidArgument, ReleaseError
from catch11.key import Key
from catch11.matrix import answers
from catch11.metrics import accuracy
from catch11.models.audio import AudioModel
from catch11.record import Condition, Record, versions
from catch11.release import Release, read_release
from catch11.trust import by_name, role_of

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
    if release.canvas.shape[:2] != (1, 1):
        raise InvalidArgument(
            "DST", expected="a release of waves, which filters can be tried on", found="features"
        )
    named = by_name((*rivals,) if model is None else (model, *rivals))
    rows, _ = ledger_rows(release, dst, ledger)
    sources = find_sources(release, source, rows)
    (entries,) = spread(release, limit, limit=limit)
    batch, problems = read_batch(release, entries, sources, seed=seed)
    if not batch.files:
        raise ReleaseError(dst, problems[0][1] if problems else "it lists no files")
    first = next(iter(named.values()))
    truth = None
    if not first.speaks:
        truth, _ = find_truth(release, sources, labels, names=first.labels)
    known = [
        index for index, file in enumerate(batch.files) if truth and truth.of(file) is not None
    ]
    tried = _tried(batch.windows["nte"], public, key, release)
    unknown = set(attacks or ()) - set(tried)
    if unknown:
        raise InvalidArgument(
            "--attack", expected=f"among {', '.join(tried)}, with what is given here",
            found=sorted(unknown)[0],
        )  # fmt: skip
    runs = {name: run for name, run in tried.items() if attacks is None or name in attacks}
    found: list[Record] = []
    for number, (name, (knowledge, run)) in enumerate(
        {"": ((), lambda: batch.windows["nte"]), **runs}.items()
    ):
        if progress is not None:
            progress(name or "no attack", number, 1 + len(runs))
        made = heard_again(run(), release)
        for title, one in named.items():
            said = answers(one, made).tolist()
            own = answers(one, batch.pictures["clean"]).tolist()
            hits = [said[i] == own[i] for i in range(len(said))]
            if known and truth is not None:
                hits = [said[i] == truth.of(batch.files[i]) for i in known]
            share = accuracy(hits)
            condition: Condition = "attack" if name else "nte"
            found.append(
                Record(
                    model=title, condition=condition, attack=name or None, knowledge=knowledge,
                    role="authorized" if one is model else "ga" if model is None else role_of(model, one),
                    metric="accuracy" if known else "agreement", value=share.estimate,
                    low=share.low, high=share.high, n=len(hits), model_fingerprint=one.fingerprint,
                    key_fingerprint=release.key, seed=seed, command=command,
                    settings={"method": release.method}, versions=versions(),
                )
            )  # fmt: skip
    return found


def _tried(
    windows: Waves, public: str | os.PathLike[str] | None, key: Key | None, release: Release
) -> dict[str, tuple[tuple[str, ...], Callable[[], Waves]]]:
    """What can be run, by name, with what it knows."""
    found: dict[str, tuple[tuple[str, ...], Callable[[], Waves]]] = {
        name: ((), partial(run, windows)) for name, run in blind_attacks().items()
    }
    if public is None:
        return found
    others = _public(Path(public), release)
    found["Wiener"] = (("public",), lambda: wiener(windows, others))
    if key is not None and key.front.geometry == "patch":
        front = key.front
        found["front known"] = (("public", "front"), lambda: projected(windows, others, front))
    return found


def _public(folder: Path, release: Release) -> Waves:
    made = []
    for name in walk(folder).files:
        try:
            made.append(clean_window(open_clip(folder / name), release.canvas))
        except Catch11Error:
            continue  # of another kind, or broken: no help to an attacker
    if not made:
        raise InvalidArgument("--public", expected="a folder of .wav files", found=str(folder))
    return torch.cat(made)
