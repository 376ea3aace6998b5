"""Release data for one model: the authorized model reads it, others do not.

The names below are the public interface. Each is loaded on first use, so that importing the
package (and asking the command for help) does not import torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from catch11.errors import Catch11Error

if TYPE_CHECKING:
    from catch11.canvas import Canvas
    from catch11.fit import Fit
    from catch11.key import Key, build_key
    from catch11.keyfile import load_key, save_key
    from catch11.matrix import verify
    from catch11.models import load_model
    from catch11.personalize import CopySecret, make_copy, personalize
    from catch11.recode.deep import DeepRecoder
    from catch11.recode.scramble import ScrambleRecoder
    from catch11.recode.spectral import SpectralRecoder
    from catch11.release import release
    from catch11.secretfile import load_secret, save_secret

__version__ = "0.1.0"

__all__ = [
    "Canvas",
    "Catch11Error",
    "CopySecret",
    "DeepRecoder",
    "Fit",
    "Key",
    "ScrambleRecoder",
    "SpectralRecoder",
    "build_key",
    "load_key",
    "load_model",
    "load_secret",
    "make_copy",
    "personalize",
    "release",
    "save_key",
    "save_secret",
    "verify",
]

_HOMES = {
    "Canvas": "catch11.canvas",
    "CopySecret": "catch11.personalize",
    "DeepRecoder": "catch11.recode.deep",
    "Fit": "catch11.fit",
    "Key": "catch11.key",
    "ScrambleRecoder": "catch11.recode.scramble",
    "SpectralRecoder": "catch11.recode.spectral",
    "build_key": "catch11.key",
    "load_key": "catch11.keyfile",
    "load_model": "catch11.models",
    "load_secret": "catch11.secretfile",
    "make_copy": "catch11.personalize",
    "personalize": "catch11.personalize",
    "release": "catch11.release",
    "save_key": "catch11.keyfile",
    "save_secret": "catch11.secretfile",
    "verify": "catch11.matrix",
}


class _Package(ModuleType):
    """The package object: keeps `catch11.release` the function after its submodule is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds a submodule on its parent; for a public name the function wins.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'catch11' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
