"""Attacks on released texts: words by the nearest row of a public table and by trained inverters, and
the likeness of pairs, read off the rows without any model."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.attacks.frame import Attack, Attempt, Material, register
from catch11.errors import InvalidArgument
from catch11.modalities.text.inverter import Learning, read_bag, read_places
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.read_back import Nearness, nearest_tokens
from catch11.modalities.text.recoder import TEXT, pad
from catch11.modalities.text.similarity import READINGS

FEW = 40  # documents an inverter must be taught with
_TEXTS = frozenset({TEXT})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """A document's embeddings, and which of its places hold words: separators hold none."""

    rows: Float[Tensor, "token feature"]
    places: tuple[int, ...]

    @property
    def written(self) -> Float[Tensor, "word feature"]:
        """What stands at its words."""
        return self.rows[list(self.places)]


@dataclass(frozen=True, slots=True)
class AtPlaces:
    """Words read place by place."""

    words: Sequence[Sequence[int]]


@register
class NearestTokens(Attack):
    """The row of the public table that is nearest to each embedding, by two measures of nearness."""

    name = "nearest tokens"
    cost = "untrained"
    knowledge = frozenset({"released", "table"})
    modalities = _TEXTS
    stated = ("table",)

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.table is not None
        sheets: Sequence[Sheet] = material.released
        rows = torch.cat([sheet.written for sheet in sheets])
        for nearness in get_args(Nearness):
            words = nearest_tokens(rows[None], material.table, nearness=nearness)[0]
            parts = words.split([len(sheet.places) for sheet in sheets])
            yield Attempt(setting=nearness, read=AtPlaces([part.tolist() for part in parts]))


class _Inverter(Attack):
    """Learns words from documents whose text it knows. side: what it reads of documents, with what
    it holds of the authorized model."""

    modalities = _TEXTS
    cost = "trained"
    title = "inverter"
    read: ClassVar[Callable[..., list[list[int]]]] = read_places

    @abstractmethod
    def side(self, sheets: Sequence[Sheet], model: Any) -> Any:
        """Rows of each document, or one row a document."""

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.pairs is not None
        words, known = material.pairs
        if len(words) < FEW:
            expected = f"{FEW} documents or more to learn from"
            raise InvalidArgument("training", expected=expected, found=len(words))
        taught, target = (self.side(some, material.weights) for some in (known, material.released))
        learning = Learning(seed=generator.initial_seed())
        read = type(self).read(taught, words, target, learning=learning)
        yield Attempt(setting=f"{len(words)} documents known", read=read)


@register
class EmbeddingInverter(_Inverter):
    """From the released embeddings alone."""

    name = "inverter"
    knowledge = frozenset({"released", "pairs"})
    stated = ("embeddings",)

    def side(self, sheets: Sequence[Sheet], model: Any) -> list[Tensor]:
        return [sheet.written for sheet in sheets]


@register
class StateInverter(_Inverter):
    """From the states of the authorized model, run on the released embeddings."""

    name = "inverter with weights"
    knowledge = frozenset({"released", "pairs", "weights"})
    stated = ("embeddings and weights",)

    def side(self, sheets: Sequence[Sheet], model: TextModel) -> list[Tensor]:
        with torch.no_grad():
            made = [model.states(*pad([one.rows], device=model.device)[:2])[0] for one in sheets]
        return [rows.cpu()[list(one.places)] for rows, one in zip(made, sheets, strict=True)]


@register
class AnswerInverter(_Inverter):
    """The floor: from the sentence embedding, which whoever holds the authorized model gets from any
    release that serves it."""

    name = "inverter of sentence embeddings"
    knowledge = frozenset({"released", "pairs", "weights"})
    stated = ("sentence embedding",)
    read = read_bag

    def side(self, sheets: Sequence[Sheet], model: TextModel) -> Float[Tensor, "document answer"]:
        return model.answers([sheet.rows for sheet in sheets])


class _Likeness(Attack):
    """How alike two documents are, read off their released rows."""

    knowledge = frozenset({"released"})
    cost = "untrained"
    modalities = _TEXTS
    stated = ("released",)
    reading: ClassVar[Callable[[Tensor, Tensor], Tensor]]

    def unfit(self, material: Material) -> str:
        return (
            "" if material.couples else "needs pairs of documents with a score of each (--target)"
        )

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        assert material.couples is not None
        values = [
            type(self).reading(one, other) for one, other in zip(*material.couples, strict=True)
        ]
        yield Attempt(setting=self.name, read=torch.stack(values))


for _name, _reading in READINGS.items():
    register(
        type(
            _reading.__name__.title(), (_Likeness,),
            {"name": _name, "reading": staticmethod(_reading), "__doc__": _reading.__doc__},
        )
    )  # fmt: skip
