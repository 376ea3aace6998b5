"""A release of any kind of data under attack: run the attacks, judge them, keep records."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from catch11.attacks.cluster import attacking
from catch11.attacks.course import DOUBTS, Course, Skipped
from catch11.attacks.effort import Effort
from catch11.attacks.frame import (
    home,
)
from catch11.attacks.pace import Progress
from catch11.attacks.scene import Asked, Folder, Scene
from catch11.copies.seal import SealSecret
from catch11.copies.secretfile import Secret
from catch11.errors import InvalidArgument
from catch11.evaluation.conditions import Given
from catch11.evaluation.doubts import FEW, doubts_of_models
from catch11.evaluation.record import Record
from catch11.evaluation.roles import named
from catch11.evaluation.verify import check_opens
from catch11.keys.authorized import Authorized, seal_of
from catch11.keys.key import Key
from catch11.recoding.frame import Recoder
from catch11.releases.read import Release, read_release

ORDINARY = Effort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assault:
    """What attacks found: a record an attack and rival, its best try. skipped: (attack, reason) of
    those that could not run."""

    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    skipped: Skipped = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with records, warnings and skipped."""
        return {
            "records": [json.loads(record.to_line()) for record in self.records],
            "warnings": list(self.warnings),
            "skipped": [list(row) for row in self.skipped],
        }


def attack_release(
    dst: Folder,
    rivals: Sequence[Authorized] = (),
    *,
    attacks: Sequence[str] | None = None,
    source: Folder | None = None,
    ledger: Folder | None = None,
    key: Key | None = None,
    recoder: Recoder | None = None,
    model: Authorized | None = None,
    copy: Secret | None = None,
    labels: Given = None,
    target: str | None = None,
    question: str | None = None,
    public: Folder | None = None,
    others: Sequence[Folder] = (),
    learn: Folder | None = None,
    effort: Effort = ORDINARY,
    records: str | os.PathLike[str] | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Assault:
    """Run attacks on a release and judge each with each rival, through the rival's own pipeline.

    attacks: names, `detection` among them, which tells released files from public ones; without them
    every attack that what is given here allows. source: the clean items, which are the truth where
    there are no labels, give the PSNR of restorations, and pairs to learn from. key: gives the front
    (white-box attackers) and, with `recoder` or a spectral release, queries. model: the authorized
    model, judged beside the rivals; of texts the only one. copy: the secret of the copy that the release is sealed for,
    beside the model that was sealed: the licensee attacks what the copy opens, and third parties the files as they are. labels: of pictures and sounds. target: of
    tables the column with the class, of texts with the score of each pair. public: other items.
    others: further releases of the same sources. learn: a release for the same model whose labelled
    files attackers learn from; further files of this one without it. records: a file of JSON lines, to
    which each attack's records are appended as it ends, and from which a stopped run goes on; with
    `model` it gets the whole matrix, the same files without an attack included. progress: called with
    a `Step` as an attack begins and as it ends. engine: "ray" works out attacks that train nothing in
    `workers` processes, here or at `address`. Raises InvalidArgument where an attack lacks knowledge.
    """
    until = None if effort.minutes is None else monotonic() + 60 * effort.minutes
    models = named((*(() if model is None else (model,)), *rivals))
    release = read_release(dst)
    secret = _secret(release, model, copy)
    kind = release.modality
    asked = Asked(
        dst=Path(dst), release=release, models=models, model=model, rivals=rivals, key=key, copy=secret,
        source=None if source is None else Path(source),
        ledger=None if ledger is None else Path(ledger),
        recoder=recoder, labels=labels, target=target, question=question, public=public, others=others, learn=learn,
        effort=effort, command=command,
    )  # fmt: skip
    views = (asked,) if secret is None else (asked, replace(asked, opened=True))
    path = None if records is None else Path(records)
    courses = [Course(one, home(kind).gather(one), kind, path) for one in views]
    first = courses[0]
    whole = model is not None and path is not None
    plans = [
        one.plan(attacks, plain=one is first and first.scene.plain and not whole) for one in courses
    ]
    made: tuple[Record, ...] = ()
    late: Skipped = ()
    done, total = 0, sum(len(plan) for plan, _ in plans)
    for course, (plan, _) in zip(courses, plans, strict=True):
        tell = _among(progress, done, total)
        held = course.scene.stands
        by = attacking(held, effort.seed, engine=engine, workers=workers, address=address)
        with by as work_out:
            found, missed = course.run(plan, work_out, tell, until=until, named=attacks is not None)  # fmt: skip
        made, late, done = (*made, *found), (*late, *missed), done + len(plan)
    matrix = first.unattacked() if whole else ()
    doubts = () if model is None else doubts_of_models(model, rivals)
    kept = tuple(str(text) for record in matrix for text in record.settings.get(DOUBTS, ()))
    warnings = tuple(dict.fromkeys((*_warnings(first.scene, effort), *doubts, *kept)))
    skipped = tuple(dict.fromkeys(row for _, rows in plans for row in rows))
    return Assault(records=(*matrix, *made), warnings=warnings, skipped=(*skipped, *late))


def _secret(release: Release, model: Authorized | None, copy: Secret | None) -> SealSecret | None:
    """The secret that opens a release. Raises InvalidArgument unless it and the model are of its seal."""
    if copy is None:
        if model is not None:
            check_opens(release, model)
        return None
    if not isinstance(copy, SealSecret):
        raise InvalidArgument(
            "secret", expected="that of a sealed copy", found="that of a personalised one"
        )
    if model is None or seal_of(model):
        raise InvalidArgument(
            "model", expected="the model that was sealed, beside the secret of its copy",
            found="none" if model is None else f"{model.spec}, the copy",
        )  # fmt: skip
    check_opens(release, model, copy)
    return copy


def _among(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Steps of some attacks as steps of all; done: those before them."""
    if progress is None:
        return None
    return lambda step: progress(replace(step, done=step.done + done, total=total))


def _warnings(scene: Scene, effort: Effort) -> tuple[str, ...]:
    found = list(scene.said)
    if scene.count < FEW:
        found.insert(0, f"only {scene.count} {scene.unit} were attacked: the intervals are wide")
    if effort.control:
        found.append("this is the control: Gaussian noise was attacked, not the release")
    return tuple(found)
