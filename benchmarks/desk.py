"""A release of texts beside its source: what is measured reads both from here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from catch11 import Key, build_key
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import spearman
from catch11.modalities.text.corpus import Corpus, encode_all, originals
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.recoder import NoiseTokens, passages
from catch11.modalities.text.scores import pair_cosines
from catch11.releases.read import read_release
from catch11.studies.nets.encoders import known_encoder
from catch11.studies.trial import SECRET

Rows = Sequence[Tensor]
Line = dict[str, Any]
CONDITIONS = ("clean", "released", "noise")


@dataclass
class Desk:
    """Whole pairs with a score each, or single texts with a label, in the source's order. most: pairs."""

    released: Path
    source: Path
    target: str = "score"
    most: int | None = None

    @cached_property
    def model(self) -> TextModel:
        return known_encoder()

    @cached_property
    def key(self) -> Key:
        return build_key(self.model, secret=SECRET)

    @cached_property
    def found(self) -> tuple[Corpus, Rows]:
        release = read_release(self.released)
        corpus, entries, _ = originals(
            release, self.released, self.source, self.target, None, None, self.model
        )
        rows = [release.item(entry).embeds for entry in entries]
        if self.most is None:
            return corpus, rows
        count = 2 * self.most
        assert corpus.pairs is not None
        assert corpus.truth is not None
        first = Corpus(
            texts=corpus.texts[:count],
            pairs=corpus.pairs[: self.most],
            truth=corpus.truth[: self.most],
        )
        return first, rows[:count]

    @property
    def corpus(self) -> Corpus:
        return self.found[0]

    @property
    def truth(self) -> Sequence[float]:
        assert self.corpus.truth is not None
        return self.corpus.truth

    @cached_property
    def encoded(self) -> list[Encoded]:
        return encode_all(self.model, self.corpus)

    @cached_property
    def clean(self) -> Rows:
        return [self.model.embed(row) for row in self.encoded]

    @cached_property
    def noise(self) -> Rows:
        made = NoiseTokens(self.key, rms=self.model.rms)(passages(self.clean)).items
        return [one.embeds for one in made]

    def rows(self, name: str) -> Rows:
        """Of one of `CONDITIONS`."""
        return {"clean": self.clean, "released": self.found[1], "noise": self.noise}[name]

    def words(self) -> list[list[int]]:
        return [[w for w in row.ids if w not in self.model.special] for row in self.encoded]

    def ranked(self, model: TextModel, rows: Rows) -> Line:
        """How a model ranks the pairs by rows that are fed to it."""
        assert self.corpus.pairs is not None
        near = pair_cosines(model.answers(rows), self.corpus.pairs)
        return line("spearman", spearman(near, self.truth), len(near))


def line(metric: str, value: Interval, n: int, **facts: Any) -> Line:
    """A number as it is shown."""
    ends = {"value": value.estimate, "low": value.low, "high": value.high}
    return {"metric": metric, **facts, **ends, "n": n}
