"""Models of pictures by spec: transformers, timm, ONNX, torch files and functions of the user's own."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import torch

from catch11.errors import InvalidArgument, ModelRefused
from catch11.models.files.function import RETURNS
from catch11.models.files.sidecar import is_marked, seal_named
from catch11.models.frame import Model

ADAPTERS = {
    "hf": "catch11.models.hub.pictures",
    "timm": "catch11.models.hub.timm",
    "onnx": "catch11.models.onnx.load",
    "torch": "catch11.models.files.torch",
    "py": "catch11.models.files.function",
}
KNOWN = "hf:ID_OR_DIR, timm:NAME[@WEIGHTS], onnx:FILE, torch:FILE, py:module:function"

_SUFFIXES = {
    ".onnx": "onnx",
    ".safetensors": "torch",
    ".pt": "torch",
    ".pth": "torch",
    ".bin": "torch",
    ".pt2": "torch",
    ".ts": "torch",
}


def load_picture_model(spec: str, *, device: str = "cpu", allow_code: bool = False) -> Model:
    """Load a model of pictures named by `spec`, or by a bare path that is recognised.

    hf: a transformers id or folder; timm: a name, with local weights after @; onnx: and torch: a
    file with a JSON beside it (input_size, mean, std, interpolation, crop_pct); py: a function of
    the user's own. Files that would run code of their author's (pickles, TorchScript, torch.export,
    repositories with code) are refused unless `allow_code`. Raises ModelRefused, CanvasRefused,
    MissingExtra.
    """
    model = adapted(spec, device=device, allow_code=allow_code)
    if isinstance(model, Model):
        return model
    raise ModelRefused(spec, f"the function returned {type(model).__name__}", f"return {RETURNS}")


def adapted(spec: str, *, device: str, allow_code: bool) -> object:
    """A model of pictures, or whatever model a function of the user's own returns."""
    kind, rest = parse_spec(spec)
    try:
        torch.device(device)
    except RuntimeError:
        raise InvalidArgument("device", expected="cpu, cuda or cuda:N", found=device) from None
    model: object = importlib.import_module(ADAPTERS[kind]).load(
        rest, device=device, allow_code=allow_code
    )
    if not isinstance(model, Model):
        return model
    sealed = seal_named(model.spec, rest, getattr(model.graph, "model", None))
    return replace(model, private=is_marked(rest) or model.private, sealed=sealed)


def parse_spec(spec: str) -> tuple[str, str]:
    """(kind, rest) of a model spec; a bare path is recognised by what lies there."""
    kind, colon, rest = spec.partition(":")
    if colon and kind in ADAPTERS:
        if not rest:
            raise ModelRefused(spec, f"nothing follows {kind}:", f"write one of {KNOWN}")
        return kind, rest
    path = Path(spec).expanduser()
    if path.is_dir():
        if (path / "config.json").is_file():
            return "hf", str(path)
        raise ModelRefused(spec, "the folder has no config.json, so it is not a transformers model")
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()], str(path)
    if re.fullmatch(r"[\w./]+:\w+", spec) and not path.exists():
        return "py", spec
    found = "a file of unknown kind" if path.exists() else "no such file or folder"
    raise ModelRefused(spec, found, f"write one of {KNOWN}")
