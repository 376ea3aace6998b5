"""Personalised copies on disk: written as stock code loads them, recognised, held against a secret."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from catch11.copies.personalize import Copy, CopySecret, make_copy
from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.front import DRIFT
from catch11.models.files.sidecar import MARK
from catch11.models.frame import Model
from catch11.models.hub.transformers import load_processor
from catch11.models.load import load_picture_model, parse_spec

PROCESSOR = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """A model held against a secret. exact: it is the copy, bit for bit. drift: ‖W - W'‖ / ‖W'‖ of
    its front from the copy's; around 1.4 for any other model."""

    exact: bool
    drift: float

    @property
    def descends(self) -> bool:
        """Whether it is the copy or descends from it."""
        return self.exact or self.drift <= DRIFT


def write_copy(original: Model, made: Copy, folder: Path) -> str:
    """Write a copy into a new or empty folder, as its original is stored, and read it back.

    A transformers model becomes a transformers folder with its processor; the others a safetensors
    file, with the JSON beside it where there was one. Returns the spec that loads it. Raises
    InvalidArgument, ModelRefused.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidArgument("output", expected="a new or empty folder", found=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    kind, rest = parse_spec(original.spec)
    place, _, weights = rest.partition("@")
    if kind == "hf":
        _write_folder(made.model.module, rest, folder)
        spec = f"hf:{folder}"
    else:
        stem = Path(weights or place).stem if kind == "torch" or weights else original.name
        path = folder / f"{stem}.safetensors"
        tensors = made.model.module.state_dict().items()
        save_file({name: value.detach().cpu().clone() for name, value in tensors}, path)
        if kind == "torch":
            shutil.copyfile(Path(rest).expanduser().with_suffix(".json"), path.with_suffix(".json"))
        spec = f"torch:{path}" if kind == "torch" else f"{kind}:{place}@{path}"
    facts = {"catch11": "personalised copy", "original": made.secret.original}
    (folder / MARK).write_text(json.dumps(facts | {"copy": made.secret.copied}) + "\n")
    if load_picture_model(spec).fingerprint != made.model.fingerprint:
        raise ModelRefused(spec, "it was written and reads back otherwise", "check the disk")
    return spec


def _write_folder(module: nn.Module, source: str, folder: Path) -> None:
    module.save_pretrained(folder)  # type: ignore[operator]
    local = Path(source).expanduser()
    if not local.is_dir():
        load_processor(source).save_pretrained(folder)
        return
    for name in PROCESSOR:
        if (local / name).is_file():
            shutil.copyfile(local / name, folder / name)


def check_copy(model: Model, original: Model, secret: CopySecret) -> Likeness:
    """Hold a model against the copy that a secret makes of an original. Raises as `make_copy`."""
    expected = make_copy(original, secret=secret.secret)
    return Likeness(
        exact=model.fingerprint == expected.model.fingerprint,
        drift=model.front().drift(expected.model.front()),
    )
