"""A release under attack: run the attacks, judge them with every rival, keep records."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catch11.attacks.detection import DETECTION, DETECTOR_KNOWS, LEAST, detection_record
from catch11.attacks.effort import Effort
from catch11.attacks.frame import (
    Finding,
    Knowledge,
    Unsuited,
    attack_names,
    attack_of,
    check_knowledge,
)
from catch11.attacks.gather import Folder, Scene, gather
from catch11.attacks.inputs import read_inputs
from catch11.attacks.several import NearDuplicates
from catch11.errors import InvalidArgument, MissingExtra
from catch11.evaluation.cells import Cell, run_cells
from catch11.evaluation.conditions import Given
from catch11.evaluation.doubts import FEW, doubts_of_models
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Record, Role, versions
from catch11.evaluation.roles import named as named_models
from catch11.evaluation.roles import roles_of
from catch11.evaluation.score import release_id
from catch11.evaluation.verify import Verification, verify
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder

Progress = Callable[[str, int, int], None]
ORDINARY = Effort()
_DOUBTS = "doubts"  # the setting in which a record keeps warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class Assault:
    """What attacks found: a record an attack and rival, its best try. skipped: (attack, reason) of
    those that could not run."""

    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with records, warnings and skipped."""
        return {
            "records": [json.loads(record.to_line()) for record in self.records],
            "warnings": list(self.warnings),
            "skipped": [list(row) for row in self.skipped],
        }


def attack_release(
    dst: Folder,
    rivals: Sequence[Model],
    *,
    attacks: Sequence[str] | None = None,
    source: Folder | None = None,
    ledger: Folder | None = None,
    key: Key | None = None,
    recoder: Recoder | None = None,
    model: Model | None = None,
    labels: Given = None,
    public: Folder | None = None,
    others: Sequence[Folder] = (),
    learn: Folder | None = None,
    effort: Effort = ORDINARY,
    records: str | os.PathLike[str] | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Assault:
    """Run attacks on a release and judge each with each rival, through the rival's own pipeline.

    attacks: names, `detection` among them, which tells released files from public ones; without
    them every attack that what is given here allows. source: the clean pictures, which are the
    truth where there are no labels, give the PSNR of restorations, and pairs to learn from. key: gives the front (white-box attackers) and, with `recoder` or a
    spectral release, queries. model: the authorized model, judged beside the rivals. public: a
    folder of other pictures. others: further releases of the same sources. learn: a release for
    the same model whose labelled files attackers learn from; further files of this one without it.
    records: a file of JSON lines, to which each attack's records are appended as it ends, and from
    which a stopped run goes on; with `model` it gets the whole matrix, the same files without an
    attack included. Raises InvalidArgument where an attack named here lacks knowledge.
    """
    if not rivals:
        raise InvalidArgument("rivals", expected="at least one model", found="none")
    named = named_models((*(() if model is None else (model,)), *rivals))
    owner = model if model is not None or key is None else key.front
    scene = gather(
        dst,
        named,
        source=source,
        ledger=ledger,
        key=key,
        recoder=recoder,
        labels=labels,
        names=(model or rivals[0]).labels,
        public=public,
        others=others,
        learn=learn,
        effort=effort,
    )
    roles = roles_of(owner, named)
    inputs = read_inputs(scene, named, roles, key=key, recoder=recoder, effort=effort)

    def kept(cell: Cell, work: Callable[[], Sequence[Record]]) -> tuple[Record, ...]:
        if records is None:
            return tuple(work())
        return run_cells([cell], Path(records), lambda _: work())

    def run(name: str) -> tuple[Record, ...]:
        if name == DETECTION:
            return kept(
                inputs.detection(), lambda: [detection_record(scene, effort, command=command)]
            )
        variant = attack_of(name)
        return kept(
            inputs.attack(variant, learned=_learned(scene)),
            lambda: [
                _record(found, scene, named[found.rival], roles[found.rival], effort, command)
                for found in variant()(scene.material, scene.jury, seed=effort.seed)
            ],
        )

    made, skipped = _run(scene, attacks, effort, run, progress)
    doubts = () if model is None else doubts_of_models(model, rivals)
    if records is not None and model is not None:
        plain = kept(
            inputs.conditions(sourced=source is not None),
            lambda: _unattacked(
                verify(
                    dst,
                    model,
                    rivals=rivals,
                    labels=labels,
                    source=source,
                    ledger=ledger,
                    limit=len(scene.judged.files),
                    seed=effort.seed,
                    command=command,
                )
            ),
        )
        made = (*plain, *made)
        doubts += tuple(str(text) for record in plain for text in record.settings.get(_DOUBTS, ()))
    warnings = tuple(dict.fromkeys((*_warnings(scene, effort), *doubts)))
    return Assault(records=made, warnings=warnings, skipped=skipped)


def _unattacked(found: Verification) -> tuple[Record, ...]:
    """The same files clean, as released, and under both controls, by every model; the first record
    keeps why not to rely on them, so that a run taken up again still says it."""
    doubts = list(found.warnings)
    if found.problems:
        doubts.append(f"{len(found.problems)} files were left out or disagree: verify names them")
    first, *rest = found.records
    if doubts:
        first = replace(first, settings={**first.settings, _DOUBTS: doubts})
    return (first, *rest)


def _learned(scene: Scene) -> int:
    """Files that labelled and paired attackers learn from."""
    held = scene.material.labelled or scene.material.pairs
    return 0 if held is None else len(held[0])


def _run(
    scene: Scene,
    attacks: Sequence[str] | None,
    effort: Effort,
    work: Callable[[str], tuple[Record, ...]],
    progress: Progress | None,
) -> tuple[tuple[Record, ...], tuple[tuple[str, str], ...]]:
    """Records of every attack, and those left out because nobody asked for them by name. What
    cannot run is refused before anything does."""
    chosen = (*attack_names(), DETECTION) if attacks is None else tuple(attacks)
    unfit = {name: reason for name in chosen if (reason := _unfit(name, scene, effort))}
    if attacks is not None and unfit:
        raise Unsuited(*next(iter(unfit.items())))
    if attacks is not None:
        for name in chosen:
            check_knowledge(name, _knowledge(name), scene.material)
    made: tuple[Record, ...] = ()
    skipped = []
    for number, name in enumerate(chosen):
        if attacks is None:
            missing = _knowledge(name) - scene.material.knowledge
            reason = unfit.get(name) or ("needs " + ", ".join(sorted(missing)) if missing else "")
            if reason:
                skipped.append((name, reason))
                continue
        if progress is not None:
            progress(name, number, len(chosen))
        try:
            made += work(name)
        except (MissingExtra, Unsuited) as error:
            if attacks is not None:
                raise
            skipped.append((name, str(error)))
    if progress is not None:
        progress("", len(chosen), len(chosen))
    return made, tuple(skipped)


def _knowledge(name: str) -> frozenset[Knowledge]:
    if name not in (*attack_names(), DETECTION):
        known = ", ".join((*attack_names(), DETECTION))
        raise InvalidArgument("attack", expected=f"one of {known}", found=name)
    return DETECTOR_KNOWS if name == DETECTION else attack_of(name).knowledge


def _unfit(name: str, scene: Scene, effort: Effort) -> str:
    """Why what was given does not do for an attack; empty where it does or was not given."""
    public = scene.material.public
    if name == DETECTION and public is not None and len(public) < LEAST:
        return f"needs {LEAST} public pictures to learn from and to compare with, not {len(public)}"
    if name == NearDuplicates.name and effort.control:
        return "a control has no originals of the moved pictures to add noise to"
    kept_out = (scene.kept_out.get(kind) for kind in sorted(_knowledge(name)))
    return next((reason for reason in kept_out if reason), "")


def _record(
    found: Finding, scene: Scene, rival: Model, role: Role, effort: Effort, command: str | None
) -> Record:
    share = accuracy(found.hits)
    settings: Mapping[str, Any] = {
        "setting": found.setting,
        "tries": found.tries,
        "cut": found.cut,
        "method": scene.release.method,
        "format": scene.release.form.name,
        "release": release_id(scene.release),
        "training": _learned(scene),
        "public": 0 if scene.material.public is None else len(scene.material.public),
        "control": effort.control,
    }
    return Record(
        model=found.rival,
        role=role,
        condition="attack",
        attack=found.attack,
        knowledge=found.knowledge,
        metric=scene.metric[found.rival],
        value=share.estimate,
        low=share.low,
        high=share.high,
        n=len(found.hits),
        psnr=found.psnr,
        ssim=found.ssim,
        model_fingerprint=rival.fingerprint,
        key_fingerprint=scene.release.key,
        seed=effort.seed,
        command=command,
        settings=settings,
        versions=versions(),
    )


def _warnings(scene: Scene, effort: Effort) -> tuple[str, ...]:
    found = []
    if len(scene.judged.files) < FEW:
        found.append(f"only {len(scene.judged.files)} images were attacked: the intervals are wide")
    if scene.overlap:
        found.append(f"{scene.overlap} public pictures are originals of the release: left out")
    if effort.control:
        found.append("this is the control: Gaussian noise was attacked, not the release")
    return tuple(found)
