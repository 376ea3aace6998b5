"""verify: what the authorized model and its rivals get from a release, against its controls."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from catch11.copies.personalize import CopySecret
from catch11.copies.scramble import Scramble
from catch11.data.labels import Labels
from catch11.data.selection import batches, spread
from catch11.errors import InvalidArgument, ReleaseError
from catch11.evaluation.conditions import (
    Batch,
    Given,
    Sources,
    find_sources,
    find_truth,
    ledger_rows,
    read_batch,
)
from catch11.evaluation.doubts import Facts, doubts, doubts_of_models
from catch11.evaluation.record import Record, Role, Verdict
from catch11.evaluation.roles import named as named_models
from catch11.evaluation.roles import roles_of
from catch11.evaluation.score import Score, Tally, release_id, score_answers, to_record, to_verdict
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.releases.ledger import Row
from catch11.releases.manifest import signer_of
from catch11.releases.read import Release, read_release
from catch11.releases.windows import same_canvas

Progress = Callable[[int, int], None]
_UNFINISHED = "the manifest has no closing line: the release is not finished, or was cut"
_DECIBEL = 1e-3  # a re-read PSNR this far from the ledger's is another file's
_SHIFT = 1e-3  # relative; the ledger's shift is float32 of another batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `verify` found. warnings: why not to rely on it. problems: (file, reason) of the files
    that could not be judged or that disagree with the manifest or the ledger."""

    records: tuple[Record, ...]
    verdict: Verdict
    warnings: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    files: int = 0

    @property
    def failed(self) -> bool:
        return self.verdict.failed

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with records, verdict, warnings, problems and the number of files."""
        return {
            "records": [json.loads(record.to_line()) for record in self.records],
            "verdict": self.verdict.to_dict(),
            "warnings": list(self.warnings),
            "problems": [list(problem) for problem in self.problems],
            "files": self.files,
        }


def verify(
    dst: str | os.PathLike[str],
    model: Model,
    *,
    rivals: Sequence[Model] = (),
    labels: Given = None,
    source: str | os.PathLike[str] | None = None,
    ledger: str | os.PathLike[str] | None = None,
    key: Key | None = None,
    copy: CopySecret | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    batch: int = 16,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Run the authorized model and its rivals, each through its own preprocessing, on the released
    files and, with `source`, on the clean ones, on Gaussian noise of the same PSNR and on the
    zero-noise control.

    labels: a CSV of `file,label`, or the mapping; class folders are recognised. Without labels a
    model's own clean answer is the truth, as it always is of models that answer in words: the same
    words or not, to the prompt they were loaded with. ledger: the owner's list; the one beside `dst` is used
    where it stands. key: the one it must be signed with; adds the front shift to what is re-measured. copy: the secret of `model`, a
    personalised copy; its clean and control scores are then those on scrambled pictures. max_drop, max_rival: shares;
    the largest loss of the authorized model and the largest utility of a rival that pass. limit:
    files to judge, evenly spaced. Raises ReleaseError, KeyMismatch, InvalidArgument.
    """
    if max_drop is not None and source is None:
        raise InvalidArgument("max_drop", expected="a source to compare with", found="no source")
    if max_rival is not None and not rivals:
        raise InvalidArgument("max_rival", expected="a rival to hold it against", found="none")
    if copy is not None:
        copy.check_front(model.front(), model.canvas)
    scramble = None if copy is None else copy.scramble
    trial = _set_up(dst, model, rivals, labels, source, ledger, scramble, signer_of(key))
    tally = _run(trial, key, limit, batch, seed, progress)
    scores = score_answers(tally, trial.named, trial.truth, model)
    settings = {
        "method": trial.release.method,
        "format": trial.release.form.name,
        "release": release_id(trial.release),
        "limit": limit,
        "labels": trial.truth.source if trial.truth else None,
    }
    if model.prompt is not None:
        settings["prompt"] = model.prompt
    records = [
        to_record(
            score, trial.named, trial.roles, tally, settings, trial.release.key, seed, command
        )
        for score in scores
    ]
    verdict = to_verdict(scores, trial.roles, max_drop, max_rival, len(tally.problems))
    warnings = (
        *([] if trial.release.complete else [_UNFINISHED]),
        *doubts_of_models(model, rivals),
        *doubts(_facts(trial, tally, scores)),
        *verdict.unsure,
    )
    return Verification(
        records=tuple(records),
        verdict=verdict,
        warnings=warnings,
        problems=tuple(tally.problems),
        files=len(tally.files),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What is judged and by what: models by name, the authorized one first."""

    release: Release
    named: Mapping[str, Model]
    roles: Mapping[str, Role]
    sources: Sources | None
    truth: Labels | None
    unlabelled: int
    rows: Mapping[str, Row]
    withheld: int
    scramble: Scramble | None

    @property
    def authorized(self) -> str:
        return next(iter(self.named))


def _set_up(
    dst: str | os.PathLike[str],
    model: Model,
    rivals: Sequence[Model],
    labels: Given,
    source: str | os.PathLike[str] | None,
    ledger: str | os.PathLike[str] | None,
    scramble: Scramble | None,
    signer: str | None,
) -> _Trial:
    release = read_release(dst, signer=signer)
    if not release.entries:
        raise ReleaseError(dst, "the release lists no files", "release something first")
    same_canvas(model, release.canvas)
    rows, withheld = ledger_rows(release, dst, ledger)
    sources = None if source is None else find_sources(release, source, rows)
    truth, unlabelled = None, 0
    if not model.speaks:
        truth, unlabelled = find_truth(release, sources, labels, names=model.labels)
    elif labels is not None:
        raise InvalidArgument(
            "labels", expected="none for a model that answers in words", found="some",
            remedy="its own words on the clean pictures are the truth; questions with options go "
            "through catch11.studies.tasks.mmbench",
        )  # fmt: skip
    named = named_models((model, *rivals))
    return _Trial(
        release=release,
        named=named,
        roles=roles_of(model, named),
        sources=sources,
        truth=truth,
        unlabelled=unlabelled,
        rows=rows,
        withheld=withheld,
        scramble=scramble,
    )


def _facts(trial: _Trial, tally: Tally, scores: Sequence[Score]) -> Facts:
    known = {} if trial.truth is None else {f: trial.truth.of(f) for f in tally.files}
    return Facts(
        authorized=trial.authorized,
        rivals=[name for name in trial.named if name != trial.authorized],
        files=tally.files,
        labels={file: label for file, label in known.items() if label is not None},
        names=trial.named[trial.authorized].labels,
        hits={(s.name, s.condition): s.hits for s in scores if s.metric == scores[0].metric},
        sourced=trial.sources is not None,
        withheld=trial.withheld,
        unlabelled=trial.unlabelled,
    )


def answers(model: Model, pictures: Sequence[Any]) -> Int[Tensor, " batch"]:
    """A model's answer to each picture or sound, through its own preprocessing: a class, or its words."""
    return model.answers(model.preprocess(pictures))


def window_answers(
    model: Model, windows: Float[Tensor, "batch channel height width"]
) -> Int[Tensor, " batch"]:
    """A model's answer to each window of its own, in pixel units (formats beyond 8 bits)."""
    return model.answers(model.canvas.normalise(windows))


def _run(
    trial: _Trial,
    key: Key | None,
    limit: int | None,
    batch: int,
    seed: int,
    progress: Progress | None,
) -> Tally:
    tally, done = Tally(), 0
    total = len(trial.release) if limit is None else min(limit, len(trial.release))
    for entries in batches(spread(trial.release.entries, limit), batch):
        done += len(entries)
        if trial.truth is not None:
            entries = tuple(e for e in entries if trial.truth.of(e.file) is not None)
        heard = trial.named[trial.authorized].heard
        made, problems = read_batch(trial.release, entries, trial.sources, seed=seed, heard=heard)
        tally.problems += [*problems, *_disagreements(made, trial, key)]
        if made.files:
            _answer(made, trial, tally)
        if progress is not None:
            progress(done, total)
    return tally


def _answer(made: Batch, trial: _Trial, tally: Tally) -> None:
    """Every model on every condition; the authorized one reads formats beyond 8 bits as they are."""
    tally.files += made.files
    for condition, pictures in made.pictures.items():
        fine = not trial.release.form.exact_for_stock_pipelines and condition != "clean"
        for name, model in trial.named.items():
            windows = made.windows[condition]
            if trial.scramble is not None and name == trial.authorized and condition != "nte":
                given = window_answers(model, trial.scramble(windows))
            elif fine and name == trial.authorized:
                given = window_answers(model, windows)
            else:
                given = answers(model, pictures)
            tally.answers[name, condition] += given.tolist()
        tally.psnr[condition] += made.psnr.get(condition, ())
        tally.ssim[condition] += made.ssim.get(condition, ())


def _disagreements(made: Batch, trial: _Trial, key: Key | None) -> list[tuple[str, str]]:
    """Files whose re-read PSNR or front shift is not the one in the ledger."""
    if "clean" not in made.windows or not made.files:
        return []
    found = []
    shifts: list[float] = []
    if key is not None:
        clean = made.windows["clean"]
        clean = clean if trial.scramble is None else trial.scramble(clean)
        shift = key.front.relative_shift(made.windows["nte"], clean)
        shifts = shift.tolist()
    for index, file in enumerate(made.files):
        row = trial.rows.get(file)
        if row is None:
            continue
        measured = made.psnr["nte"][index]
        if row.psnr is not None and abs(measured - row.psnr) > _DECIBEL:
            found.append((file, f"its PSNR is {measured:.3f} dB and {row.psnr:.3f} in the ledger"))
        elif shifts and row.front_shift is not None:
            gap = abs(shifts[index] - row.front_shift)
            if gap > _SHIFT * max(1e-3, row.front_shift):
                reason = f"its front shift is {shifts[index]:.3g} and {row.front_shift:.3g}"
                found.append((file, f"{reason} in the ledger"))
    return found
