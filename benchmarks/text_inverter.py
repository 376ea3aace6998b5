"""Inverters that learn which word a row of a release stands for."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.desk import CONDITIONS, Desk, Line, Rows, line
from catch11.modalities.text.inverter import Leak, Learning, leak, read_bag, read_places
from catch11.modalities.text.recoder import pad
from catch11.studies.tasks.glue import load_glue

PLACES, BAGS = Learning(epochs=15), Learning(epochs=30)


def inverter(desk: Desk, folder: Path) -> Iterator[Line]:
    """Four fifths of the documents are known to the attacker, but those of the same text as one that is read."""
    model, words = desk.model, desk.words()
    test = [i for i in range(len(words)) if i // 2 % 5 == 0]
    texts = [text for text, _ in desk.corpus.texts]
    read = {texts[i] for i in test}
    known = [i for i in range(len(words)) if i // 2 % 5 and texts[i] not in read]
    tokens = sum(len(words[i]) for i in known)

    def some(rows: Rows, which: Sequence[int]) -> list[Tensor]:
        return [rows[i] for i in which]

    def told(found: Leak, name: str, what: str, taught: int = tokens) -> Iterator[Line]:
        facts = {"condition": name, "from": what, "words taught": taught, "place": found.place}
        yield line("token F1", found.token, found.documents, **facts)
        yield line("bag-of-words F1", found.bag, found.documents, **facts)

    def by_place(rows: Rows, name: str, what: str) -> Iterator[Line]:
        made = read_places(
            some(rows, known), [words[i] for i in known], some(rows, test), learning=PLACES
        )
        yield from told(leak(made, [words[i] for i in test]), name, what)

    yield {"metric": "documents", "known": len(known), "words": tokens, "read": len(test)}
    for name in CONDITIONS:  # [CLS], [SEP] are no words
        yield from by_place([row[1:-1] for row in desk.rows(name)], name, "embeddings")
    for name in CONDITIONS[:2]:
        with torch.no_grad():
            states = [model.states(*pad([row])[:2])[0, 1:-1] for row in desk.rows(name)]
        yield from by_place(states, name, "embeddings and weights")
    taught = load_glue("stsb", "train", folder=folder)
    assert taught.second is not None
    public = list(dict.fromkeys((*taught.first, *taught.second)))[:1500]
    coded = [model.encode(text) for text in public]
    wide = model.answers([model.embed(row) for row in coded])
    bags = [[w for w in row.ids if w not in model.special] for row in coded]
    for name in CONDITIONS[:2]:
        answers = model.answers(desk.rows(name))
        for what, rows, theirs in (
            ("sentence embedding", answers[known], [words[i] for i in known]),
            (f"sentence embedding, {len(public)} public texts", wide, bags),
        ):
            made = read_bag(rows, theirs, answers[test], learning=BAGS)
            yield from told(leak(made, [words[i] for i in test]), name, what, sum(map(len, theirs)))
