"""Attackers in a study: what they hold of a trial, and what they get out of it, as records."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from catch11.attacks.frame import (
    Attack,
    Finding,
    Jury,
    Knowledge,
    Material,
    attack_names,
    attack_of,
)
from catch11.attacks.jury import ClassJury, window_jury
from catch11.attacks.purify import AsIs
from catch11.errors import Unsuited
from catch11.evaluation.record import Record
from catch11.studies.trial import Trial, Windows


def material(
    trial: Trial, knowledge: frozenset[Knowledge], *, training: int, rivals: Sequence[str]
) -> Material:
    """What attackers of that knowledge hold: other pictures of the training part, released with the
    same key, half as many again as public pictures, none of which is judged, and a second release of
    the judged ones, which is None where some other of the pictures were withheld."""
    lessons = replace(trial, part="train", n=training)
    held = Material(
        canvas=trial.model.canvas,
        released=trial.made.windows,
        rivals={name: trial.place.model(trial.family, name) for name in rivals},
    )
    if "others" in knowledge:
        second = replace(trial, tag="second").made
        same = second.kept == trial.made.kept
        held = replace(held, others=(second.windows,) if same else None)
    if "public" in knowledge:
        held = replace(held, public=_public(trial, training))
    if "front" in knowledge:
        held = replace(held, front=trial.key.front, subspace=trial.key.subspace)
    if "labels" in knowledge:
        held = replace(held, labelled=(lessons.made.windows, lessons.truth))
    if "pairs" in knowledge:
        held = replace(held, pairs=(lessons.clean, lessons.made.windows))
    return held


def _public(trial: Trial, training: int) -> Windows:
    """Pictures of the training part behind the first `training`, or those themselves where there are no
    more; of a small data set the parts overlap."""
    more = replace(trial, part="train", n=training + training // 2)
    judged = set(trial.pictures.names)
    free = [i for i, name in enumerate(more.pictures.names) if name not in judged]
    return more.source[[i for i in free if i >= training] or free]


def jury(trial: Trial, rivals: Sequence[str]) -> ClassJury:
    """Judges by the labels."""
    return window_jury(
        trial.model.canvas,
        rivals={name: trial.place.model(trial.family, name) for name in rivals},
        truth=dict.fromkeys(rivals, trial.truth),
        released=trial.made.windows,
        clean=trial.clean,
    )


def every_finding(kind: str, material: Material, jury: Jury) -> list[Finding]:
    """What every attack on a kind of data that the material allows gets, besides none at all."""
    found: list[Finding] = []
    for name in attack_names(kind):
        one = attack_of(name, kind)()
        if name != AsIs.name and one.knowledge <= material.knowledge and not one.unfit(material):
            found += one(material, jury)
    return found


def assault(
    trial: Trial, attacks: Sequence[Attack], *, training: int, rivals: Sequence[str] = ()
) -> list[Record]:
    """Each attack's best try against every rival that it can use, and the rival as it is. rivals: all
    others of the family where none is named."""
    rivals = rivals or [n for n in trial.place.names(trial.family) if n != trial.authorized]
    wanted = frozenset().union(*(attack.knowledge for attack in attacks))
    held, judge = material(trial, wanted, training=training, rivals=rivals), jury(trial, rivals)
    records = [trial.record(name, which) for name in rivals for which in ("clean", "nte")]
    for attack in attacks:
        if attack.knowledge - held.knowledge:
            continue
        with torch.random.fork_rng(devices=[]):
            try:
                findings = attack(held, judge, seed=0)
            except Unsuited:
                continue
        records += [
            trial.judged(
                found.rival, found.hits, condition="attack", attack=found.attack,
                knowledge=found.knowledge, psnr=found.psnr, ssim=found.ssim,
                settings={"setting": found.setting, "tries": found.tries, "cut": found.cut, "training": training},
            )
            for found in findings
        ]  # fmt: skip
    return records
