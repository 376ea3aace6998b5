"""A model of any kind of data by its spec."""

from collections.abc import Callable, Mapping
from importlib import import_module

from catch11.errors import ModelRefused
from catch11.keys.authorized import IMAGE, Authorized
from catch11.modalities.frame import modality_of
from catch11.models.load import adapted

LOADERS: Mapping[str, tuple[str, str]] = {
    "audio": ("catch11.modalities.audio.load", "load_audio"),
    "table": ("catch11.modalities.table.model", "load_table"),
    "text": ("catch11.modalities.text.file", "load_text"),
}


def load_model(spec: str, *, device: str = "cpu", allow_code: bool = False) -> Authorized:
    """Load the model named by `spec`, or by a bare path that is recognised.

    hf: a transformers id or folder; timm: a name, with local weights after @; onnx: and torch: a
    file with a JSON beside it; py: a function of the user's own. Files that would run code of their
    author's (pickles, TorchScript, torch.export, repositories with code) are refused unless
    `allow_code`. Raises ModelRefused, CanvasRefused, MissingExtra.
    """
    kind = modality_of(spec)
    if kind == IMAGE:
        model = adapted(spec, device=device, allow_code=allow_code)
        if isinstance(model, Authorized):
            return model
        raise ModelRefused(spec, f"the function returned {type(model).__name__}, no loaded model")
    module, name = LOADERS[kind]
    load: Callable[..., Authorized] = getattr(import_module(module), name)
    return load(spec, device=device, allow_code=allow_code)
