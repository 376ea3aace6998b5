"""What attackers of released texts hold, and how what they read is judged by the words as they were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from catch11.attacks.digest import digest, source_digest
from catch11.attacks.frame import Attempt, Jury, Material
from catch11.attacks.scene import Asked, Scene, Stand
from catch11.data.selection import spread
from catch11.errors import InvalidArgument
from catch11.evaluation.metrics import spearman
from catch11.evaluation.score import Measured, share_of
from catch11.modalities.text.attacks import AtPlaces, Sheet
from catch11.modalities.text.corpus import Corpus, encode_all, originals
from catch11.modalities.text.inverter import leak
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.verify import noise_like, verify_texts

Words = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadingJury(Jury):
    """words: of each document under attack. truth: a score of each couple. seed: of the bootstrap."""

    rivals: Mapping[str, TextModel]
    words: Words
    truth: Sequence[float] | None
    seed: int

    def measures(self, name: str, attempt: Attempt) -> tuple[Measured, ...]:
        """Of words at their places the share that is right, of words else F1, with their counts and as
        sets; of numbers how they rank the couples."""
        read = attempt.read
        if isinstance(read, Tensor):
            assert self.truth is not None
            return (Measured(metric="spearman", value=spearman(read, self.truth), n=len(read)),)
        if isinstance(read, AtPlaces):
            rows = zip(read.words, self.words, strict=True)
            hits = [
                one == word for some, true in rows for one, word in zip(some, true, strict=True)
            ]
            return (share_of("token recovery", hits),)
        found = leak(read, self.words, seed=self.seed)
        kinds = (("token F1", found.token), ("bag-of-words F1", found.bag))
        return tuple(Measured(metric=m, value=value, n=found.documents) for m, value in kinds)

    def held(self) -> tuple[object, ...]:
        return self.words, self.truth


def gather(asked: Asked) -> Scene:
    """Read a release of texts, and its clean embeddings to compare. Judged are documents evenly spaced;
    of others the attacker knows the words. Couples are all of them. Raises ReleaseError,
    InvalidArgument."""
    asked.needed("model", "source")
    model: TextModel = asked.model
    assert asked.source is not None
    effort = asked.effort
    held = asked.release
    corpus, entries, _ = originals(
        held, asked.dst, asked.source, asked.target, asked.ledger, None, model
    )
    if asked.target is not None and corpus.pairs is None:
        raise InvalidArgument(
            "--target", expected="a release of pairs, whose score it names", found="no pairs"
        )
    encoded = encode_all(model, corpus)
    released = [held.item(entry).embeds for entry in entries]
    if effort.control:
        released = noise_like(model, released, seed=effort.seed)
    read = spread(range(len(entries)), effort.judged)
    known = spread([i for i in range(len(entries)) if i not in set(read)], effort.training)
    jury = ReadingJury(
        rivals={name: one for name, one in asked.models.items() if one is model},
        words=[_words(model, encoded[i]) for i in read], truth=corpus.truth, seed=effort.seed,
    )  # fmt: skip
    clean = [model.embed(row) for row in encoded]
    stands = [
        Stand(of=of, jury=jury, material=_material(model, corpus, encoded, rows, read, known))
        for of, rows in (("released", released), ("clean", clean))
    ]
    return Scene(
        stands=tuple(stands),
        count=len(read),
        verify=asked.verified(verify_texts, target=asked.target, limit=len(read)),
        digest=digest(held.complete, corpus.truth, source_digest(asked.source)),
        unit="documents",
        learned=len(known),
    )  # fmt: skip


def _material(
    model: TextModel, corpus: Corpus, encoded: Sequence[Encoded], rows: Sequence[Tensor],
    read: Sequence[int], known: Sequence[int],
) -> Material:  # fmt: skip
    sheets = [
        Sheet(rows=some, places=_places(model, one))
        for one, some in zip(encoded, rows, strict=True)
    ]
    couples = None
    if corpus.pairs is not None and corpus.truth is not None:
        couples = tuple([rows[i] for i in side] for side in corpus.pairs.T.tolist())
    words: Any = [_words(model, encoded[i]) for i in known]
    return Material(
        canvas=model.canvas,
        released=[sheets[i] for i in read],
        pairs=(words, [sheets[i] for i in known]) if words else None,
        table=model.table.detach().float().cpu(),
        weights=model,
        couples=couples,  # type: ignore[arg-type]
    )


def _places(model: TextModel, one: Encoded) -> tuple[int, ...]:
    return tuple(place for place, word in enumerate(one.ids) if word not in model.special)


def _words(model: TextModel, one: Encoded) -> list[int]:
    return [one.ids[place] for place in _places(model, one)]
