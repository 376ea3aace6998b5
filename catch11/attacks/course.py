"""Course: the attacks on one scene, planned, worked out, and kept in a file that a stopped run goes on from."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from catch11.attacks.cluster import Attacking
from catch11.attacks.frame import (
    Attack,
    Finding,
    attack_names,
    attack_of,
    check_knowledge,
)
from catch11.attacks.inputs import read_inputs
from catch11.attacks.pace import COSTS, Cost, Progress, Step, remaining
from catch11.attacks.purify import AsIs
from catch11.attacks.scene import Asked, Scene, Stand
from catch11.errors import InvalidArgument, MissingExtra, Unsuited
from catch11.evaluation.cells import Cell, run_cells, worked_out
from catch11.evaluation.questions import question_of
from catch11.evaluation.record import Record
from catch11.evaluation.roles import roles_of
from catch11.evaluation.score import Run, kept_facts, release_id, to_record
from catch11.evaluation.verification import Verification

Skipped = tuple[tuple[str, str], ...]
_UNTRAINED = "no names, or those of attacks that train nothing"
_SEALED = (
    "a sealed copy reads neither public pictures nor restored ones; give --secret with the model that "
    "was sealed: it attacks what the copy opens"
)
DOUBTS = "doubts"  # the setting in which a record keeps warnings


class _Late(Exception):
    """The time is over before an attack began."""


class Course:
    """One scene, its models and their roles, and the file that keeps what was worked out."""

    def __init__(self, asked: Asked, scene: Scene, kind: str, path: Path | None) -> None:
        self.scene, self.models, self.kind, self._path = scene, asked.models, kind, path
        owner = asked.model if asked.model is not None or asked.key is None else asked.key.front
        self.roles = roles_of(owner, asked.models)
        self._inputs = read_inputs(asked, scene, self.roles)
        self._asked = asked
        settings = {
            "method": asked.release.method,
            "format": asked.release.form.name,
            "release": release_id(asked.release.entries) + asked.beside,
            "training": scene.learned,
            "public": scene.public,
            "control": asked.effort.control,
            **({"question": asked.question} if asked.question else {}),
            **({"read": "opened" if asked.opened else "sealed"} if asked.sealed else {}),
            **kept_facts(asked.release),
        }
        self._facts = Run(key=asked.release.key, seed=asked.effort.seed, command=asked.command, settings=settings)  # fmt: skip

    def unattacked(self) -> tuple[Record, ...]:
        """The same items clean, as released, and under both controls, by every model."""
        cell = self._inputs.conditions(sourced=self._asked.source is not None)
        return self._kept(cell, lambda: _doubted(self.scene.verify()))

    def plan(
        self, attacks: Sequence[str] | None, *, plain: bool
    ) -> tuple[tuple[Attack, ...], Skipped]:
        """Attacks to run, the cheap first unless they were named, and those left out because nobody
        asked for them by name. What cannot run is refused before anything does. plain: the items as
        they are come first."""
        first = AsIs.name if self.scene.plain else ""
        names = attack_names(self.kind) if attacks is None else tuple(attacks)
        every = [attack_of(name, self.kind)() for name in names if name != first]
        chosen = [one for one in every if self._asked.holds(one.knowledge)]
        if attacks is None:
            chosen.sort(key=lambda one: COSTS[one.cost])
        out = {one.name: why for one in chosen if (why := self._unfit(one))}
        for one in chosen:
            trains = self._asked.effort.quick and one.cost == "trained"
            if attacks is not None and trains:
                raise InvalidArgument("quick", expected=_UNTRAINED, found=one.name)
            if attacks is not None and one.name in out:
                raise Unsuited(one.name, out[one.name])
            if attacks is not None:
                check_knowledge(one.name, one.knowledge, self.scene.material)
            if missing := one.knowledge - self.scene.material.knowledge:
                out.setdefault(one.name, "needs " + ", ".join(sorted(missing)))
            if trains:
                out.setdefault(one.name, "trains, which quick leaves out")
        runs = [one for one in chosen if one.name not in out]
        return (*((AsIs(),) if plain else ()), *runs), tuple(out.items())

    def run(
        self, plan: Sequence[Attack], work_out: Attacking, progress: Progress | None,
        *, until: float | None, named: bool,
    ) -> tuple[tuple[Record, ...], Skipped]:  # fmt: skip
        """Records of every attack, and those that nobody named and that turned out not to run, or
        that would have begun too late."""
        tell = progress or (lambda step: None)
        done = frozenset[str]() if self._path is None else worked_out(self._path)
        work_out.plan([one for one in plan if self._inputs.attack(one).id not in done])
        made: tuple[Record, ...] = ()
        ran: list[tuple[Cost, float]] = []
        skipped: list[tuple[str, str]] = []
        for number, one in enumerate(plan):
            tell(Step(attack=one.name, done=number, total=len(plan)))
            try:
                records, seconds = self._attacked(one, work_out, until)
            except _Late:
                why = f"not begun in the {self._asked.effort.minutes:g} minutes there were"
                skipped.append((one.name, why))
                continue
            except (MissingExtra, Unsuited) as error:
                if named:
                    raise
                skipped.append((one.name, str(error)))
                continue
            made += records
            if seconds is not None:
                ran.append((one.cost, seconds))
            tell(_ended(plan, number + 1, records, seconds, ran))
        tell(Step(done=len(plan), total=len(plan)))
        return made, tuple(skipped)

    def _unfit(self, one: Attack) -> str:
        """Why what was given does not do for an attack; empty where it does or was not given."""
        kept_out = (
            self.scene.kept_out.get(name, "") for name in (one.name, *sorted(one.knowledge))
        )
        if "weights" in one.knowledge and self._asked.sealed and not self._asked.opened:
            return _SEALED
        asked = self._asked.question
        if asked and question_of(asked).look and not {"labels", "weights"} <= one.knowledge:
            return "no class says what a picture looks like: heads of the licensee are asked alone"
        return one.unfit(self.scene.material) or next((why for why in kept_out if why), "")

    def _attacked(
        self, one: Attack, work_out: Attacking, until: float | None
    ) -> tuple[tuple[Record, ...], float | None]:
        """An attack's records, of every stand, and the seconds it took unless a file held them.
        Raises _Late where it would have to begin after `until`."""
        took = []

        def work() -> list[Record]:
            begun = monotonic()
            if until is not None and begun >= until and not work_out.begun(one):
                raise _Late
            records = [
                record
                for stand, findings in zip(self.scene.stands, work_out(one), strict=True)
                for found in findings
                for record in self._records(found, stand)
            ]
            if not records and self._path is not None:
                raise Unsuited(one.name, "has nothing to try on these files")
            took.append(monotonic() - begun)
            return records

        records = self._kept(self._inputs.attack(one), work)
        return records, took[0] if took else None

    def _records(self, found: Finding, stand: Stand) -> list[Record]:
        plain = self.scene.plain and found.attack == AsIs.name
        model = self.models.get(found.rival)
        settings = {"setting": found.setting, "tries": found.tries, "cut": found.cut}
        return [
            to_record(
                measured, self._facts, model=found.rival, role=self.roles.get(found.rival, "ga"),
                condition="nte" if plain else "attack", attack=None if plain else found.attack,
                knowledge=() if plain else self._knowledge(found), psnr=found.psnr, ssim=found.ssim,
                fingerprint=None if model is None else model.fingerprint,
                settings={**settings, "of": stand.of} if stand.of else settings,
            )
            for measured in found.measures
        ]  # fmt: skip

    def _knowledge(self, found: Finding) -> tuple[str, ...]:
        """Who opens sealed files is the licensee, whatever else it uses."""
        opens = ("weights",) if self._asked.opened and "weights" not in found.knowledge else ()
        return (*found.knowledge, *opens)

    def _kept(self, cell: Cell, work: Callable[[], Sequence[Record]]) -> tuple[Record, ...]:
        if self._path is None:
            return tuple(work())
        return run_cells([cell], self._path, lambda _: work())


def _ended(
    plan: Sequence[Attack],
    done: int,
    records: tuple[Record, ...],
    seconds: float | None,
    ran: Sequence[tuple[Cost, float]],
) -> Step:
    waiting = [one.cost for one in plan[done:]]
    untrained = [cost for cost in waiting if cost != "trained"]
    return Step(
        done=done, total=len(plan), records=records, seconds=seconds, untrained=len(untrained),
        left=remaining(waiting, ran), quick=remaining(untrained, ran),
    )  # fmt: skip


def _doubted(found: Verification) -> tuple[Record, ...]:
    """Its records; the first keeps why not to rely on them, so that a run taken up again still says
    it."""
    doubts = list(found.warnings)
    if found.problems:
        doubts.append(f"{len(found.problems)} files were left out or disagree: verify names them")
    first, *rest = found.records
    if doubts:
        first = replace(first, settings={**first.settings, DOUBTS: doubts})
    return (first, *rest)
