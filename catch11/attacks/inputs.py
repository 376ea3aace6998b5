"""Cells of an assault: digests of all it was handed, so that another input is another cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catch11.attacks.digest import digest
from catch11.attacks.frame import HELD, Attack, Knowledge
from catch11.attacks.scene import Asked, Scene
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Role
from catch11.evaluation.score import release_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Digests, hex. judged: the items attacked, their truth and the clean ones. held: by knowledge.
    unattacked: files, sources and labels of the same items without an attack. models: who judges, in
    their order, and in what role."""

    judged: str
    held: Mapping[Knowledge, str]
    unattacked: str
    models: str
    settings: Mapping[str, Value]

    def attack(self, variant: Attack) -> Cell:
        """An attack's cell: what it may know, its own settings, and what judges it; its code apart."""
        known = sorted(variant.knowledge & self.held.keys())
        own = sorted((k, repr(v)) for k, v in vars(variant).items())
        files = digest(self.judged, own, *(f"{name} {self.held[name]}" for name in known))
        return self._cell(f"attack {variant.name}", ",".join(known), files)

    def conditions(self, *, sourced: bool) -> Cell:
        """The cell of the same items without an attack, which no control changes."""
        cell = self._cell("conditions", "released", self.unattacked)
        settings = {**cell.settings, "control": False, "sourced": sourced}
        return Cell(name=cell.name, settings=settings)

    def _cell(self, name: str, known: str, files: str) -> Cell:
        mark: dict[str, Value] = {"files": files[:16], "models": self.models[:16], "known": known}
        return Cell(name=name, settings={**mark, **self.settings})


def read_inputs(asked: Asked, scene: Scene, roles: Mapping[str, Role]) -> Inputs:
    """Digests of what was gathered. A key enters by its public fingerprint, a model by its own."""
    release = asked.release
    whole = f"{release_id(release.entries)} {release.form.name} {scene.material.canvas}"
    owner = "" if asked.key is None else asked.key.fingerprint
    answers = owner
    if asked.recoder is not None:
        facts = sorted(asked.recoder.settings.items())
        answers += f" {asked.recoder.method} {asked.recoder.key.fingerprint} {facts}"
    model = "" if asked.model is None else asked.model.fingerprint
    held: dict[Knowledge, Any] = {name: _held(scene, name) for name in scene.material.knowledge}
    held |= {"front": owner, "key-queries": answers, "weights": model}
    held["released"] = whole, held["released"]
    effort = asked.effort
    return Inputs(
        judged=digest(whole, *(stand.jury.held() for stand in scene.stands)),
        held={name: digest(held[name]) for name in scene.material.knowledge},
        unattacked=digest(whole, scene.digest),
        models=digest(*(_reader(name, one, roles[name]) for name, one in asked.models.items())),
        settings={
            "effort": f"{scene.count} judged, {scene.learned} learned from",
            "seed": effort.seed,
            "control": effort.control,
        },
    )


def _held(scene: Scene, name: Knowledge) -> list[object]:
    if name in ("front", "key-queries", "weights"):
        return []
    every = [stand.material for stand in scene.stands]
    more = [material.couples for material in every] if name == "released" else []
    return [*(getattr(material, HELD[name]) for material in every), *more]


def _reader(name: str, model: Any, role: Role) -> str:
    """A model as its answers depend on it: weights, canvas, classes and what prepares for it."""
    adapter = model.spec.partition(":")[0]
    return f"{name} {role} {model.fingerprint} {adapter} {model.canvas} {model.labels}"
