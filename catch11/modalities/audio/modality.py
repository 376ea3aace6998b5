"""Sounds: how models of them are loaded, keyed, released for, scored and attacked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from catch11.errors import InvalidArgument
from catch11.evaluation.verify import verify
from catch11.keys.key import Key
from catch11.modalities.attack import attack_items
from catch11.modalities.audio.load import load_audio
from catch11.modalities.audio.model import AudioModel, claims
from catch11.modalities.frame import (
    Action,
    Facts,
    Modality,
    Progress,
    Recoded,
    loading,
    options,
    radius_of,
    take,
)
from catch11.modalities.views import summary_view
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release

_SPECTRAL = ("psnr", "noise", "client", "shared")
_DEEP = ("at", "steps", "radius", "agreement", "margin")
_RUN = ("names", "ledger", "workers", "resume", "check", "model", "method", "format")
# In 255ths of the range of samples. Of 32 spoken words "auto" (16) withheld 13, 32 withheld 4, 48 none.
RADIUS = 48.0
_DECIBELS = 20.0  # peak 2, the range of samples: a tenth of it


def recode_sounds(src: Path, dst: Path, key: Key, asked: Facts, progress: Progress) -> Recoded:
    """Recode the wave files of a folder; see `release`."""
    facts, how = loading(asked)
    method = str(facts.get("method", "spectral"))
    rest = (*_RUN, *(_DEEP if method == "deep" else _SPECTRAL))
    given = take(facts, rest, kind=f"sounds with --method {method}")
    model = None
    if given.get("model") is not None:
        model = load_audio(str(given["model"]), **how)
    if not key.canvas.waveform and model is None:
        raise InvalidArgument(
            "--model", expected="the model, which makes its features of sounds", found="none"
        )
    recoder = sound_recoder(key, model, method, given)
    if method == "spectral":
        torch.set_num_threads(1)
    done = release(
        src, dst, recoder,
        check=model if given.get("check") else None,
        names=given.get("names", "keep"), ledger=given.get("ledger"),
        workers=given.get("workers") or 1, resume=given.get("resume", True),
        model=model, progress=progress,
    )  # fmt: skip
    return Recoded(facts=done.to_dict(), view=summary_view(done, dst))


def sound_recoder(
    key: Key, model: AudioModel | None, method: str, given: Mapping[str, Any]
) -> Recoder:
    """The recoder that options ask for; wav16 unless the key is of features. Raises InvalidArgument."""
    wave = key.canvas.waveform
    format = given.get("format") or ("wav16" if wave else "tensor")
    fitting = ("wav16", "wav32", "tensor") if wave else ("tensor",)
    if format not in fitting:
        raise InvalidArgument(
            "--format", expected=f"{' or '.join(fitting)} for this model of sounds", found=format
        )
    if method == "deep":
        if model is None:
            raise InvalidArgument("--method deep", expected="--model MODEL beside it", found="none")
        return DeepRecoder(
            model, key, format=format,
            at=given.get("at", "logits"), steps=given.get("steps", 60),
            radius=radius_of(given.get("radius", RADIUS)),
            agreement=given.get("agreement", "top1"), margin=given.get("margin", 0.5),
        )  # fmt: skip
    return SpectralRecoder(
        key, format=format, psnr=given.get("psnr", _DECIBELS), noise=given.get("noise", "gaussian"),
        tag=given.get("client", ""), shared=given.get("shared", False),
    )  # fmt: skip


AUDIO = Modality(
    name="audio",
    items="sounds",
    models="a model of sounds",
    sources="a folder of .wav, .flac or .ogg files",
    peak="2, the range of samples",
    suffixes=frozenset({".wav", ".wave", ".flac", ".ogg", ".oga", ".opus"}),
    claims=claims,
    load=load_audio,
    recode=recode_sounds,
    verify=Action(
        run=verify,
        takes=options("rivals source labels key ledger max_drop max_rival limit batch seed"),
    ),
    attack=Action(
        run=attack_items,
        takes=options(
            "rivals model attacks source key public labels records ledger limit training control seed"
        ),
        needs={
            "rivals": "at least one model, to attack sounds",
            "source": "the originals, to attack sounds",
        },
    ),
)
