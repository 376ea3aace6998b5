"""A release under attack: run the attacks, judge them with every rival, keep records."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catch11 import trust
from catch11.attacks.detection import detect
from catch11.attacks.frame import Attack, Finding, Unsuited, attack_names, attack_of
from catch11.attacks.gather import Effort, Folder, Scene, gather
from catch11.cells import Cell, Value, run_cells
from catch11.conditions import Given
from catch11.errors import InvalidArgument, MissingExtra
from catch11.key import Key
from catch11.matrix import verify
from catch11.metrics import accuracy
from catch11.models.frame import Model
from catch11.recode.frame import Recoder
from catch11.record import Record, Role, versions
from catch11.score import release_id

Progress = Callable[[str, int, int], None]
ORDINARY = Effort()


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

    attacks: names; without them every attack that what is given here allows. source: the clean
    pictures, which are the truth where there are no labels, give the PSNR of restorations, and
    pairs to learn from. key: gives the front (white-box attackers) and, with `recoder` or a
    spectral release, queries. model: the authorized model, judged beside the rivals. public: a
    folder of other pictures. others: further releases of the same sources. learn: a release for
    the same model whose labelled files attackers learn from; further files of this one without it.
    records: a file of JSON lines, to which each attack's records are appended as it ends, and from
    which a stopped run goes on; with `model` it gets the whole matrix, the same files without an
    attack included. Raises InvalidArgument where an attack named here lacks knowledge.
    """
    if not rivals:
        raise InvalidArgument("rivals", expected="at least one model", found="none")
    named = trust.by_name((*rivals, *(() if model is None else (model,))))
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
    roles = {name: _role(one, model, key) for name, one in named.items()}

    def work(variant: type[Attack]) -> tuple[Record, ...]:
        findings = variant()(scene.material, scene.jury, seed=effort.seed)
        return tuple(
            _record(found, scene, named[found.rival], roles[found.rival], effort, command)
            for found in findings
        )

    def kept(variant: type[Attack]) -> tuple[Record, ...]:
        if records is None:
            return work(variant)
        return run_cells(
            [_cell(variant, scene, named, effort)], Path(records), lambda _: work(variant)
        )

    made, skipped = _run(scene, attacks, kept, progress)
    doubts = () if model is None else trust.doubts_of_models(model, rivals)
    if records is not None and model is not None:
        made = (
            *_unattacked(
                dst, model, rivals, labels, source, ledger, scene, effort, records, command
            ),
            *made,
        )
    if attacks is None and scene.material.public is not None:
        made += (_detection(scene, effort, command),)
    return Assault(records=made, warnings=(*_warnings(scene, effort), *doubts), skipped=skipped)


def _unattacked(
    dst: Folder,
    model: Model,
    rivals: Sequence[Model],
    labels: Given,
    source: Folder | None,
    ledger: Folder | None,
    scene: Scene,
    effort: Effort,
    path: Folder,
    command: str | None,
) -> tuple[Record, ...]:
    """The same files clean, as released, and under both controls, by every model."""
    named = trust.by_name((model, *rivals))
    same = _cell_of("conditions", "released", scene, named, effort)
    cell = replace(same, settings={**same.settings, "sourced": source is not None})
    return run_cells(
        [cell],
        Path(path),
        lambda _: (
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
            ).records
        ),
    )


def _cell(variant: type[Attack], scene: Scene, named: Mapping[str, Model], effort: Effort) -> Cell:
    known = ",".join(sorted(scene.material.knowledge & variant.knowledge))
    return _cell_of(f"attack {variant.name}", known, scene, named, effort)


def _cell_of(
    name: str, known: str, scene: Scene, named: Mapping[str, Model], effort: Effort
) -> Cell:
    """Everything that decides an attack's numbers, its code apart."""
    listed = {entry.file: entry.sha256 for entry in scene.release.entries}
    files = "".join(listed[file] for file in scene.judged.files)
    models = "".join(sorted(one.fingerprint for one in named.values()))
    settings: dict[str, Value] = {
        "files": hashlib.sha256(files.encode()).hexdigest()[:16],
        "models": hashlib.sha256(models.encode()).hexdigest()[:16],
        "known": known,
        "effort": f"{len(scene.judged.files)} judged, {_learned(scene)} learned from",
        "seed": effort.seed,
        "control": effort.control,
    }
    return Cell(name=name, settings=settings)


def _learned(scene: Scene) -> int:
    """Files that labelled and paired attackers learn from."""
    held = scene.material.labelled or scene.material.pairs
    return 0 if held is None else len(held[0])


def _run(
    scene: Scene,
    attacks: Sequence[str] | None,
    work: Callable[[type[Attack]], tuple[Record, ...]],
    progress: Progress | None,
) -> tuple[tuple[Record, ...], tuple[tuple[str, str], ...]]:
    """Records of every attack, and those left out because nobody asked for them by name."""
    chosen = attack_names() if attacks is None else tuple(attacks)
    made: tuple[Record, ...] = ()
    skipped = []
    variants = [attack_of(name) for name in chosen]
    for number, variant in enumerate(variants):
        missing = variant.knowledge - scene.material.knowledge
        if attacks is None and missing:
            skipped.append((variant.name, "needs " + ", ".join(sorted(missing))))
            continue
        if progress is not None:
            progress(variant.name, number, len(chosen))
        try:
            made += work(variant)
        except (MissingExtra, Unsuited) as error:
            if attacks is not None:
                raise
            skipped.append((variant.name, str(error)))
    if progress is not None:
        progress("", len(chosen), len(chosen))
    return made, tuple(skipped)


def _role(rival: Model, model: Model | None, key: Key | None) -> Role:
    if rival is model:
        return "authorized"
    if model is not None:
        return trust.role_of(model, rival)
    return "ga" if key is None else trust.kinship(key.front, rival)


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


def _detection(scene: Scene, effort: Effort, command: str | None) -> Record:
    """Whether released files can be told from public ones, as a record of its own."""
    assert scene.material.public is not None
    found = detect(scene.material.released, scene.material.public)
    return Record(
        model="octave detector",
        role="ga",
        condition="attack",
        attack="detection",
        knowledge=("public", "released"),
        metric="auc",
        value=found.estimate,
        low=found.low,
        high=found.high,
        n=len(scene.judged.files),
        key_fingerprint=scene.release.key,
        seed=effort.seed,
        command=command,
        settings={
            "setting": "released against public",
            "method": scene.release.method,
            "release": release_id(scene.release),
            "public": len(scene.material.public),
        },
        versions=versions(),
    )


def _warnings(scene: Scene, effort: Effort) -> tuple[str, ...]:
    found = []
    if len(scene.judged.files) < trust.FEW:
        found.append(f"only {len(scene.judged.files)} images were attacked: the intervals are wide")
    if scene.overlap:
        found.append(f"{scene.overlap} public pictures are originals of the release: left out")
    if effort.control:
        found.append("this is the control: Gaussian noise was attacked, not the release")
    return tuple(found)
