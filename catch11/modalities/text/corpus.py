"""The documents of a released text corpus, as they were and in the order they are judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from catch11.data.labels import Classes
from catch11.data.selection import spread
from catch11.data.texts import Document, read_documents, row_name
from catch11.errors import InvalidArgument, ReleaseError
from catch11.modalities.text.model import Encoded, TextModel
from catch11.modalities.text.release import columns_of
from catch11.releases.ledger import read_ledger
from catch11.releases.manifest import Entry
from catch11.releases.read import Release

Rows = Sequence[Float[Tensor, "_ feature"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Documents to be judged. pairs: indices of the two documents of a row, for embedding models.
    truth: a score a pair, or a class a document; None where there is none."""

    texts: Sequence[tuple[str, str | None]]
    pairs: Int[Tensor, "pair 2"] | None = None
    truth: Sequence[float] | None = None


def originals(
    release: Release, dst: Path, source: Path, target: str | None, ledger: Path | None,
    limit: int | None, model: TextModel,
) -> tuple[Corpus, list[Entry], list[tuple[str, str]]]:  # fmt: skip
    """The originals of the released files, by the ledger, and the files in the same order."""
    columns, joined = columns_of(release)
    documents = read_documents(source, columns=columns, target=target, joined=joined)
    texts: dict[str, Document] = {item.name: item for item in documents.items}
    rows = read_ledger(Path(ledger or f"{dst}.ledger.jsonl"))
    origin = {row.file: row.source for row in rows if row.outcome == "released"}
    entries: list[tuple[str, Entry]] = []
    problems: list[tuple[str, str]] = []
    for entry in release.entries:
        name = origin.get(entry.file)
        if name is None or name not in texts:
            problems.append((entry.file, "the ledger or the source has no document for it"))
        else:
            entries.append((name, entry))
    entries.sort(key=lambda row: row[0])
    if not model.labels and len(columns) == 2:
        whole = spread(_whole_pairs(entries), None if limit is None else max(1, limit // 2))
        entries = [entry for row in whole for entry in row]
    else:
        entries = list(spread(entries, limit))
    if not entries:
        raise ReleaseError(dst, "no released document is in this source", "give its source")
    items = [texts[name] for name, _ in entries]
    pairs = None
    if not model.labels and len(columns) == 2:
        pairs = torch.arange(len(items)).reshape(-1, 2)
    truth = None
    if target is not None:
        names = [item.name for item in (items[::2] if pairs is not None else items)]
        truth = [_truth(documents.targets[row_name(name)], model, target) for name in names]
    corpus = Corpus(texts=[(i.text, i.pair) for i in items], pairs=pairs, truth=truth)
    return corpus, [entry for _, entry in entries], problems


def _whole_pairs(entries: list[tuple[str, Entry]]) -> list[list[tuple[str, Entry]]]:
    """Rows of which both documents were released, one behind the other."""
    rows: dict[str, list[tuple[str, Entry]]] = {}
    for name, entry in entries:
        rows.setdefault(row_name(name), []).append((name, entry))
    return [row for row in rows.values() if len(row) == 2]


def _truth(text: str, model: TextModel, target: str) -> float:
    place = Classes(model.labels).index(text)
    if place is not None:
        return float(place)
    try:
        return float(text)
    except ValueError:
        raise InvalidArgument(
            "--target", expected=f"numbers or the model's classes in {target}", found=text
        ) from None


def encode_all(model: TextModel, corpus: Corpus) -> list[Encoded]:
    """The corpus as a model's own tokenizer gives it."""
    return [model.encode(text, pair) for text, pair in corpus.texts]
