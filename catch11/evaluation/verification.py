"""The frame of every verification: models answer what they are given, and it scores, judges, doubts."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from catch11.errors import InvalidArgument
from catch11.evaluation.doubts import Facts, doubts, doubts_of_models
from catch11.evaluation.interval import Interval
from catch11.evaluation.record import Record, Verdict
from catch11.evaluation.roles import roles_of
from catch11.evaluation.score import Run, Score, Tally, class_scores, mean, to_record, to_verdict
from catch11.keys.authorized import Authorized

Progress = Callable[..., None]
_UNFINISHED = "the manifest has no closing line: the release is not finished, or was cut"


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verifiable:
    """What a kind of data brings to be verified. models: by name, the authorized one first. answered:
    batches, each with how many items it took, read under every condition and answered by every model.
    total: items to go through. scores: what the predictions are worth. drop: of scores that are no
    shares of hits, what the authorized model lost. complete: whether the list was closed. unit: what
    the items are. unlabelled: files without a label where others have one. said: further warnings. handled: whether the zero-noise control shows what handling costs a rival.
    files: released, where the items are no files."""

    models: Mapping[str, Authorized]
    answered: Callable[[], Iterable[tuple[int, Tally]]]
    total: int
    run: Run
    complete: bool
    sourced: bool
    scores: Callable[[Tally, Mapping[str, Any]], list[Score]] = class_scores
    drop: Callable[[Tally], Interval | None] = lambda tally: None
    withheld: int = 0
    unlabelled: tuple[str, ...] = ()
    unit: str = "images"
    handled: bool = True
    files: int | None = None
    said: tuple[str, ...] = ()


def verified(
    held: Verifiable,
    *,
    max_drop: float | None = None,
    max_rival: float | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Every model on every condition: scores, the verdict, and why not to rely on them."""
    tally, done = Tally(), 0
    for count, part in held.answered():
        tally.add(part)
        done += count
        if progress is not None:
            progress(done, held.total)
    model, *rivals = held.models.values()
    roles = roles_of(model, held.models)
    scores = held.scores(tally, held.models)
    records = [
        to_record(
            score, held.run, model=score.name, role=roles[score.name], condition=score.condition,
            fingerprint=held.models[score.name].fingerprint, attack=score.attack,
            knowledge=score.knowledge, psnr=mean(tally.psnr.get(score.condition, ())),
            ssim=mean(tally.ssim.get(score.condition, ())),
        )
        for score in scores
    ]  # fmt: skip
    verdict = to_verdict(
        scores, roles, max_drop=max_drop, max_rival=max_rival,
        disagreements=len(tally.problems), drop=held.drop(tally),
    )  # fmt: skip
    return Verification(
        records=tuple(records),
        verdict=verdict,
        warnings=(
            *([] if held.complete else [_UNFINISHED]),
            *held.said,
            *doubts_of_models(model, rivals),
            *doubts(_facts(held, tally, scores)),
            *verdict.unsure,
        ),
        problems=tuple(tally.problems),
        files=len(tally.files) if held.files is None else held.files,
    )


def check_limits(
    *, max_drop: float | None, max_rival: float | None, source: object, rivals: Sequence[object]
) -> None:
    """Raises InvalidArgument for a limit that nothing is there to be held against."""
    if max_drop is not None and source is None:
        raise InvalidArgument("max_drop", expected="a source to compare with", found="no source")
    if max_rival is not None and not rivals:
        raise InvalidArgument("max_rival", expected="a rival to hold it against", found="none")


def _facts(held: Verifiable, tally: Tally, scores: Sequence[Score]) -> Facts:
    first, *rivals = held.models
    main = [score for score in scores if score.metric == scores[0].metric]
    return Facts(
        authorized=first,
        rivals=rivals,
        files=tally.files,
        labels={
            file: label
            for file, label in zip(tally.files, tally.truth, strict=True)
            if label is not None
        },
        names=held.models[first].labels,
        hits={
            (s.name, s.condition): s.hits
            for s in main
            if s.hits and (held.handled or s.condition != "control")
        },
        scored=main[0].n if main else 0,
        sourced=held.sourced,
        withheld=held.withheld,
        unlabelled=held.unlabelled,
        unit=held.unit,
    )
