"""What a release of texts keeps and gives away: scores, recall, rivals, words read back, and the paper's recoder beside it.

The release is made by `catch11 recode pairs.csv released --column first --column second --check` for
all-MiniLM-L6-v2; pairs.csv has the columns first, second, score. For `--only head`, a classification head trained on
clean sentence embeddings of SST-2 and asked on released ones, sentences.csv has sentence, label (0 or 1).
Prints a line a number, with its 95 % interval and n; a second run takes up what --out holds.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from benchmarks.desk import CONDITIONS, Desk, Line, Rows, line
from benchmarks.frame import ASSETS, Assets, among
from benchmarks.lines import Lines
from benchmarks.text_curve import curve
from catch11.evaluation.interval import paired_difference
from catch11.evaluation.metrics import accuracy
from catch11.lab import needed
from catch11.modalities.text.corpus import encode_all
from catch11.modalities.text.inverter import Leak, Learning, leak, read_bag, read_places
from catch11.modalities.text.recoder import pad
from catch11.modalities.text.scores import drop, read_back, similarities
from catch11.releases.read import read_release
from catch11.studies.nets.encoders import sibling_encoder, small_encoder
from catch11.studies.tasks.glue import load_glue

TAUGHT = 1500  # sentences that the head learns from
PLACES, BAGS = Learning(epochs=15), Learning(epochs=30)


def scores(desk: Desk, folder: Path) -> Iterator[Line]:
    """Spearman, its drop, recall@10 and words read back, authorized model."""
    answers = {name: desk.model.answers(desk.rows(name)) for name in CONDITIONS}
    for name, made in answers.items():
        yield {**desk.ranked(desk.model, desk.rows(name)), "condition": name}
        wanted = torch.tensor([i for i, score in enumerate(desk.truth) if score >= 4.0])
        hits = recall_at(made[::2][wanted], made[1::2], wanted)
        yield line("recall@10", accuracy(hits), len(hits), condition=name)
        back = read_back(desk.model, desk.encoded, desk.rows(name), most=300)
        yield line("token recovery", back.value, back.n, condition=name)
        for reading, near in similarities(desk.corpus, desk.rows(name)).items():
            yield line(f"spearman, {reading}", near.value, near.n, condition=name)
    lost = drop(desk.corpus, answers["clean"], answers["released"], classes=0)
    yield line("spearman drop", lost, len(desk.truth))
    cosine = F.cosine_similarity(answers["clean"], answers["released"])
    yield {"metric": "cosine to the clean embedding", "least": float(cosine.min()), "mean": float(cosine.mean())}  # fmt: skip


def recall_at(queries: Tensor, library: Tensor, wanted: Tensor, *, first: int = 10) -> list[bool]:
    """Whether each query's own document is among its `first` nearest by cosine."""
    near = F.normalize(queries, dim=1) @ F.normalize(library, dim=1).T
    best = near.topk(min(first, len(library)), dim=1)
    return [bool(hit) for hit in (best.indices == wanted[:, None]).any(1).tolist()]


def rivals(desk: Desk, folder: Path) -> Iterator[Line]:
    """Rivals on their own clean text, the authorized clean embeddings, the release and noise."""
    where = str(folder)
    for kind, model in (
        ("one layer", small_encoder(where, pairs=1200, epochs=2)),
        ("one layer, trained on", small_encoder(where, pairs=1200, epochs=3)),
        ("two layers", small_encoder(where, layers=2, pairs=1200, epochs=2, seed=8)),
        ("tuned", sibling_encoder(where, steps=10)),
    ):
        own = [model.embed(row) for row in encode_all(model, desk.corpus)]
        fed = {"its own, clean": own, **{name: desk.rows(name) for name in CONDITIONS}}
        for name, rows in fed.items():
            yield {**desk.ranked(model, rows), "rival": kind, "condition": name}


def head(desk: Desk, folder: Path) -> Iterator[Line]:
    """A logistic head on clean training embeddings, asked of each condition."""
    LogisticRegression = needed("sklearn.linear_model").LogisticRegression
    taught = load_glue("sst2", "train", folder=folder).some(TAUGHT)
    features = desk.model.answers([desk.model.embed(desk.model.encode(t)) for t in taught.first])
    learned = LogisticRegression(max_iter=500).fit(features.numpy(), taught.labels)
    hits = {}
    for name in CONDITIONS:
        said = learned.predict(desk.model.answers(desk.rows(name)).numpy())
        hits[name] = [int(a) == b for a, b in zip(said.tolist(), desk.truth, strict=True)]
        yield line("accuracy", accuracy(hits[name]), len(hits[name]), condition=name)
    lost = paired_difference(hits["clean"], hits["released"])
    yield line("accuracy drop", lost, len(hits["clean"]))


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


WORKS: dict[str, Callable[[Desk, Path], Iterator[Line]]] = {
    "scores": scores, "curve": curve, "rivals": rivals, "inverter": inverter, "head": head,
}  # fmt: skip


def text(
    released: Annotated[Path, typer.Argument(help="The release.")],
    source: Annotated[Path, typer.Argument(help="What it was made of.")],
    only: Annotated[list[str], typer.Option(callback=among(WORKS), help="scores, curve, rivals, inverter, head; repeatable; all but head without.")] = [],
    out: Annotated[Path, typer.Option(help="The lines.")] = Path("text.jsonl"),
    assets: Assets = ASSETS,
) -> None:  # fmt: skip
    lines, files = Lines(out), len(read_release(released))
    desk = Desk(released, source, "label" if only == ["head"] else "score")
    for name in only or list(WORKS)[:-1]:
        cell = {"part": name, "files": files}
        if not lines.has(**cell):
            for found in list(WORKS[name](desk, assets / "text")):
                lines.add({**cell, **found})
