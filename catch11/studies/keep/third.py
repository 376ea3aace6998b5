"""Third parties at a keep: rivals as they are, and rivals taught by labelled files."""

from dataclasses import replace

import torch
from torch import Tensor

from catch11.attacks.adaptation import FineTune, Hold, LearnedFront, Sweep
from catch11.attacks.blind import BlindWiener
from catch11.attacks.frame import Attack, Attempt, Material
from catch11.attacks.heads import RivalHead
from catch11.attacks.jury import ClassJury, QuestionJury
from catch11.attacks.posed import posed
from catch11.attacks.training_use import TrainingUse
from catch11.data.windows import as_pictures
from catch11.errors import MissingExtra
from catch11.evaluation.metrics import accuracy, auc, balanced, matches
from catch11.evaluation.questions import QUESTIONS
from catch11.evaluation.record import Record
from catch11.models.frame import Model
from catch11.studies.assault import jury, material
from catch11.studies.keep.lines import line
from catch11.studies.nets.lite import lite
from catch11.studies.trial import Trial

LITES = (0, 1, 2)
SLOW = "lite"  # their heads alone are taught: a training takes three times SqueezeNet's
FRONT, SCRATCH = 1e-4, 1e-3  # rates of what begins as the identity, and of what begins with nothing
ASKED = ("animal", "vehicle")  # of 500 photographs 7 show a dog: too few to judge by
# Photographs take a hundred times as long as thumbnails, and teach a net that knows them at a slow rate.
SWEEPS = {
    "thumbnails": {
        "quick": Sweep(rates=(1e-3,), epochs=(2, 5), starts=("pretrained",)),
        "full": Sweep(rates=(3e-4, 1e-3), epochs=(2, 5, 10), starts=("pretrained",)),
    },
    "photographs": dict.fromkeys(
        ("quick", "full"), Sweep(rates=(1e-4,), epochs=(1, 2), starts=("pretrained",))
    ),
}


def rivals(trial: Trial) -> dict[str, Model]:
    """All models beside the authorized one: of photographs EfficientNet-Lites too, where they are at hand."""
    found = {
        name: trial.place.model(trial.family, name)
        for name in trial.place.names(trial.family)
        if name != trial.authorized
    }
    if trial.family == "photographs" and trial.place.config != "digits":
        try:
            found |= {f"lite{size}": lite(size) for size in LITES}
        except MissingExtra:
            return found
    return found


def plain(trial: Trial) -> list[Record]:
    """Every rival as it is, on files as 8-bit pictures through its own preprocessing."""
    shown = as_pictures(trial.made.windows, trial.model.canvas)
    records = []
    for name, one in rivals(trial).items():
        parts = [shown[low : low + 32] for low in range(0, len(shown), 32)]
        given = torch.cat([one.answers(one.preprocess(part)) for part in parts])
        share = accuracy(matches(given, trial.truth))
        facts = {"model": name, "role": "ga", "metric": "accuracy"}
        records.append(line(trial, name, share, len(given), **facts))
    return records


def filtered(trial: Trial, *, training: int) -> list[Record]:
    """What a filter learned from files and public pictures gives rivals: the best that needs no label."""
    names = [name for name in trial.place.names(trial.family) if name != trial.authorized]
    held = material(trial, BlindWiener.knowledge, training=training, rivals=names)
    return [
        line(
            trial, f"{one.rival}, {one.attack}", one.measures[0].value, one.measures[0].n,
            model=one.rival, role=trial.role(one.rival), metric="accuracy", attack=one.attack,
            knowledge=one.knowledge, psnr=one.psnr, settings={"setting": one.setting, "tries": one.tries},
        )
        for one in BlindWiener()(held, jury(trial, names), seed=0)
    ]  # fmt: skip


def taught(trial: Trial, lessons: Trial, *, scale: str, pupils: tuple[str, ...]) -> list[Record]:
    """Rivals taught the classes, or of photographs super-classes, by labelled files of this keep."""
    chosen = {name: one for name, one in rivals(trial).items() if name in pupils}
    held = Material(
        canvas=trial.model.canvas, released=trial.made.windows, rivals=chosen,
        labelled=(lessons.made.windows, lessons.truth), classes=trial.model.labels,
    )  # fmt: skip
    judge = replace(jury(trial, []), rivals=chosen, truth=dict.fromkeys(chosen, trial.truth))
    if trial.family != "photographs":
        return _taught(trial, held, judge, scale, "")
    records = []
    for name in ASKED:
        asked, judged = posed(
            QUESTIONS[name], held, judge, labels=trial.truth, names=trial.model.labels
        )
        yes = QUESTIONS[name].follows(trial.truth, trial.model.labels)
        if 0 < int(yes.sum()) < len(yes):
            records += [*_followed(trial, name, yes), *_taught(trial, asked, judged, scale, f"{name}? ")]  # fmt: skip
    return records


def _followed(trial: Trial, name: str, yes: Tensor) -> list[Record]:
    """The super-class of the top answer that the authorized model gives to originals: what any file that
    keeps the answer tells whoever can read it."""
    said = QUESTIONS[name].follows(trial.read(trial.authorized, trial.clean), trial.model.labels)
    values = {
        "auc": auc(said[yes].double(), said[~yes].double()),
        "balanced accuracy": balanced(said.double().tolist(), yes.tolist()),
    }
    return [
        line(trial, named(f"{name}? by the top answer", m), v, len(yes), metric=m)
        for m, v in values.items()
    ]  # fmt: skip


def _taught(
    trial: Trial, held: Material, judge: ClassJury | QuestionJury, scale: str, asked: str
) -> list[Record]:
    sweep = SWEEPS[trial.family][scale]
    trained: list[Attack] = [FineTune(sweep)]
    if scale == "full" or asked:
        holds: tuple[Hold, ...] = ("frozen",) if asked else ("frozen", "adapting")
        trained += [
            LearnedFront(replace(sweep, rates=(FRONT,)), holds),
            TrainingUse(replace(sweep, rates=(SCRATCH,), starts=("scratch",))),
        ]
    less = {name: one for name, one in held.rivals.items() if not (asked and name.startswith(SLOW))}
    tries = [*([(RivalHead(), held)] if asked else []), *((one, replace(held, rivals=less)) for one in trained)]  # fmt: skip
    records = []
    for name in held.rivals if asked else ():
        as_is = Attempt(setting="as it is", restored=trial.made.windows, rival=name)
        records += [
            line(trial, named(f"{asked}{name}, untaught", one.metric), one.value, one.n, model=name, role="ga", metric=one.metric)
            for one in judge.measures(name, as_is)
        ]  # fmt: skip
    for attack, known in tries:
        for found in attack(known, judge, seed=0):
            for one in found.measures:
                records.append(
                    line(
                        trial, named(f"{asked}{found.rival}, {attack.name}", one.metric), one.value, one.n,
                        model=found.rival, role=_role(trial, found.rival), metric=one.metric, attack=attack.name,
                        knowledge=found.knowledge, settings={"setting": found.setting, "tries": found.tries},
                    )
                )  # fmt: skip
    return records


def named(shown: str, metric: str) -> str:
    """A row's label; of balanced accuracy, which stands below the area under the curve, with its name."""
    return f"{shown}, {metric}" if metric == "balanced accuracy" else shown


def _role(trial: Trial, name: str) -> str:
    return trial.role(name) if name in trial.place.names(trial.family) else "ga"
