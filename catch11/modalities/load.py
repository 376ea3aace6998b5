"""A model of any kind of data by its spec."""

from catch11.keys.authorized import Authorized
from catch11.modalities.known import modality_of


def load_model(spec: str, *, device: str = "cpu", allow_code: bool = False) -> Authorized:
    """Load the model named by `spec`, or by a bare path that is recognised.

    hf: a transformers id or folder; timm: a name, with local weights after @; onnx: and torch: a
    file with a JSON beside it; py: a function of the user's own. Files that would run code of their
    author's (pickles, TorchScript, torch.export, repositories with code) are refused unless
    `allow_code`. Raises ModelRefused, CanvasRefused, MissingExtra.
    """
    return modality_of(spec).load(spec, device=device, allow_code=allow_code)
