"""verify: what the authorized model and its rivals get from a release, against its controls."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from catch11 import trust
from catch11.conditions import (
    Batch,
    Given,
    Sources,
    find_sources,
    find_truth,
    ledger_rows,
    read_batch,
    spread,
)
from catch11.data.labels import Labels
from catch11.errors import InvalidArgument
from catch11.key import Key
from catch11.models.frame import Model
from catch11.record import Record, Role, Verdict
from catch11.release import read_release
from catch11.release.check import same_canvas
from catch11.release.ledger import Row
from catch11.release.read import Release
from catch11.score import Tally, score_answers, to_record, to_verdict

Progress = Callable[[int, int], None]
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
    model's own clean answer is the truth. ledger: the owner's list; the one beside `dst` is used
    where it stands. key: adds the front shift to what is re-measured. max_drop, max_rival: shares;
    the largest loss of the authorized model and the largest utility of a rival that pass. limit:
    files to judge, evenly spaced. Raises ReleaseError, KeyMismatch, InvalidArgument.
    """
    release = read_release(dst)
    same_canvas(model, release.canvas)
    if max_drop is not None and source is None:
        raise InvalidArgument("max_drop", expected="a source to compare with", found="no source")
    if max_rival is not None and not rivals:
        raise InvalidArgument("max_rival", expected="a rival to hold it against", found="none")
    rows, withheld = ledger_rows(release, dst, ledger)
    sources = None if source is None else find_sources(release, source, rows)
    truth, unlabelled = find_truth(release, sources, labels, names=model.labels)
    named = trust.by_name((model, *rivals))
    tally = _run(release, named, sources, truth, rows, key, limit, batch, seed, progress)
    roles: dict[str, Role] = {
        name: trust.role_of(model, one) if place else "authorized"
        for place, (name, one) in enumerate(named.items())
    }
    scores = score_answers(tally, named, truth, model)
    settings = {
        "method": release.method,
        "format": release.form.name,
        "limit": limit,
        "labels": truth.source if truth else None,
    }
    records = [
        to_record(score, named, roles, tally, settings, release, seed, command) for score in scores
    ]
    verdict = to_verdict(scores, roles, max_drop, max_rival, len(tally.problems))
    facts = trust.Facts(
        authorized=next(iter(named)),
        rivals=[name for name in named if roles[name] != "authorized"],
        files=tally.files,
        labels={file: truth.of(file) for file in tally.files} if truth else {},  # type: ignore[misc]
        names=model.labels,
        hits={(s.name, s.condition): s.hits for s in scores if s.metric == scores[0].metric},
        sourced=sources is not None,
        withheld=withheld,
        unlabelled=unlabelled,
    )
    doubts = (*trust.doubts_of_models(model, rivals), *trust.doubts(facts), *verdict.unsure)
    if not release.complete:
        doubts = (
            "the manifest has no closing line: the release is not finished, or was cut",
            *doubts,
        )
    return Verification(
        records=tuple(records),
        verdict=verdict,
        warnings=doubts,
        problems=tuple(tally.problems),
        files=len(tally.files),
    )


def answers(model: Model, pictures: Sequence[Image.Image]) -> Int[Tensor, " batch"]:
    """A model's class for each picture, through its own preprocessing."""
    return model.logits(model.preprocess(pictures)).argmax(1)


def window_answers(
    model: Model, windows: Float[Tensor, "batch channel height width"]
) -> Int[Tensor, " batch"]:
    """A model's class for each window of its own, in pixel units (formats beyond 8 bits)."""
    return model.logits(model.canvas.normalise(windows)).argmax(1)


def _run(
    release: Release,
    named: Mapping[str, Model],
    sources: Sources | None,
    truth: Labels | None,
    rows: Mapping[str, Row],
    key: Key | None,
    limit: int | None,
    batch: int,
    seed: int,
    progress: Progress | None,
) -> Tally:
    tally, done = Tally(), 0
    total = len(release) if limit is None else min(limit, len(release))
    for entries in spread(release, batch, limit=limit):
        done += len(entries)
        if truth is not None:
            entries = tuple(entry for entry in entries if truth.of(entry.file) is not None)
        made, problems = read_batch(release, entries, sources, seed=seed)
        tally.problems += [*problems, *_disagreements(made, rows, key)]
        if made.files:
            _answer(made, named, release, tally)
        if progress is not None:
            progress(done, total)
    return tally


def _answer(made: Batch, named: Mapping[str, Model], release: Release, tally: Tally) -> None:
    tally.files += made.files
    authorized = next(iter(named))
    for condition, pictures in made.pictures.items():
        for name, model in named.items():
            exact = name == authorized and release.form.name != "png8" and condition != "clean"
            if exact:
                given = window_answers(model, made.windows[condition])
            else:
                given = answers(model, pictures)
            tally.answers[name, condition] += given.tolist()
        tally.psnr[condition] += made.psnr.get(condition, ())
        tally.ssim[condition] += made.ssim.get(condition, ())


def _disagreements(made: Batch, rows: Mapping[str, Row], key: Key | None) -> list[tuple[str, str]]:
    """Files whose re-read PSNR or front shift is not the one in the ledger."""
    if "clean" not in made.windows or not made.files:
        return []
    found = []
    shifts: list[float] = []
    if key is not None:
        shift = key.front.relative_shift(made.windows["nte"], made.windows["clean"])
        shifts = shift.tolist()
    for index, file in enumerate(made.files):
        row = rows.get(file)
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
