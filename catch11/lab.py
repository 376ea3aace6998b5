"""Packages beside the base: imported where they are used, or named with the extra that brings them."""

from importlib import import_module
from typing import Any

from catch11.errors import MissingExtra


def needed(module: str, extra: str = "lab") -> Any:
    """A module of an extra. Raises MissingExtra."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(module.partition(".")[0], extra) from None
