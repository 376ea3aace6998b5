"""What the commands do, for whatever kind of data: the kind is looked up, options that mean nothing
to it are refused, models are opened, and its own function is called."""

from pathlib import Path
from typing import TYPE_CHECKING

from catch11.evaluation.verification import Verification
from catch11.keys.authorized import is_private
from catch11.keys.key import Key
from catch11.modalities.frame import Progress
from catch11.modalities.known import modality_of, named, release_modality
from catch11.modalities.open import check_copy, check_unsealed, loaded, readers
from catch11.modalities.options import AttackOptions, Folder, KeyOptions, Named, VerifyOptions
from catch11.models.files.sidecar import read_sidecar, stated_canvas
from catch11.models.frame import Model

if TYPE_CHECKING:
    from catch11.attacks.session import Assault

_EFFORT = {
    "limit": "judged", "training": "training", "control": "control", "seed": "seed",
    "minutes": "minutes", "quick": "quick",
}  # fmt: skip


def make_key(model: Named, options: KeyOptions, *, progress: Progress | None = None) -> Key:
    """The key of a model; of pictures, with `probe`, the JSON of a canvas will do. progress: of a
    search on pictures."""
    kind = modality_of(model) if isinstance(model, str) else named(model.modality)
    given = kind.key.taken(options, kind=kind.items)
    if isinstance(model, str) and model.endswith(".json") and "probe" in given:
        return kind.key.run(stated_canvas(read_sidecar(Path(model))), **given)
    one, *also = (loaded(each, options) for each in (model, *given.pop("also", ())))
    check_unsealed((one, *also))
    if "tune" in given:
        given["progress"] = progress
    return named(one.modality).key.run(one, **given, **({"also": also} if also else {}))


def verify(
    dst: Folder,
    model: Named,
    options: VerifyOptions,
    *,
    command: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """What the authorized model and its rivals get from a release; see `catch11.verify`."""
    kind = release_modality(dst)
    given = kind.verify.taken(options, kind=kind.items)
    models = readers([model, *given.pop("rivals", ())], kind, options, what="the release")
    if options.source is not None and is_private(models[0]):
        check_copy(models[0].spec, options.copy)
    if (prompt := given.pop("prompt", None)) is not None:
        from catch11.models.vlm.load import with_prompt

        pictured = [one for one in models if isinstance(one, Model)]  # all: it is of pictures alone
        asked = [one is models[0] or one.speaks for one in pictured]
        models = [with_prompt(m, prompt) if a else m for m, a in zip(pictured, asked, strict=True)]
    authorized, *rivals = models
    return kind.verify.run(
        dst, authorized, rivals=rivals, command=command, progress=progress, **given
    )


def attack(
    dst: Folder,
    options: AttackOptions,
    *,
    command: str | None = None,
    progress: Progress | None = None,
) -> "Assault":
    """What attackers get out of a release; see `catch11.attack`."""
    from catch11.attacks.effort import Effort
    from catch11.attacks.session import attack_release

    kind = release_modality(dst)
    given = kind.attack.taken(options, kind=kind.items)
    own = [given["model"]] if "model" in given else []
    opened = readers([*own, *given.get("rivals", ())], kind, options, what="the release")
    if own:
        given["model"] = opened.pop(0)
    if opened:
        given["rivals"] = opened
    effort = Effort(**{_EFFORT[name]: given.pop(name) for name in _EFFORT if name in given})
    return attack_release(dst, effort=effort, command=command, progress=progress, **given)
