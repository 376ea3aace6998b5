"""Scores of released documents: the authorized model, rivals, controls, and the words read back."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from catch11.data.selection import spread
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import bootstrap, mcc, spearman
from catch11.evaluation.score import AGREEMENT, Measured, share_of
from catch11.modalities.text.corpus import Corpus, Rows, encode_all
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.read_back import recovery
from catch11.modalities.text.recoder import Types
from catch11.modalities.text.similarity import read_similarity


def own_answers(model: TextModel, corpus: Corpus) -> Float[Tensor, "document answer"]:
    """A model's answers to the clean documents, through its own tokenizer and table."""
    rows = encode_all(model, corpus)
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
) -> list[Measured]:
    """What the answers are worth: against the truth where there is one, else against the model's
    own clean answers."""
    if classes == 1 and corpus.truth is not None:
        return [_ranked(answers[:, 0], corpus.truth)]
    if classes > 1 and corpus.truth is not None:
        found = answers.argmax(1).tolist()
        draws = torch.Generator().manual_seed(0)
        value = bootstrap(mcc, found, corpus.truth, generator=draws, resamples=300)
        hits = [a == b for a, b in zip(found, corpus.truth, strict=True)]
        return [share_of("accuracy", hits), Measured(metric="mcc", value=value, n=len(found))]
    if not classes and corpus.pairs is not None and corpus.truth is not None:
        return [_ranked(pair_cosines(answers, corpus.pairs), corpus.truth)]
    if own is None:
        return []
    if classes == 1:
        return [share_of(AGREEMENT, ((answers - own)[:, 0].abs() < 0.1).tolist())]
    if classes:
        return [share_of(AGREEMENT, (answers.argmax(1) == own.argmax(1)).tolist())]
    near = torch.nn.functional.cosine_similarity(answers, own, dim=1)
    return [Measured(metric="cosine", value=_mean(near), n=len(near))]


def _ranked(values: Tensor, truth: Sequence[float]) -> Measured:
    return Measured(metric="spearman", value=spearman(values, truth), n=len(values))


def drop(corpus: Corpus, clean: Tensor, made: Tensor, *, classes: int) -> Interval:
    """What a main score that is no share loses, clean minus released, with a paired bootstrap
    interval."""
    lost = partial(bootstrap, generator=torch.Generator().manual_seed(0), resamples=300)
    if classes == 1 and corpus.truth is not None:
        return lost(_loss, clean[:, 0], made[:, 0], corpus.truth)
    if corpus.pairs is not None and corpus.truth is not None:
        before, after = (pair_cosines(a, corpus.pairs) for a in (clean, made))
        return lost(_loss, before, after, corpus.truth)
    return lost(np.mean, 1.0 - torch.nn.functional.cosine_similarity(clean, made, dim=1))


def pair_cosines(answers: Float[Tensor, "document answer"], pairs: Int[Tensor, "pair 2"]) -> Tensor:
    """The cosine of the two documents of each pair."""
    return torch.nn.functional.cosine_similarity(answers[pairs[:, 0]], answers[pairs[:, 1]], dim=1)


def read_back(
    model: TextModel, encoded: Sequence[Encoded], embeds: Rows, *, most: int = 400
) -> Measured:
    """Share of words that the nearest row of the model's public table gives back, of at most `most`
    documents, special tokens left out."""
    places = spread(range(len(embeds)), most)
    rows = torch.cat([embeds[i] for i in places])
    words = torch.tensor([word for i in places for word in encoded[i].ids])
    mask: Bool[Tensor, " token"] = torch.tensor([w not in model.special for w in words.tolist()])
    table = model.table.detach().float().cpu()
    share = recovery(rows[None], table, words[None], mask[None])
    return Measured(metric="token recovery", value=share, n=int(mask.sum()))


def similarities(corpus: Corpus, rows: Rows) -> dict[str, Measured]:
    """By reading, how the pairs are ranked by what can be read off the released rows without any
    model; nothing where the corpus has no pairs, or no score of them."""
    if corpus.pairs is None or corpus.truth is None:
        return {}
    return {
        name: Measured(metric="spearman", value=spearman(near, corpus.truth), n=len(near))
        for name, near in read_similarity(rows, corpus.pairs).items()
    }


def _takes_types(model: TextModel) -> bool:
    return int(getattr(model.module.config, "type_vocab_size", 0) or 0) > 1


def _loss(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> float:
    return spearman(before, truth).estimate - spearman(after, truth).estimate


def _mean(values: Tensor) -> Interval:
    middle = float(values.mean())
    half = 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else 1.0
    return Interval(low=middle - half, estimate=middle, high=middle + half)
