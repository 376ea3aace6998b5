"""Reading text back by training: an inverter learns words from released documents whose text is known.

Two attackers: one has the released embeddings alone; one runs the authorized model on them and learns
from its states. Beside them the floor: words from the clean sentence embedding, which whoever holds
the authorized model gets from any release that serves it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import bootstrap
from catch11.modalities.text.recoder import pad

Rows = Sequence[Float[Tensor, "_ feature"]]
Words = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How an inverter is trained. width, layers: of its transformer. rate: of Adam."""

    epochs: int = 20
    batch: int = 32
    rate: float = 1e-3
    width: int = 128
    layers: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What was read back. token: F1 of the words with their counts; bag: of the set of words; both
    the mean over documents with a bootstrap interval. place: share of tokens right at their place,
    None where the attacker sees no places."""

    token: Interval
    bag: Interval
    place: float | None
    documents: int


class Inverter(nn.Module):
    """Rows to words: a projection, a small transformer, and scores over the words it was taught."""

    def __init__(self, features: int, words: int, learning: Learning) -> None:
        super().__init__()
        self.into = nn.Linear(features, learning.width)
        layer = nn.TransformerEncoderLayer(
            learning.width, 4, 2 * learning.width, dropout=0.1, batch_first=True
        )
        self.mix = nn.TransformerEncoder(layer, learning.layers, enable_nested_tensor=False)
        self.out = nn.Linear(learning.width, words)

    def forward(
        self, rows: Float[Tensor, "batch token feature"], mask: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token word"]:
        """Scores of every word at every place."""
        return self.out(self.mix(self.into(rows), src_key_padding_mask=~mask))


def read_places(
    known: Rows, known_words: Words, target: Rows, *, learning: Learning
) -> list[list[int]]:
    """Train on rows whose word at each place is known, and read the target's, place by place.

    Rows are standardised by the known ones. Words that were never seen cannot be read.
    """
    taught, index = _taught(known_words)
    mean, size = _standard(known)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learning.seed)  # layers draw their first weights and dropout from it
        net = Inverter(known[0].shape[1], len(taught), learning)
        optimiser = torch.optim.Adam(net.parameters(), learning.rate)
        order = sorted(range(len(known)), key=lambda i: len(known[i]))
        chunks = [order[i : i + learning.batch] for i in range(0, len(order), learning.batch)]
        net.train()
        for _ in range(learning.epochs):
            for place in torch.randperm(len(chunks)).tolist():
                some = chunks[place]
                rows, mask, _ = pad([(known[i] - mean) / size for i in some])
                wanted = torch.full(mask.shape, -100)
                for row, i in enumerate(some):
                    wanted[row, : len(known_words[i])] = torch.tensor(
                        [index[w] for w in known_words[i]]
                    )
                loss = F.cross_entropy(net(rows, mask).flatten(0, 1), wanted.flatten())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    net.eval()
    read: list[list[int]] = []
    with torch.no_grad():
        for one in target:
            rows, mask, _ = pad([(one - mean) / size])
            read.append([taught[i] for i in net(rows, mask)[0].argmax(1).tolist()])
    return read


def read_bag(
    known: Float[Tensor, "known feature"], known_words: Words,
    target: Float[Tensor, "target feature"], *, learning: Learning,
) -> list[list[int]]:  # fmt: skip
    """Train on one vector a document, and read the set of words of the target's vectors.

    The threshold is the one best on a tenth of the known documents, which are not trained on.
    """
    if len(known) < 20:
        raise InvalidArgument("known", expected="20 documents or more", found=len(known))
    taught, index = _taught(known_words)
    labels = torch.zeros(len(known), len(taught))
    for row, words in enumerate(known_words):
        labels[row, [index[w] for w in words]] = 1.0
    mean, size = known.mean(0), known.std(0).clamp_min(1e-6)
    held = torch.arange(len(known)) % 10 == 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learning.seed)
        net = nn.Sequential(
            nn.Linear(known.shape[1], 2 * learning.width), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(2 * learning.width, len(taught)),
        )  # fmt: skip
        optimiser = torch.optim.Adam(net.parameters(), learning.rate, weight_decay=1e-5)
        rows, wanted = ((known - mean) / size)[~held], labels[~held]
        for _ in range(learning.epochs):
            for some in torch.randperm(len(rows)).split(learning.batch):
                loss = F.binary_cross_entropy_with_logits(
                    net(rows[some]), wanted[some], reduction="sum"
                )
                optimiser.zero_grad()
                (loss / len(some)).backward()
                optimiser.step()
    net.eval()
    with torch.no_grad():
        tried = net(((known - mean) / size)[held]).sigmoid()
        levels = [0.05 * step for step in range(1, 15)]
        best = max(levels, key=lambda level: _bag_f1(tried > level, labels[held] > 0))
        found = net((target - mean) / size).sigmoid() > best
    return [[taught[i] for i in row.nonzero()[:, 0].tolist()] for row in found]


def leak(read: Words, true: Words, *, seed: int = 0) -> Leak:
    """What was read of documents whose words are known. seed: of the bootstrap."""
    token = [_f1(Counter(a), Counter(b)) for a, b in zip(read, true, strict=True)]
    bag = [_f1(Counter(set(a)), Counter(set(b))) for a, b in zip(read, true, strict=True)]
    pairs = [p for a, b in zip(read, true, strict=True) for p in zip(a, b, strict=False)]
    placed = all(len(a) == len(b) for a, b in zip(read, true, strict=True))
    right = sum(a == b for a, b in pairs) / max(1, len(pairs))
    tokens, bags = (
        bootstrap(np.mean, values, generator=torch.Generator().manual_seed(seed))
        for values in (token, bag)
    )
    return Leak(token=tokens, bag=bags, place=right if placed else None, documents=len(token))


def _bag_f1(found: Bool[Tensor, "text word"], true: Bool[Tensor, "text word"]) -> float:
    hits = (found & true).sum(1).double()
    return float((2 * hits / (found.sum(1) + true.sum(1)).clamp_min(1)).mean())


def _taught(words: Words) -> tuple[list[int], dict[int, int]]:
    taught = sorted({word for row in words for word in row})
    return taught, {word: place for place, word in enumerate(taught)}


def _standard(rows: Rows) -> tuple[Tensor, Tensor]:
    every = torch.cat(list(rows))
    return every.mean(0), every.std(0).clamp_min(1e-6)


def _f1(read: Counter[int], true: Counter[int]) -> float:
    hits = sum((read & true).values())
    return 2 * hits / max(1, sum(read.values()) + sum(true.values()))
