"""Sounds: how models of them are loaded, keyed, released for, scored and attacked."""

from catch11.data.sounds import SUFFIXES
from catch11.evaluation.verify import verify
from catch11.keys.key import Key
from catch11.modalities.audio.load import load_audio
from catch11.modalities.audio.model import claims
from catch11.modalities.frame import Action, Modality, Takes, options


def reader(key: Key) -> str:
    """Features are made by their model alone."""
    return "" if key.canvas.waveform else "the model, which makes its features of sounds"


AUDIO = Modality(
    name="audio",
    items="sounds",
    models="a model of sounds",
    sources="a folder of .wav, .flac or .ogg files",
    peak="2, the range of samples",
    suffixes=SUFFIXES,
    claims=claims,
    load=load_audio,
    reading=options("to columns"),
    reader=reader,
    verify=Action(
        run=verify,
        takes=options(
            "rivals source labels key keep tolerance ledger max_drop max_rival limit batch seed engine workers address"
        ),
    ),
    attack=Takes(
        takes=options(
            "rivals model attacks source key public labels records ledger limit training control seed "
            "minutes quick engine workers address"
        ),
        needs={
            "rivals": "at least one model, to attack sounds",
            "source": "the originals, to attack sounds",
        },
    ),
)
