"""torch: a file of tensors recognised as a known net, or, by explicit leave, one that holds code."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.answer import first_line
from catch11.models.files.nets import ARCHITECTURES, recognise
from catch11.models.files.program import layered
from catch11.models.files.sidecar import class_names, read_sidecar, sidecar_pipeline
from catch11.models.frame import Model, finish, local_file
from catch11.models.weights import check_weights

WRAPPERS = ("_orig_mod.", "module.")  # torch.compile, DataParallel
TRUST = "allow code only if you trust its author, or convert it to safetensors"


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load a tensor file and the JSON beside it. Raises ModelRefused and CanvasRefused."""
    spec = f"torch:{rest}"
    path = local_file(spec, rest)
    module = read_module(spec, path, allow_code=allow_code)
    check_weights(spec, module)
    fingerprint = module_fingerprint(module)
    facts = read_sidecar(path)
    canvas, prepare = sidecar_pipeline(facts)
    return finish(
        spec=spec,
        name=path.stem,
        module=layered(module, canvas.shape),
        canvas=canvas,
        prepare=prepare,
        fingerprint=fingerprint,
        labels=lambda count: class_names(spec, facts, count),
        device=device,
        output=facts.get("output"),
    )


def read_module(spec: str, path: Path, *, allow_code: bool) -> nn.Module:
    """The torch module in a file. Raises ModelRefused."""
    kind = _archive(path)
    if kind is not None:
        if not allow_code:
            raise ModelRefused(
                spec, f"it is a {kind} archive, which runs code of its author", TRUST
            )
        return _load_program(spec, path, kind)
    content = read_tensors(spec, path, allow_code=allow_code)
    if isinstance(content, nn.Module):
        return content
    return build(spec, content)


def build(spec: str, tensors: dict[str, Tensor]) -> nn.Module:
    """A known net holding these tensors. Raises ModelRefused, naming the known architectures."""
    if not tensors:
        raise ModelRefused(spec, "it holds no weights")
    module = recognise({name: tuple(value.shape) for name, value in tensors.items()})
    if module is None:
        known = ", ".join(ARCHITECTURES)
        reason = f"its {len(tensors)} tensors are those of no known architecture ({known})"
        raise ModelRefused(
            spec, reason, "write a function that builds it and use py:module:function"
        )
    module.load_state_dict(tensors, strict=False)  # a BatchNorm's batch counter may be absent
    return module.float()


def read_tensors(spec: str, path: Path, *, allow_code: bool) -> dict[str, Tensor] | nn.Module:
    """The named tensors of a safetensors or torch file; a whole module only by leave."""
    try:
        if path.suffix.lower() == ".safetensors":
            return plain_names(load_file(path))
        content = _unpickle(spec, path, allow_code=allow_code)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        if isinstance(error, ModelRefused):
            raise
        raise ModelRefused(spec, f"the file is damaged ({first_line(error)})") from None
    if isinstance(content, nn.Module):
        return content
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict | nn.Module):
            content = content[wrapper]
    if isinstance(content, nn.Module):
        return content
    if not isinstance(content, dict):
        raise ModelRefused(spec, f"it holds a {type(content).__name__}, not named tensors")
    return plain_names({str(k): v for k, v in content.items() if isinstance(v, Tensor)})


def plain_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what wrappers put before every name: of a compiled module, of a parallel
    one."""
    for prefix in WRAPPERS * 2:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def fill(spec: str, module: nn.Module, path: Path, *, allow_code: bool) -> None:
    """Local weights into a model, every one of them. Raises ModelRefused."""
    if not path.is_file():
        raise ModelRefused(spec, f"there is no file {path}")
    tensors = read_tensors(spec, path, allow_code=allow_code)
    if isinstance(tensors, nn.Module):
        tensors = tensors.state_dict()
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelRefused(spec, f"{path.name} holds other weights ({first_line(error)})") from None


def _unpickle(spec: str, path: Path, *, allow_code: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on pickles that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        if not allow_code:
            reason = "it is a pickle that holds more than tensors, and reading it would run code"
            raise ModelRefused(spec, reason, TRUST) from None
    return torch.load(path, map_location="cpu", weights_only=False)


def _archive(path: Path) -> str | None:
    """ "TorchScript" or "torch.export" for archives that carry a program."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError):
        return None
    if any(name == "archive_format" or name.startswith("models/") for name in names):
        return "torch.export"
    scripted = any(name == "constants.pkl" or name.startswith("code/") for name in names)
    return "TorchScript" if scripted else None


def _load_program(spec: str, path: Path, kind: str) -> nn.Module:
    try:
        if kind == "TorchScript":
            return torch.jit.load(path, map_location="cpu")
        return torch.export.load(path).module()
    except Exception as error:  # noqa: BLE001 - a program's loader may raise anything
        raise ModelRefused(
            spec, f"the {kind} archive does not load ({first_line(error)})"
        ) from None
