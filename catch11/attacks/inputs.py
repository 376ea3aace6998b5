"""Cells of an assault: digests of all it was handed, so that another input is another cell."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from catch11.attacks.effort import Effort
from catch11.attacks.frame import Attack, Knowledge
from catch11.attacks.gather import Scene
from catch11.data.selection import spread
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.record import Role
from catch11.evaluation.score import release_id
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Digests, hex. judged: the windows attacked, their truth and the clean ones. held: by
    knowledge. unattacked: files, sources and labels of the same files without an attack. models:
    who judges, in their order, and in what role."""

    judged: str
    held: Mapping[Knowledge, str]
    unattacked: str
    models: str
    settings: Mapping[str, Value]

    def attack(self, variant: type[Attack], *, learned: int) -> Cell:
        """An attack's cell: what it may know, its own settings, and what judges it; its code
        apart. learned: files that labelled and paired attackers learn from."""
        known = sorted(variant.knowledge & self.held.keys())
        own = json.dumps(sorted((k, repr(v)) for k, v in vars(variant()).items()))
        files = _digest(self.judged, own, *(f"{name} {self.held[name]}" for name in known))
        return self._cell(f"attack {variant.name}", known, files, self.models, learned)

    def detection(self) -> Cell:
        """The detector's cell: nobody's answers are in it."""
        known: list[Knowledge] = ["public", "released"]
        files = _digest(*(self.held.get(name, "") for name in known))
        return self._cell("attack detection", known, files, "", 0)

    def conditions(self, *, sourced: bool) -> Cell:
        """The cell of the same files without an attack, which no control changes."""
        cell = self._cell("conditions", ["released"], self.unattacked, self.models, 0)
        settings = {**cell.settings, "control": False, "sourced": sourced}
        return Cell(name=cell.name, settings=settings)

    def _cell(self, name: str, known: Sequence[str], files: str, models: str, learned: int) -> Cell:
        settings: dict[str, Value] = {
            "files": files[:16],
            "models": models[:16],
            "known": ",".join(known),
            "effort": f"{self.settings['judged']} judged, {learned} learned from",
            "seed": self.settings["seed"],
            "control": self.settings["control"],
        }
        return Cell(name=name, settings=settings)


def read_inputs(
    scene: Scene,
    rivals: Mapping[str, Model],
    roles: Mapping[str, Role],
    *,
    key: Key | None,
    recoder: Recoder | None,
    effort: Effort,
) -> Inputs:
    """Digests of what was gathered, as it is in hand. A key enters by its public fingerprint."""
    material, jury = scene.material, scene.jury
    whole = f"{release_id(scene.release)} {scene.release.form.name} {scene.release.canvas}"
    owner = "" if key is None else key.fingerprint
    answers = owner
    if recoder is not None:
        facts = sorted(recoder.settings.items())
        answers += f" {recoder.method} {recoder.key.fingerprint} {facts}"
    held: dict[Knowledge, str] = {
        "released": _digest(whole, _of(material.released)),
        "others": _digest(*map(_of, material.others or ())),
        "public": _of(material.public),
        "front": owner,
        "labels": _digest(*map(_of, material.labelled or ())),
        "pairs": _digest(*map(_of, material.pairs or ())),
        "key-queries": answers,
    }
    truth = (f"{name} {scene.metric[name]} {_of(right)}" for name, right in jury.truth.items())
    readers = (_reader(name, one, roles[name]) for name, one in rivals.items())
    return Inputs(
        judged=_digest(whole, _of(jury.released), _of(jury.clean), *truth),
        held={name: held[name] for name in material.knowledge},
        unattacked=_unattacked(scene, whole),
        models=_digest(*readers),
        settings={
            "judged": len(scene.judged.files),
            "seed": effort.seed,
            "control": effort.control,
        },
    )


def _reader(name: str, model: Model, role: Role) -> str:
    """A model as its answers depend on it: weights, canvas, classes and what prepares for it."""
    adapter = model.spec.partition(":")[0]
    return f"{name} {role} {model.fingerprint} {adapter} {model.canvas} {model.labels}"


def _unattacked(scene: Scene, whole: str) -> str:
    """What `verify` of as many files reads: other models see more of a source than the window."""
    parts = [whole, str(scene.release.complete), str(scene.withheld)]
    for entry in spread(scene.release.entries, max(1, len(scene.judged.files))):
        label = None if scene.truth is None else scene.truth.of(entry.file)
        parts.append(f"{entry.sha256} {label} {_source(scene, entry.file)}")
    labelled = None if scene.truth is None else len(scene.truth)
    return _digest(*parts, str(labelled))


def _source(scene: Scene, file: str) -> str:
    if scene.sources is None or file not in scene.sources.paths:
        return ""
    path = scene.sources.path(file)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _of(tensor: Tensor | None) -> str:
    """SHA-256 of a tensor's type, shape and values."""
    if tensor is None:
        return ""
    found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _digest(*parts: str) -> str:
    """SHA-256 of texts, their ends told apart."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
