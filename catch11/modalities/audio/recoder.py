"""Recoders of sounds: those of windows, with what serves samples better where nothing is asked for."""

from collections.abc import Mapping
from typing import Any

from catch11.keys.key import Key
from catch11.kinds import AUDIO
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.registry import registered
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.windows import usual_format

# In 255ths of the range of samples. Of 32 spoken words "auto" (16) withheld 13, 32 withheld 4, 48 none.
RADIUS = 48.0
_DECIBELS = 20.0  # peak 2, the range of samples: a tenth of it


def _spectral(key: Key) -> Mapping[str, Any]:
    return {"format": usual_format(key.canvas), "psnr": _DECIBELS, "noise": "gaussian"}


def _deep(key: Key) -> Mapping[str, Any]:
    return {"format": usual_format(key.canvas), "radius": RADIUS}


registered(AUDIO, defaults=_spectral, usual=True)(SpectralRecoder)
registered(AUDIO, defaults=_deep)(DeepRecoder)
