"""Attacks on released texts: words by the nearest row of a public table, and by trained inverters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record
from catch11.modalities.text.corpus import Rows, encode_all, originals
from catch11.modalities.text.inverter import Leak, Learning, invert_bag, invert_places
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.recoder import pad
from catch11.modalities.text.scores import read_back, record, similarities
from catch11.releases.read import read_release

FEW = 40  # documents an inverter must be taught with
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoils:
    """Documents under attack: as they were, as they were released, and which of them the attacker
    knows (indices); he reads the others."""

    model: TextModel
    encoded: Sequence[Encoded]
    clean: Rows
    released: Rows
    known: Sequence[int]
    read: Sequence[int]

    def words(self, places: Sequence[int]) -> list[list[int]]:
        """The words of documents, special tokens left out."""
        return [[self.encoded[i].ids[j] for j in self._inner(i)] for i in places]

    def rows(self, rows: Rows, places: Sequence[int]) -> list[Tensor]:
        """What stands at those words."""
        return [rows[i][self._inner(i)] for i in places]

    def _inner(self, index: int) -> list[int]:
        ids = self.encoded[index].ids
        return [j for j, word in enumerate(ids) if word not in self.model.special]


def attack_texts(
    dst: Path,
    model: TextModel,
    *,
    source: Path,
    target: str | None = None,
    ledger: Path | None = None,
    limit: int = 60,
    training: int = 200,
    seed: int = 0,
    command: str | None = None,
    progress: Told | None = None,
) -> list[Record]:
    """What is read back of a release, and of its clean embeddings beside it.

    limit: documents that are read, evenly spaced. training: others, whose text the attacker
    knows. The model's table is public; attacks that need its weights say so. target: the source's
    column with a score of each pair, which is then read off the rows without any model, all pairs
    judged. Raises ReleaseError, InvalidArgument.
    """
    release = read_release(dst)
    corpus, entries, _ = originals(release, dst, source, target, ledger, None, model)
    if target is not None and corpus.pairs is None:
        raise InvalidArgument(
            "--target", expected="a release of pairs, whose score it names", found="no pairs"
        )
    encoded = encode_all(model, corpus)
    every = range(len(entries))
    read = sorted({i * len(every) // min(limit, len(every)) for i in range(min(limit, len(every)))})
    rest = [i for i in every if i not in set(read)]
    known = [
        rest[i * len(rest) // min(training, len(rest))] for i in range(min(training, len(rest)))
    ]
    spoils = Spoils(
        model=model, encoded=encoded, clean=[model.embed(row) for row in encoded],
        released=[release.item(entry).embeds for entry in entries], known=known, read=read,
    )  # fmt: skip
    found = []
    for of, rows in (("clean", spoils.clean), ("released", spoils.released)):
        share, words = read_back(model, [encoded[i] for i in read], [rows[i] for i in read])
        found.append(
            record(share, model=model, role="authorized", condition="attack", metric="token recovery",
                   n=words, attack="nearest tokens", knowledge=("table",), key=release.key,
                   command=command, of=of)
        )  # fmt: skip
        found += similarities(
            corpus, rows, model=model, key=release.key, command=command, of=of
        )  # fmt: skip
    for number, (of, what, leak) in enumerate(inversions(spoils, Learning(seed=seed))):
        if progress is not None:
            progress(f"inverter, {what}", number, 6)
        for metric, value in (("token F1", leak.token), ("bag-of-words F1", leak.bag)):
            found.append(
                record(value, model=model, role="authorized", condition="attack", metric=metric,
                       n=leak.documents, attack="inverter", knowledge=(what,), key=release.key,
                       command=command, of=of, known=len(known))
            )  # fmt: skip
    return found


def inversions(spoils: Spoils, learning: Learning) -> list[tuple[str, str, Leak]]:
    """(of what, knowing what, leak): from the embeddings, from the model's states on them, and
    the floor, from the sentence embedding alone; of the release and of the clean embeddings.

    Raises InvalidArgument where too few documents are known.
    """
    if len(spoils.known) < FEW:
        raise InvalidArgument(
            "training", expected=f"{FEW} documents or more to learn from", found=len(spoils.known)
        )
    known, read = spoils.words(spoils.known), spoils.words(spoils.read)
    found = []
    for of, rows in (("clean", spoils.clean), ("released", spoils.released)):
        sides = {"embeddings": rows, "embeddings and weights": states(spoils.model, rows)}
        for what, some in sides.items():
            taught, target = spoils.rows(some, spoils.known), spoils.rows(some, spoils.read)
            found.append((of, what, invert_places(taught, known, target, read, learning=learning)))
        answers = spoils.model.answers(rows)
        leak = invert_bag(
            answers[list(spoils.known)], known, answers[list(spoils.read)], read, learning=learning
        )
        found.append((of, "sentence embedding", leak))
    return found


def states(model: TextModel, rows: Rows) -> list[Float[Tensor, "_ hidden"]]:
    """The model's last hidden states of documents."""
    with torch.no_grad():
        return [model.states(*pad([row], device=model.device)[:2])[0].cpu() for row in rows]
