"""Optional libraries of the baselines, imported where they are used."""

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from catch11.errors import MissingExtra

# Either alone, or both as `baselines`.
EXTRAS = {"opacus": "dp", "diffprivlib": "dp", "tenseal": "fhe"}


def library(name: str, *, package: str) -> ModuleType:
    """A module of an optional package, its own import warnings kept to itself. Raises MissingExtra."""
    try:
        with quiet():
            return importlib.import_module(name)
    except ImportError:
        raise MissingExtra(package, EXTRAS[package]) from None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings: these libraries warn of their own defaults, and of what is checked here already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def installed(name: str) -> bool:
    """Whether an optional library can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None
