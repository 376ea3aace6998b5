"""The recoder of pictures that a command's options ask for."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catch11.errors import InvalidArgument

if TYPE_CHECKING:
    from torch import Tensor

    from catch11.copies.personalize import CopySecret
    from catch11.keys.key import Key
    from catch11.models.frame import Model
    from catch11.recoding.frame import Recoder

# Options of the run, the others being the recoder's.
_RUN = {"method", "model", "secret", "check", "names", "ledger", "workers", "resume", "quiet"}


def picture_recoder(
    key: "Key",
    asked: Mapping[str, Any],
    *,
    src: Path,
    model: "Model | None",
    copy: "CopySecret | None",
    load: Callable[[str], Any],
) -> "Recoder[Tensor]":
    """The recoder for options that were given, by their Python names. src: the pictures, of which
    --quiet learns. load: opens further models. Raises InvalidArgument."""
    from catch11.data.windows import folder_windows
    from catch11.recoding.choose import options_of, recoder_for
    from catch11.recoding.codecs import survival
    from catch11.recoding.deep.recoder import DeepRecoder

    method = asked.get("method")
    options = options_of({name: asked[name] for name in asked if name not in _RUN})
    for name in {"also", "against", "quiet"} & set(asked):
        if method != "deep":
            raise InvalidArgument(
                f"--{name}", expected="--method deep beside it", found=method or "none",
                remedy="a spectral key for several models is made by catch11 key --also",
            )  # fmt: skip
    for name in {"also", "against"} & set(options):
        options[name] = tuple(map(load, options[name]))
    if "survive" in options:
        options["survive"] = survival(options["survive"])
    if options.get("start", "noise") not in ("noise", "spectral"):
        options["start"] = folder_windows(Path(options["start"]), key.canvas)
    made = recoder_for(key, method=method, model=model, copy=copy, **options)
    if asked.get("quiet") and isinstance(made, DeepRecoder):
        windows = folder_windows(src, key.canvas, most=asked["quiet"])
        return replace(made, quiet=made.learn_quiet(windows))
    return made


def workers_of(recoder: "Recoder[Any]", asked: int | None) -> int:
    """Threads of a release: as many as processors for recoders that work on one thread of torch, one
    for those that use them all."""
    return asked or (1 if recoder.threads is None else os.cpu_count() or 1)
