"""The strongest release that still keeps what is asked for, searched on a folder of probe pictures.

Kept is the share of probe pictures that the authorized model answers as it answers the originals; a
rival's score is the same share of its own answers. No labels are needed.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from catch11.errors import EmptySubspace, InvalidArgument
from catch11.evaluation.panel import Panel, Setting, Trial
from catch11.keys.key import Key, build_key, is_private, key_of
from catch11.lab import needed
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.keep import ANSWER, parse_keep
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule

RULES = tuple(Rule(kind="energy", value=share) for share in (1e-6, 1e-4, 5e-4, 1e-3))
STRENGTHS = (14.0, 12.0, 10.0, 8.5, 7.0)
PLACES = ("logits",)
STEPS, NEAR_STEPS = (10, 20, 40, 60), (20, 40, 80, 160, 300)  # to answers; to scores and maps
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """All trials, and the best that keeps the target; None where none does."""

    trials: tuple[Trial, ...]
    target: float
    chosen: Trial | None

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        chosen = None if self.chosen is None else self.chosen.to_dict()
        trials = [trial.to_dict() for trial in self.trials]
        return {"target": self.target, "chosen": chosen, "trials": trials}


def search(
    lines: Sequence[Sequence[Setting]],
    measure: Callable[[Setting], Trial],
    *,
    enough: Callable[[Trial], bool],
    progress: Progress | None = None,
) -> tuple[Trial, ...]:
    """Measure each line of settings from its start until a trial is `enough`; the rest of it would
    tell nothing. progress: called with how much is done, of how much, and the setting."""
    made: list[Trial] = []
    total = sum(map(len, lines))
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    for line, (start, end) in zip(lines, pairwise(ends), strict=True):
        for place, setting in enumerate(line):
            if progress is not None:
                progress(start + place, total, describe(setting))
            made.append(measure(setting))
            if enough(made[-1]):
                break
        if progress is not None:
            progress(end, total, "")
    return tuple(made)


def choose(
    trials: Sequence[Trial], target: float, *, worth: Callable[[Trial], tuple[float, ...]]
) -> Trial | None:
    """Of the trials that keep the target the one of least `worth`; None where none does."""
    kept = [trial for trial in trials if trial.kept.estimate >= target - 1e-12]
    return min(kept, key=worth, default=None)


def tune_spectral(
    model: Model,
    probe: str | os.PathLike[str],
    *,
    target: float = 0.98,
    rivals: Sequence[Model] = (),
    rules: Sequence[Rule] = RULES,
    strengths: Sequence[float] = STRENGTHS,
    count: int = 60,
    progress: Progress | None = None,
) -> Tuned:
    """Rule, which may be a rank, and PSNR whose release hurts the best rival most while keeping the target.

    rules: of the directions that may be touched, as many once; strengths: dB asked for. From weak
    to strong noise each rule is tried until it surely falls below the target. Raises
    InvalidArgument, EmptySubspace.
    """
    _check(target, rules=rules, psnr=strengths)
    panel = Panel(model, rivals, probe, count)
    keys = _keys(model, rules)
    lines: list[list[Setting]] = [
        [{rule.kind: rule.value, "psnr": psnr} for psnr in sorted(strengths, reverse=True)]
        for rule in keys
    ]

    def measure(setting: Setting) -> Trial:
        kind, value = next(iter(setting.items()))
        key = next(key for rule, key in keys.items() if (rule.kind, rule.value) == (kind, value))
        return panel.trial(setting, SpectralRecoder(key, psnr=float(setting["psnr"])), key)

    trials = search(
        lines, measure, enough=lambda trial: trial.kept.high < target, progress=progress
    )
    best = choose(trials, target, worth=lambda trial: (trial.rival, trial.psnr))
    return Tuned(trials=trials, target=target, chosen=best)


def tuned_key(
    model: Model,
    probe: str | os.PathLike[str],
    *,
    target: float = 0.98,
    count: int = 60,
    progress: Progress | None = None,
) -> Key:
    """A key whose rule and strength are the strongest that keep the target on pictures of the owner's.

    Raises InvalidArgument where nothing keeps it, EmptySubspace."""
    found = tune_spectral(model, probe, target=target, count=count, progress=progress)
    if found.chosen is None:
        most = max(trial.kept.estimate for trial in found.trials)
        raise InvalidArgument(
            "tune", expected=f"pictures of which a rule keeps {target:.0%} of the answers",
            found=f"{most:.0%} at most", remedy="use --method deep",
        )  # fmt: skip
    setting = found.chosen.setting
    key = build_key(model, energy=float(setting["energy"]))
    return replace(key, psnr=float(setting["psnr"]))


def _keys(model: Model, rules: Sequence[Rule]) -> dict[Rule, Key]:
    """A key for each rule; of rules that admit as many directions the first, and of those that admit
    none nothing, where others admit some. Raises EmptySubspace."""
    found: dict[int, tuple[Rule, Key]] = {}
    empty: list[EmptySubspace] = []
    for rule in rules:
        try:
            key = key_of(
                model.front(), canvas=model.canvas, rule=rule,
                model_fingerprint=model.fingerprint, private=is_private(model),
            )  # fmt: skip
        except EmptySubspace as error:
            empty.append(error)
        else:
            found.setdefault(key.subspace.dimension, (rule, key))
    if empty and not found:
        raise empty[-1]
    return dict(found.values())


def tune_deep(
    model: Model,
    probe: str | os.PathLike[str],
    *,
    target: float = 0.98,
    rivals: Sequence[Model] = (),
    keep: str = ANSWER,
    tolerance: float | None = None,
    places: Sequence[str] = PLACES,
    steps: Sequence[int] | None = None,
    count: int = 60,
    progress: Progress | None = None,
) -> Tuned:
    """Fewest steps that keep the target, of files that keep what is asked for; for experts, of those
    that keep the answer, the depth too. Each is tried with more and more steps until it does; of those
    that do, the one with the weakest best rival, then with fewest steps."""
    kept = parse_keep(keep, tolerance)
    steps = (STEPS if kept.what == ANSWER else NEAR_STEPS) if steps is None else steps
    _check(target, steps=steps, at=places)
    panel = Panel(model, rivals, probe, count)
    ways: list[dict[str, str | float]] = [{"at": place} for place in places]
    if kept.what != ANSWER:
        ways = [kept.to_dict()]
    lines: list[list[Setting]] = [
        [{**way, "steps": number} for number in sorted(steps)] for way in ways
    ]
    key = build_key(model)

    def measure(setting: Setting) -> Trial:
        recoder = DeepRecoder(model, key, **setting)  # type: ignore[arg-type]
        return panel.trial(setting, recoder, None)

    trials = search(
        lines, measure, enough=lambda trial: trial.kept.estimate >= target, progress=progress
    )
    best = choose(trials, target, worth=lambda trial: (trial.rival, float(trial.setting["steps"])))
    return Tuned(trials=trials, target=target, chosen=best)


def _check(target: float, **grids: Sequence[object]) -> None:
    if not 0.0 < target <= 1.0:
        raise InvalidArgument("target", expected="a share above 0", found=target)
    for name, values in grids.items():
        if not values:
            raise InvalidArgument(name, expected="one value or more", found="none")


def describe(setting: Setting) -> str:
    """A setting in a few words."""
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in setting.items())  # fmt: skip


def commands(chosen: Trial, spec: str) -> tuple[str, str]:
    """The `key` and `recode` commands that make such a release."""
    setting = chosen.setting
    if "psnr" in setting:
        rule, value = next(iter(setting.items()))
        key = f"catch11 key {spec} -o my.key --{rule} {value:g}"
        return key, f"catch11 recode SRC DST --key my.key --psnr {setting['psnr']:g}"
    options = {"keep": ANSWER, **setting}
    if options.get("at") == "logits":
        del options["at"]
    how = "".join(f" --{name} {value}" for name, value in options.items())
    return (
        f"catch11 key {spec} -o my.key",
        f"catch11 recode SRC DST --key my.key --model {spec}{how}",
    )


def draw(tuned: Tuned, path: str | Path) -> None:
    """Kept and the best rival over the PSNR, a line a rule or depth, in the format of the suffix."""
    Figure = needed("matplotlib.figure").Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[Trial]] = {}
    for trial in tuned.trials:
        first = next(iter(trial.setting))
        lines.setdefault(f"{first} {trial.setting[first]}", []).append(trial)
    for number, (name, trials) in enumerate(lines.items()):
        colour = f"C{number}"
        across = [trial.psnr for trial in trials]
        low = [trial.kept.estimate - trial.kept.low for trial in trials]
        high = [trial.kept.high - trial.kept.estimate for trial in trials]
        kept = [trial.kept.estimate for trial in trials]
        axes.errorbar(across, kept, [low, high], color=colour, marker="o", label=f"kept, {name}")
        if any(trial.rivals for trial in trials):
            best = [trial.rival for trial in trials]
            axes.plot(across, best, color=colour, marker="s", linestyle="--")
    axes.axhline(tuned.target, color="grey", linewidth=1, linestyle=":")
    axes.set(xlabel="PSNR, dB", ylabel="share of own clean answers", ylim=(0, 1.03))
    axes.legend(loc="center right", title="dashed: the best rival")
    figure.savefig(path)
