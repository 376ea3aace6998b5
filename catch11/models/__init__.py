"""Models by spec: transformers, timm, ONNX, torch files and functions of the user's own."""

from catch11.models.frame import Model, load_model

__all__ = ["Model", "load_model"]
