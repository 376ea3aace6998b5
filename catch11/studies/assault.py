"""Attackers in a study: what they hold of a trial, and what they get out of it, as records."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from catch11.attacks.frame import Attack, Jury, Material, Unsuited
from catch11.record import Record
from catch11.studies.trial import Trial


def material(trial: Trial, *, training: int, rivals: Sequence[str]) -> Material:
    """Everything an attacker could hold: other pictures of the training part, released with the
    same key, half as many again as public pictures, and a second release of the judged ones."""
    lessons = replace(trial, part="train", n=training)
    second = replace(trial, tag="second")
    clean, made = lessons.clean, lessons.made
    public = replace(lessons, n=training + training // 2).clean[training:]
    return Material(
        canvas=trial.model.canvas,
        released=trial.made.windows,
        rivals={name: trial.place.model(trial.family, name) for name in rivals},
        others=(second.made.windows,) if second.made.kept == trial.made.kept else None,
        public=public if len(public) else clean,
        front=trial.key.front,
        subspace=trial.key.subspace,
        labelled=(made.windows, lessons.truth),
        pairs=(clean, made.windows),
    )


def jury(trial: Trial, rivals: Sequence[str]) -> Jury:
    """Judges by the labels."""
    return Jury(
        canvas=trial.model.canvas,
        rivals={name: trial.place.model(trial.family, name) for name in rivals},
        truth=dict.fromkeys(rivals, trial.truth),
        released=trial.made.windows,
        clean=trial.clean,
    )


def assault(trial: Trial, attacks: Sequence[Attack], *, training: int) -> list[Record]:
    """Each attack's best try against every rival that it can use, and the rival as it is."""
    rivals = [name for name in trial.place.names(trial.family) if name != trial.authorized]
    held, judge = material(trial, training=training, rivals=rivals), jury(trial, rivals)
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
                settings={"setting": found.setting, "tries": found.tries, "training": training},
            )
            for found in findings
        ]  # fmt: skip
    return records
