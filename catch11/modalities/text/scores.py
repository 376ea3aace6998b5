"""Scores of released documents: the authorized model, rivals, controls, and the words read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, bootstrap, mcc, spearman
from catch11.evaluation.record import Condition, Record, Role, versions
from catch11.modalities.text.corpus import Corpus, Rows, encode_all
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.read_back import recovery
from catch11.modalities.text.recoder import Types
from catch11.modalities.text.similarity import read_similarity

Metric = Literal["spearman", "cosine", "accuracy", "mcc", "agreement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A measure and its value for each way the documents were fed."""

    metric: Metric
    value: Interval
    n: int


def own_answers(
    model: TextModel, corpus: Corpus, *, most: int | None = None
) -> Float[Tensor, "document answer"]:
    """A model's answers to the clean documents, through its own tokenizer and table."""
    rows = encode_all(model, corpus, most=most)
    return model.answers([model.embed(row) for row in rows], [row.types for row in rows])


def fed_answers(
    model: TextModel, embeds: Rows, types: Sequence[Types]
) -> Float[Tensor, "document answer"]:
    """A model's answers to embeddings that were handed to it. Raises InvalidArgument where they
    are of another width than its own."""
    if embeds and embeds[0].shape[1] != model.width:
        raise InvalidArgument(
            "embeddings", expected=f"{model.width} features for {model.name}",
            found=embeds[0].shape[1],
        )  # fmt: skip
    known = [None] * len(embeds) if not _takes_types(model) else types
    return model.answers(embeds, known)


def scores(
    corpus: Corpus,
    answers: Float[Tensor, "document answer"],
    own: Float[Tensor, "document answer"] | None,
    *,
    classes: int,
) -> list[Score]:
    """What the answers are worth: against the truth where there is one, else against the model's
    own clean answers."""
    if classes == 1 and corpus.truth is not None:
        return [
            Score(metric="spearman", value=spearman(answers[:, 0], corpus.truth), n=len(answers))
        ]
    if classes == 1:
        if own is None:
            return []
        near = (answers - own)[:, 0].abs() < 0.1
        return [Score(metric="agreement", value=accuracy(near.tolist()), n=len(near))]
    if classes:
        found = answers.argmax(1).tolist()
        if corpus.truth is not None:
            draws = torch.Generator().manual_seed(0)
            hits = [a == b for a, b in zip(found, corpus.truth, strict=True)]
            return [
                Score(metric="accuracy", value=accuracy(hits), n=len(hits)),
                Score(metric="mcc", n=len(hits),
                      value=bootstrap(mcc, found, corpus.truth, generator=draws, resamples=300)),
            ]  # fmt: skip
        if own is None:
            return []
        hits = [a == b for a, b in zip(found, own.argmax(1).tolist(), strict=True)]
        return [Score(metric="agreement", value=accuracy(hits), n=len(hits))]
    if corpus.pairs is not None and corpus.truth is not None:
        near = pair_cosines(answers, corpus.pairs)
        return [Score(metric="spearman", value=spearman(near, corpus.truth), n=len(near))]
    if own is None:
        return []
    near = torch.nn.functional.cosine_similarity(answers, own, dim=1)
    return [Score(metric="cosine", value=_mean(near), n=len(near))]


def drop(
    corpus: Corpus, clean: Tensor, made: Tensor, *, classes: int, confidence: float = 0.95
) -> Interval:
    """What the main score loses, clean minus released, with a paired bootstrap interval."""
    if classes == 1 and corpus.truth is not None:
        truth = np.asarray(corpus.truth)
        return _paired(partial(_loss, clean[:, 0], made[:, 0], truth), len(truth))
    if classes == 1:
        far = (clean - made)[:, 0].abs() >= 0.1
        return _paired(lambda i: float(far[i].float().mean()), len(far))
    if classes:
        own = clean.argmax(1)
        wanted = own if corpus.truth is None else torch.tensor(corpus.truth)
        first, second = clean.argmax(1) == wanted, made.argmax(1) == wanted
        return _paired(
            lambda i: float(first[i].float().mean() - second[i].float().mean()), len(first)
        )
    if corpus.pairs is not None and corpus.truth is not None:
        before, after = (pair_cosines(a, corpus.pairs) for a in (clean, made))
        return _paired(partial(_loss, before, after, np.asarray(corpus.truth)), len(before))
    near = 1.0 - torch.nn.functional.cosine_similarity(clean, made, dim=1)
    return _paired(lambda i: float(near[i].mean()), len(near))


def recall_at(
    queries: Float[Tensor, "query answer"], library: Float[Tensor, "document answer"],
    wanted: Int[Tensor, " query"], *, first: int = 10,
) -> list[bool]:  # fmt: skip
    """Whether each query's own document is among its `first` nearest by cosine."""
    near = (
        torch.nn.functional.normalize(queries, dim=1)
        @ torch.nn.functional.normalize(library, dim=1).T
    )
    best = near.topk(min(first, near.shape[1]), dim=1).indices
    return [bool(hit) for hit in (best == wanted[:, None]).any(1).tolist()]


def pair_cosines(answers: Float[Tensor, "document answer"], pairs: Int[Tensor, "pair 2"]) -> Tensor:
    """The cosine of the two documents of each pair."""
    return torch.nn.functional.cosine_similarity(answers[pairs[:, 0]], answers[pairs[:, 1]], dim=1)


def read_back(
    model: TextModel, encoded: Sequence[Encoded], embeds: Rows, *, most: int = 400
) -> tuple[Interval, int]:
    """Share of words that the nearest row of the model's public table gives back, of at most `most`
    documents, special tokens left out; and how many words that were."""
    places = [
        index * len(embeds) // min(most, len(embeds)) for index in range(min(most, len(embeds)))
    ]
    rows = torch.cat([embeds[i] for i in places])
    words = torch.tensor([word for i in places for word in encoded[i].ids])
    mask: Bool[Tensor, " token"] = torch.tensor([w not in model.special for w in words.tolist()])
    table = model.table.detach().float().cpu()
    return recovery(rows[None], table, words[None], mask[None]), int(mask.sum())


def record(
    score: Score | Interval,
    *,
    model: TextModel,
    role: Role,
    condition: Condition,
    metric: str | None = None,
    n: int | None = None,
    key: str | None = None,
    command: str | None = None,
    attack: str | None = None,
    knowledge: tuple[str, ...] = (),
    **settings: str | int | float | bool,
) -> Record:
    """A score as a record."""
    value = score.value if isinstance(score, Score) else score
    return Record(
        model=model.name, role=role, condition=condition,
        metric=metric or (score.metric if isinstance(score, Score) else ""),
        value=value.estimate, low=value.low, high=value.high,
        n=score.n if isinstance(score, Score) else int(n or 0),
        attack=attack, knowledge=knowledge, model_fingerprint=model.fingerprint,
        key_fingerprint=key, command=command, settings=settings, versions=versions(),
    )  # fmt: skip


def similarities(
    corpus: Corpus,
    rows: Rows,
    *,
    model: TextModel,
    key: str | None = None,
    command: str | None = None,
    **settings: str | int | float | bool,
) -> list[Record]:
    """How the pairs are ranked by what can be read off the released rows without any model; nothing
    where the corpus has no pairs, or no score of them."""
    if corpus.pairs is None or corpus.truth is None:
        return []
    return [
        record(spearman(near, corpus.truth), model=model, role="authorized", condition="attack",
               metric="spearman", n=len(near), attack=name, knowledge=("released",), key=key,
               command=command, **settings)
        for name, near in read_similarity(rows, corpus.pairs).items()
    ]  # fmt: skip


def _takes_types(model: TextModel) -> bool:
    return int(getattr(model.module.config, "type_vocab_size", 0) or 0) > 1


def _loss(before: Tensor, after: Tensor, truth: np.ndarray, index: np.ndarray) -> float:
    kept = [spearman(values[index], truth[index]).estimate for values in (before, after)]
    return kept[0] - kept[1]


def _paired(statistic: "object", n: int, *, resamples: int = 300) -> Interval:
    """A percentile interval over resampled items."""
    assert callable(statistic)
    draws = np.random.default_rng(0).integers(n, size=(resamples, n))
    estimate = float(statistic(np.arange(n)))
    values = np.array([float(statistic(draw)) for draw in draws])
    low, high = (float(v) for v in np.nanquantile(values, [0.025, 0.975]))
    return Interval(
        low=min(low, estimate), estimate=estimate, high=max(high, estimate),
        assumptions=(f"paired bootstrap, {resamples} resamples",),
    )  # fmt: skip


def _mean(values: Tensor) -> Interval:
    middle = float(values.mean())
    half = 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else 1.0
    return Interval(low=middle - half, estimate=middle, high=middle + half)
