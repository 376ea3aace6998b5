"""verify: what the authorized model and its rivals get from a release, against its controls."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from catch11.copies.personalize import CopySecret
from catch11.copies.seal import SealSecret
from catch11.copies.secretfile import Secret
from catch11.data.labels import Labels
from catch11.data.selection import batches, spread
from catch11.errors import InvalidArgument, ReleaseError
from catch11.evaluation.cluster import answering
from catch11.evaluation.conditions import (
    Given,
    Sources,
    find_sources,
    find_truth,
    ledger_rows,
)
from catch11.evaluation.kept import (
    kept_measures,
    not_measured,
    refusal,
    unsourced,
)
from catch11.evaluation.readers import Readers
from catch11.evaluation.roles import named
from catch11.evaluation.score import Run, class_scores, kept_facts, release_id
from catch11.evaluation.verification import (
    Progress,
    Verifiable,
    Verification,
    check_limits,
    verified,
)
from catch11.keys.authorized import Authorized, seal_of
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.keep import ALL, Keep, parse_keep
from catch11.releases.manifest import signer_of
from catch11.releases.read import Release, read_release, unlisted
from catch11.releases.windows import same_canvas

_RESPONSE = 0.1  # relative; how near the first layer's response stays where `all` is asked for


def verify(
    dst: str | os.PathLike[str],
    model: Model,
    *,
    rivals: Sequence[Model] = (),
    labels: Given = None,
    source: str | os.PathLike[str] | None = None,
    ledger: str | os.PathLike[str] | None = None,
    key: Key | None = None,
    copy: Secret | None = None,
    keep: str | None = None,
    tolerance: float | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    batch: int = 16,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Verification:
    """Run the authorized model and its rivals, each through its own preprocessing, on the released
    pictures or sounds and, with `source`, on the clean ones, on Gaussian noise of the same PSNR and on
    the zero-noise control.

    labels: a CSV of `file,label`, or the mapping; class folders are recognised. Without labels a
    model's own clean answer is the truth, as it always is of models that answer in words: the same
    words or not, to the prompt they were loaded with. ledger: the owner's list; the one beside `dst`
    is used where it stands. key: the one it must be signed with; adds the front shift to what is
    re-measured. copy: the secret of `model`, a personalised or sealed copy; its clean and control scores
    are then those on scrambled or sealed pictures. With the secret of a sealed copy `model` may be the model that was
    sealed: it reads what the copy would open. keep, tolerance: what files are held to in place of what the list says. max_drop, max_rival: shares; the largest loss of the authorized
    model and the largest utility of a rival that pass. limit: files to judge, evenly spaced. engine: "ray" answers
    batches in `workers` processes, of this machine or of the cluster at `address`. Raises ReleaseError,
    KeyMismatch, InvalidArgument, MissingExtra.
    """
    check_limits(max_drop=max_drop, max_rival=max_rival, source=source, rivals=rivals)
    if isinstance(copy, CopySecret):
        copy.check_front(model.front(), model.canvas)
    release = read_release(dst, signer=signer_of(key))
    _check_seal(release, model, copy, sourced=source is not None)
    asked = _asked(model, keep, tolerance, sourced=source is not None)
    if not release.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    same_canvas(model, release.canvas)
    rows, withheld = ledger_rows(release, dst, ledger)
    sources = None if source is None else find_sources(release, source, rows)
    truth, unlabelled = _truth(model, release, sources, labels)
    readers = Readers(
        release=release, models=named((model, *rivals)), sources=sources, truth=truth, rows=rows,
        copy=copy, key=key, seed=seed, keep=asked or release.keep, asked=asked is not None,
    )  # fmt: skip
    entries = spread(release.entries, limit)
    settings: dict[str, Any] = {
        "method": release.method,
        "format": release.form.name,
        "release": release_id(release.entries),
        "limit": limit,
        "labels": truth.source if truth else None,
        **kept_facts(release),
    }
    if readers.opens:
        settings["authorized reads"] = "opened"  # and all others the files as they are
    if asked is not None:
        settings["asked"] = asked.near
    if model.prompt is not None:
        settings["prompt"] = model.prompt
    held = partial(
        Verifiable,
        models=readers.models,
        total=len(entries),
        run=Run(key=release.key, seed=seed, command=command, settings=settings),
        scores=lambda tally, models: [
            *class_scores(tally, models),
            *(one.by(next(iter(models)), "nte") for one in kept_measures(tally, seed=seed)),
        ],
        said=(*unlisted(release), *_unmeasured(model, readers.keep, sourced=sources is not None)),
        complete=release.complete,
        sourced=sources is not None,
        withheld=withheld,
        unlabelled=unlabelled,
        unit="sounds" if release.canvas.sound else "images",
    )
    with answering(readers, engine=engine, workers=workers, address=address) as answered:
        whole = held(answered=lambda: answered(batches(entries, batch)))
        return verified(whole, max_drop=max_drop, max_rival=max_rival, progress=progress)


def _unmeasured(model: Model, keep: Keep | None, *, sourced: bool) -> tuple[str, ...]:
    """Why it cannot be said whether files keep what the list says."""
    if not sourced:
        return unsourced(keep)
    why = refusal(model, keep)
    return (not_measured(keep, why),) if keep is not None and why else ()


def _asked(
    model: Model, keep: str | None, tolerance: float | None, *, sourced: bool
) -> Keep | None:
    """What files are to be held to. Raises InvalidArgument where that cannot be measured."""
    if keep is None:
        if tolerance is not None:
            raise InvalidArgument("tolerance", expected="--keep beside it", found="no --keep")
        return None
    asked = parse_keep(keep, tolerance)
    if asked.what == ALL:
        asked = replace(asked, tolerance=_RESPONSE)
    if not sourced:
        raise InvalidArgument(
            "keep", expected="the sources (--source), to measure it by", found="none"
        )
    if why := refusal(model, asked):
        raise why
    return asked


def check_opens(release: Release, model: Authorized, copy: Secret | None = None) -> str:
    """The seal of a release, empty where it has none. Raises InvalidArgument unless its authorized model
    is the copy that opens it, or no copy; with the copy's secret, the model that was sealed will do."""
    seal, own = str(release.facts.get("sealed", "")), seal_of(model)
    if isinstance(copy, SealSecret):
        if copy.fingerprint != seal:
            raise InvalidArgument(
                "secret", expected=f"that of the sealed copy {seal[:16]}" if seal else "none of a sealed copy",
                found=f"that of another copy, {copy.fingerprint[:16]}",
            )  # fmt: skip
        if not own:
            copy.check_front(model.front(), model.canvas)
            return seal
    if own != seal:
        expected = f"the sealed copy {seal[:16]}, which opens it" if seal else "no sealed copy"
        found = f"{model.spec}, the sealed copy {own[:16]}" if own else model.spec
        remedy = (
            "whoever has its --secret may give the model that was sealed"
            if seal and not own
            else ""
        )
        raise InvalidArgument("model", expected=expected, found=found, remedy=remedy)
    return seal


def _check_seal(release: Release, model: Model, copy: Secret | None, *, sourced: bool) -> None:
    """Raises InvalidArgument unless model and secret are of the seal of the release."""
    seal = check_opens(release, model, copy)
    if seal and not isinstance(copy, SealSecret) and (sourced or copy is not None):
        raise InvalidArgument(
            "secret", expected="the secret of the sealed copy, with a source", found="none",
            remedy="the copy reads sealed pictures alone; leave the source out without it",
        )  # fmt: skip


def _truth(
    model: Model, release: Release, sources: Sources | None, labels: Given
) -> tuple[Labels | None, tuple[str, ...]]:
    if not model.speaks:
        return find_truth(release, sources, labels, names=model.labels)
    if labels is not None:
        raise InvalidArgument(
            "labels", expected="none for a model that answers in words", found="some",
            remedy="its own words on the clean pictures are the truth; questions with options go "
            "through catch11.studies.tasks.mmbench",
        )  # fmt: skip
    return None, ()
