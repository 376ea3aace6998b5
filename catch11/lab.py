"""What attacks, studies and reports need beside the base: imported where it is used, by the extra `lab`."""

from importlib import import_module
from typing import Any

from catch11.errors import MissingExtra


def needed(module: str) -> Any:
    """A module of the extra. Raises MissingExtra."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(module.partition(".")[0], "lab") from None
