"""Verifying a release of texts: models on the clean documents, the released embeddings and controls,
and the words that the public table gives back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.classes import same_classes
from catch11.evaluation.kept import answers_kept, broken, kept_measures
from catch11.evaluation.record import Condition
from catch11.evaluation.roles import named
from catch11.evaluation.score import Run, Score, Tally, kept_facts, release_id
from catch11.evaluation.verification import (
    Progress,
    Verifiable,
    Verification,
    check_limits,
    verified,
)
from catch11.keys.key import Key
from catch11.modalities.text.corpus import Corpus, encode_all, originals
from catch11.modalities.text.embeds import Passage
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.scores import (
    drop,
    fed_answers,
    own_answers,
    read_back,
    scores,
    similarities,
)
from catch11.recoding.keep import Keep
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release, unlisted


def verify_texts(
    dst: Path,
    model: TextModel,
    *,
    rivals: Sequence[TextModel],
    source: Path | None,
    target: str | None = None,
    ledger: Path | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    key: Key | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Score a release of texts: the authorized model and its rivals on the clean documents, the
    released embeddings, noise of the same size, and (rivals) the authorized model's clean
    embeddings; and the words that the public table gives back.

    source: the originals; everything needs them, because embeddings hold no text to judge by.
    target: the source's column with the class or score; else the model's own clean answers are the
    truth. key: the one that the release must be signed with. Raises ReleaseError, InvalidArgument.
    """
    if source is None:
        raise InvalidArgument("--source", expected="the originals, for texts", found="none")
    check_limits(max_drop=max_drop, max_rival=max_rival, source=source, rivals=rivals)
    held = read_release(dst, signer=signer_of(key))
    corpus, kept, problems = originals(held, dst, source, target, ledger, limit, model)
    documents = _Documents(
        corpus, tuple(entry.file for entry in kept), tuple(problems), named((model, *rivals)),
        [held.item(entry) for entry in kept], encode_all(model, corpus), held.keep,
    )  # fmt: skip
    settings = {
        "method": held.method, "release": release_id(held.entries), "limit": limit, **kept_facts(held),
    }  # fmt: skip
    trial = Verifiable(
        models=documents.models,
        answered=documents.answered,
        total=len(documents.models),
        run=Run(key=held.key, command=command, settings=settings),
        complete=held.complete,
        sourced=True,
        scores=documents.scores,
        drop=documents.drop,
        said=(*unlisted(held), *documents.unfed()),
        unit="documents",
        handled=False,  # the control is another model's embeddings
    )
    return verified(trial, max_drop=max_drop, max_rival=max_rival, progress=progress)


def noise_like(model: TextModel, rows: Sequence[Tensor], *, seed: int = 0) -> list[Tensor]:
    """The control: noise of the table's size and the documents' lengths, keyed by nothing."""
    generator = torch.Generator().manual_seed(seed)
    return [model.rms * torch.randn(row.shape, generator=generator) for row in rows]


@dataclass(frozen=True, slots=True)
class _Documents:
    """Documents as they were and as they were released, and what reads them."""

    corpus: Corpus
    files: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    models: Mapping[str, TextModel]
    passages: Sequence[Passage]
    encoded: Sequence[Encoded]
    keep: Keep | None

    @property
    def model(self) -> TextModel:
        return next(iter(self.models.values()))

    def fed(self) -> dict[Condition, Sequence[Tensor]]:
        """The embeddings that models are handed."""
        released = [passage.embeds for passage in self.passages]
        clean = [self.model.embed(row) for row in self.encoded]
        return {"nte": released, "gaussian": noise_like(self.model, released), "control": clean}

    def unfed(self) -> tuple[str, ...]:
        return tuple(
            f"{one.name} takes {one.width} features and cannot be fed these embeddings"
            for one in self.models.values()
            if one.width != self.model.width
        )

    def answered(self) -> Iterator[tuple[int, Tally]]:
        """A model at a time."""
        fed, types = self.fed(), [passage.types for passage in self.passages]
        classes = self.corpus.truth if len(self.model.labels) > 1 else None
        for number, (name, one) in enumerate(self.models.items()):
            tally = Tally()
            if not number:
                tally.files, tally.problems = list(self.files), list(self.problems)
                tally.truth = [None if classes is None else int(c) for c in classes or self.files]
            made: dict[Condition, Tensor] = {"clean": own_answers(one, self.corpus)}
            if one.width == self.model.width:
                made |= {
                    condition: fed_answers(one, rows, types) for condition, rows in fed.items()
                }
            if not number:
                tally.kept, alike = answers_kept(
                    self.keep, made["nte"], made["control"], classes=len(one.labels)
                )
                (measure,) = tally.kept
                tally.problems += broken(self.keep, self.files, tally.kept, alike, measure=measure)
            for condition, answers in made.items():
                tally.answers[name, condition] = list(answers)
            yield 1, tally

    def scores(self, tally: Tally, models: Mapping[str, Any]) -> list[Score]:
        """Of every model, and what is read without one."""
        found = []
        for (name, condition), answers in tally.answers.items():
            own, classes = torch.stack(tally.answers[name, "clean"]), len(models[name].labels)
            made = scores(self._judging(name), torch.stack(answers), own, classes=classes)
            found += [one.by(name, condition) for one in made]
        first, fed = next(iter(self.models)), self.fed()
        for condition, rows in (("clean", fed["control"]), ("gaussian", fed["gaussian"])):
            found.append(read_back(self.model, self.encoded, rows).by(first, condition))
        read = {"nearest tokens": (read_back(self.model, self.encoded, fed["nte"]), "table")}
        read |= {n: (one, "released") for n, one in similarities(self.corpus, fed["nte"]).items()}
        for attack, (one, known) in read.items():
            found.append(one.by(first, "attack", attack=attack, knowledge=(known,)))
        return [*found, *(one.by(first, "nte") for one in kept_measures(tally, seed=0))]

    def _judging(self, name: str) -> Corpus:
        """The documents with their classes in the order of a model, or without a truth where it has
        others."""
        truth = self.corpus.truth
        if truth is None or len(self.model.labels) < 2:
            return self.corpus
        classes = same_classes(self.model.labels, self.models[name].labels)
        mine = None if classes is None else [classes[int(one)] for one in truth]
        return replace(self.corpus, truth=mine)

    def drop(self, tally: Tally) -> Any:
        first = next(iter(self.models))
        clean, made = (torch.stack(tally.answers[first, which]) for which in ("clean", "nte"))
        return drop(self.corpus, clean, made, classes=len(self.model.labels))
