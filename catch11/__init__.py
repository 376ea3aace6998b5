"""Release data for one model: the authorized model reads it, others do not.

The names below are the public interface. Each is loaded on first use, so that importing the
package (and asking the command for help) does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from catch11.errors import Catch11Error

if TYPE_CHECKING:
    from catch11.canvas.fit import Fit
    from catch11.canvas.frame import Canvas
    from catch11.copies.personalize import CopySecret, make_copy, personalize
    from catch11.copies.seal import SealSecret
    from catch11.copies.secretfile import load_secret, save_secret
    from catch11.keys.file import load_key, save_key
    from catch11.keys.key import Key, build_key
    from catch11.modalities.image.seal import seal
    from catch11.modalities.load import load_model
    from catch11.modalities.public import attack, verify
    from catch11.plugs.card import describe
    from catch11.plugs.dataset import ReleaseDataset
    from catch11.plugs.processor import RecodingImageProcessor
    from catch11.plugs.transform import Recode
    from catch11.recoding.choose import recoder_for
    from catch11.recoding.deep.recoder import DeepRecoder
    from catch11.recoding.scramble import ScrambleRecoder
    from catch11.recoding.spectral.recoder import SpectralRecoder
    from catch11.releases.whole import release

__version__ = "0.1.0"

__all__ = [
    "Canvas",
    "Catch11Error",
    "CopySecret",
    "DeepRecoder",
    "Fit",
    "Key",
    "Recode",
    "RecodingImageProcessor",
    "ReleaseDataset",
    "ScrambleRecoder",
    "SealSecret",
    "SpectralRecoder",
    "attack",
    "build_key",
    "describe",
    "load_key",
    "load_model",
    "load_secret",
    "make_copy",
    "personalize",
    "recoder_for",
    "release",
    "save_key",
    "save_secret",
    "seal",
    "verify",
]

_HOMES = {
    "Canvas": "catch11.canvas.frame",
    "CopySecret": "catch11.copies.personalize",
    "DeepRecoder": "catch11.recoding.deep.recoder",
    "Fit": "catch11.canvas.fit",
    "Key": "catch11.keys.key",
    "Recode": "catch11.plugs.transform",
    "RecodingImageProcessor": "catch11.plugs.processor",
    "ReleaseDataset": "catch11.plugs.dataset",
    "ScrambleRecoder": "catch11.recoding.scramble",
    "SealSecret": "catch11.copies.seal",
    "SpectralRecoder": "catch11.recoding.spectral.recoder",
    "attack": "catch11.modalities.public",
    "build_key": "catch11.keys.key",
    "describe": "catch11.plugs.card",
    "load_key": "catch11.keys.file",
    "load_model": "catch11.modalities.load",
    "load_secret": "catch11.copies.secretfile",
    "make_copy": "catch11.copies.personalize",
    "personalize": "catch11.copies.personalize",
    "recoder_for": "catch11.recoding.choose",
    "release": "catch11.releases.whole",
    "save_key": "catch11.keys.file",
    "save_secret": "catch11.copies.secretfile",
    "seal": "catch11.modalities.image.seal",
    "verify": "catch11.modalities.public",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'catch11' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
