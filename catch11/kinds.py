"""Kinds of data, and where the pieces of each are defined: one row of `KINDS` brings a kind in.

Everything stands here by its full name and is imported when it is asked for, so that the lowest
rooms find what the highest define.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from catch11.errors import InvalidArgument

AUDIO, IMAGE = "audio", "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The pieces of one kind of data.

    modality: how its models are loaded, keyed and scored. pipeline: how its sources are listed, read
    and released. recoders: by method, the module that registers the recoder. forms: of its files, by
    name. attacks: the module that gathers what attackers hold and registers attacks, where there is
    one.
    """

    modality: str
    pipeline: str
    recoders: dict[str, str]
    forms: dict[str, str] = field(default_factory=dict)
    attacks: str = ""


# To add a kind of data: its row here. Claims on a model are asked in this order; images come last,
# as what none claims is theirs.
KINDS: dict[str, Kind] = {
    "text": Kind(
        modality="catch11.modalities.text.modality.TEXT",
        pipeline="catch11.modalities.text.release.Texts",
        recoders={
            "spectral": "catch11.modalities.text.recoder",
            "deep": "catch11.modalities.text.deep",
        },
        forms={"embeds": "catch11.modalities.text.embeds.EMBEDS"},
        attacks="catch11.modalities.text.scene",
    ),
    AUDIO: Kind(
        modality="catch11.modalities.audio.modality.AUDIO",
        pipeline="catch11.modalities.audio.release.Sounds",
        recoders=dict.fromkeys(("spectral", "deep"), "catch11.modalities.audio.recoder"),
        forms={
            "wav16": "catch11.modalities.audio.wav.WAV16",
            "wav32": "catch11.modalities.audio.wav.WAV32",
        },
        attacks="catch11.modalities.audio.attacks",
    ),
    "table": Kind(
        modality="catch11.modalities.table.modality.TABLE",
        pipeline="catch11.modalities.table.release.Tables",
        recoders={
            "spectral": "catch11.modalities.table.recoder",
            "deep": "catch11.modalities.table.deep",
        },
        forms={
            "csv": "catch11.modalities.table.form.CSV",
            "tsv": "catch11.modalities.table.form.TSV",
            "parquet": "catch11.modalities.table.form.PARQUET",
        },
        attacks="catch11.modalities.table.attacks",
    ),
    IMAGE: Kind(
        modality="catch11.modalities.image.modality.IMAGE",
        pipeline="catch11.modalities.image.release.Pictures",
        recoders={
            "spectral": "catch11.recoding.spectral.recoder",
            "deep": "catch11.recoding.deep.recoder",
            "scramble": "catch11.recoding.scramble",
        },
        forms={
            "png8": "catch11.modalities.image.png8.PNG8",
            "tensor": "catch11.modalities.image.tensor.TENSOR",
        },
        attacks="catch11.attacks.gather",
    ),
}


def kind_of(name: str, *, argument: str = "modality") -> Kind:
    """The row of a kind of data. Raises InvalidArgument with the known ones."""
    return named(KINDS, name, argument=argument)


def methods() -> tuple[str, ...]:
    """Names of all methods of recoding, the usual one first."""
    every = dict.fromkeys(method for kind in KINDS.values() for method in kind.recoders)
    return tuple(every)


def forms() -> dict[str, str]:
    """Where the form of each name is defined, those of images first."""
    return {name: where for kind in reversed(KINDS.values()) for name, where in kind.forms.items()}


def fetched(where: str) -> Any:
    """What stands under a full name, imported."""
    module, _, attribute = where.rpartition(".")
    return getattr(import_module(module), attribute)


def named(rows: Mapping[str, Any], name: str, *, argument: str) -> Any:
    """A row of a table. Raises InvalidArgument with the names it knows."""
    if name not in rows:
        raise InvalidArgument(argument, expected=f"one of {', '.join(rows)}", found=name)
    return rows[name]
