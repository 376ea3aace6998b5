"""What every loader of transformers models uses: weights, processors, and errors as one sentence."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

import torch

from catch11.errors import ModelRefused
from catch11.models.answer import first_line
from catch11.models.canvases import Normalisation


def read_weights(
    spec: str, loader: Any, rest: str, *, allow_code: bool
) -> tuple[Any, dict[str, Any]]:
    """A transformers model in float32, and which of its weights were drawn: see `check_complete`.

    Raises ModelRefused where an adapter lies beside the weights and nothing here applies it.
    """
    _check_adapter(spec, rest)
    module, info = call_loader(
        spec,
        loader,
        rest,
        allow_code=allow_code,
        dtype=torch.float32,
        weights_only=not allow_code,
        key_mapping={"^(_orig_mod\\.|module\\.)+": ""},  # of compiled and of parallel modules
        ignore_mismatched_sizes=True,  # refused afterwards, by name
        output_loading_info=True,
    )
    return module, info


def _check_adapter(spec: str, rest: str) -> None:
    from transformers.utils.peft_utils import find_adapter_config_file

    if find_spec("peft") is not None:
        return
    local = Path(rest).expanduser()
    try:
        found = find_adapter_config_file(str(local) if local.is_dir() else rest)
    except (OSError, ValueError):  # no such folder or id: whoever loads it says so
        return
    if found is not None:
        reason = (
            f"an adapter ({Path(found).name}) lies beside its weights and nothing here applies it"
        )
        raise ModelRefused(spec, reason, "merge it into the weights, or install peft")


def hub_file(rest: str, name: str) -> Path | None:
    """A file of a folder or id, from the cache or the hub; None where there is none."""
    folder = Path(rest).expanduser()
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    from transformers.utils import cached_file

    try:
        with silent():
            found = cached_file(rest, name)
    except (OSError, ValueError):
        return None
    return Path(found) if found else None


def up_to_end(rows: Sequence[list[int]], settings: Any) -> list[list[int]]:
    """Tokens that a model said, each row up to the first end mark of its generation settings."""
    ends = settings.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    return [row[: next((i for i, one in enumerate(row, 1) if one in ends), None)] for row in rows]


def model_type(rest: str) -> str | None:
    """What the config.json of a folder or id says it is; None where there is nothing to read."""
    path = hub_file(rest, "config.json")
    try:
        facts = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError, RecursionError):
        return None
    kind = facts.get("model_type") if isinstance(facts, dict) else None
    return kind if isinstance(kind, str) else None


def check_complete(spec: str, info: dict[str, Any]) -> None:
    """Raises ModelRefused where a weight was drawn at random because the files do not hold it."""
    other = sorted(str(row[0]) for row in info.get("mismatched_keys", ()))
    if other:
        reason = f"{len(other)} of its weights have another shape than its config.json says, first {other[0]}"
        raise ModelRefused(spec, reason)
    missing = sorted(info.get("missing_keys", ()))
    if missing:
        reason = f"{len(missing)} of its weights are not in the files, first {missing[0]}"
        raise ModelRefused(spec, reason, "it may have no classification head")


def check_one_class(spec: str, config: Any) -> None:
    """Raises ModelRefused for a head whose answer is no one class."""
    kind = getattr(config, "problem_type", None)
    if kind not in (None, "single_label_classification"):
        reason = f"its problem_type is {kind}, so its answer is not its strongest class"
        raise ModelRefused(spec, reason, "give a classifier of one class a picture or text")


def load_processor(rest: str, *, allow_code: bool = False) -> Any:
    """The image processor of a folder or id. Raises CanvasRefused or ModelRefused."""
    from transformers import AutoImageProcessor

    return call_loader(
        f"hf:{rest}", AutoImageProcessor.from_pretrained, rest, allow_code=allow_code
    )


def stated_normalisation(processor: Any) -> Normalisation | None:
    """The normalisation its settings name; whether it is also what happens is measured."""
    mean, std = _list(processor, "image_mean"), _list(processor, "image_std")
    scale = getattr(processor, "rescale_factor", None)
    if not getattr(processor, "do_rescale", False) or not isinstance(scale, int | float):
        return None
    if not getattr(processor, "do_normalize", False):
        mean, std = [0.0] * 3, [1.0] * 3
    if mean is None or std is None or not (len(mean) == len(std) == 3 and all(std)):
        return None
    unit = scale * 255
    unit = 1.0 if abs(unit - 1) < 1e-9 else unit
    return Normalisation(
        gain=tuple(unit / s for s in std),
        offset=tuple(0.0 - m / s for m, s in zip(mean, std, strict=True)),
        order=(0, 1, 2),
    )


def _list(processor: Any, name: str) -> list[float] | None:
    values = getattr(processor, name, None)
    return list(values) if isinstance(values, list | tuple) else None


# Words of transformers' errors, and what to say instead: (words, reason, what to do).
_REASONS = (
    ("trust_remote_code", "it comes with code of its own, which would run here",
     "allow code only if you trust its author"),
    ("Weights only load failed", "its weights are a pickle that holds more than tensors, and reading it would run code",
     "allow code only if you trust its author, or convert it to safetensors"),
    ("Unrecognized configuration class", "it is not an image classifier",
     "docs/explanation/models.md says what loads, sounds and texts among it"),
    ("Unrecognized model", "its config.json names no model type", ""),
    ("Can't load image processor", "it has no preprocessor_config.json", ""),
    ("couldn't connect", "it is not in the local cache and the hub cannot be reached",
     "give a local folder"),
    ("Repo id must be", "there is no such folder", "give a folder or a hub id"),
)  # fmt: skip


def call_loader(spec: str, function: Any, rest: str, *, allow_code: bool, **settings: Any) -> Any:
    """Call a transformers loader, its many errors made one sentence."""
    local = Path(rest).expanduser()
    where = str(local) if local.is_dir() else rest
    try:
        with silent():
            return function(where, trust_remote_code=allow_code, **settings)
    except Exception as error:  # noqa: BLE001 - transformers raises a dozen types
        text = str(error)
        for words, reason, remedy in _REASONS:
            if words in text:
                raise ModelRefused(spec, reason, remedy) from None
        raise ModelRefused(spec, first_line(error)) from None


@contextmanager
def silent() -> Iterator[None]:
    """No progress bars and reports of transformers and of the hub inside; settings are restored after."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    hub = getLogger("huggingface_hub")
    before = hub.level
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    hub.setLevel(ERROR)  # a line a retry otherwise; what came of them all is said in one sentence
    try:
        yield
    finally:
        hub.setLevel(before)
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
