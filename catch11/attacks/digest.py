"""Digests of what attacks are handed: the same values, the same text, in any process."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from torch import Tensor


def digest(*parts: object) -> str:
    """SHA-256 of tensors, texts, numbers and collections of them, their ends told apart."""
    return hashlib.sha256(json.dumps([_text(part) for part in parts]).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def source_digest(source: Path) -> str:
    """SHA-256 of a source: a file, or every file below a folder with its name."""
    files = [source, *sorted(source.rglob("*"))]
    return digest(*(f"{path.relative_to(source)} {file_digest(path)}" for path in files))


def _text(value: object) -> str:
    if isinstance(value, Tensor):
        found = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()
    if is_dataclass(value) and not isinstance(value, type):
        return digest(*(getattr(value, item.name) for item in fields(value)))
    if isinstance(value, Mapping):
        return digest(*value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return digest(*value)
    assert value is None or isinstance(value, str | int | float | bool), type(value)
    return repr(value)
