"""What a release of texts keeps and gives away: scores, recall, rivals, words read back, and the curve
of the paper's recoder beside it.

    catch11 key MODEL -o text.key
    catch11 recode pairs.csv released --key text.key --model MODEL --column first --column second --check
    python benchmarks/text.py released pairs.csv --assets assets --out text.jsonl

MODEL is all-MiniLM-L6-v2; pairs.csv has the columns first, second, score. A second run takes up what
text.jsonl holds. Each line printed names what was measured, its value, 95 % interval and n.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.data.texts import read_documents
from catch11.evaluation.cells import Cell, run_cells
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, spearman
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.score import Measured, Run, to_record
from catch11.keys.key import Key, build_key
from catch11.modalities.text.corpus import Corpus, encode_all
from catch11.modalities.text.inverter import Leak, Learning, leak, read_bag, read_places
from catch11.modalities.text.model import NORMALISED, Encoded, TextModel
from catch11.modalities.text.recoder import (
    DocumentDomain,
    NoiseTokens,
    Passages,
    SpectralTokens,
    pad,
    passages,
)
from catch11.modalities.text.release import columns_of
from catch11.modalities.text.scores import drop, pair_cosines, read_back
from catch11.modalities.text.similarity import read_similarity
from catch11.recoding.frame import Recoder
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release
from catch11.studies.nets.encoders import known_encoder, sibling_encoder, small_encoder
from catch11.studies.tasks.glue import load_glue

SECRET = bytes(range(32))
STRENGTHS = (0.3, 1.0, 3.0, 10.0)
Rows = list[Tensor]


@dataclass
class Desk:
    """Releases beside their sources: whole pairs, in the sources' order."""

    places: Sequence[tuple[Path, Path]]
    assets: Path
    known: "Desk | None" = None

    @cached_property
    def model(self) -> TextModel:
        return known_encoder()

    @cached_property
    def key(self) -> Key:
        return build_key(self.model, secret=SECRET)

    @cached_property
    def found(self) -> tuple[Corpus, Rows]:
        texts: list[tuple[str, None]] = []
        truth: list[float] = []
        rows: Rows = []
        for released, source in self.places:
            corpus, part = _pairs(released, source)
            texts, truth, rows = [*texts, *corpus[0]], [*truth, *corpus[1]], [*rows, *part]
        pairs = torch.arange(len(texts)).reshape(-1, 2)
        return Corpus(texts=texts, pairs=pairs, truth=truth), rows

    @property
    def corpus(self) -> Corpus:
        return self.found[0]

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
        return {"clean": self.clean, "nte": self.found[1], "gaussian": self.noise}[name]

    def some(self, count: int) -> "Desk":
        """The first pairs only."""
        part = Desk(self.places, self.assets)
        pairs = min(count, len(self.found[1]) // 2)
        corpus = Corpus(
            texts=self.corpus.texts[: 2 * pairs], pairs=torch.arange(2 * pairs).reshape(-1, 2),
            truth=list(self.corpus.truth or ())[:pairs],
        )  # fmt: skip
        part.found = (corpus, self.found[1][: 2 * pairs])  # type: ignore[misc]
        return part


def _pairs(released: Path, source: Path) -> tuple[tuple[list[tuple[str, None]], list[float]], Rows]:
    """Texts and scores of the pairs of which both were released, and their rows."""
    release = read_release(released)
    columns, _ = columns_of(release)
    held = read_documents(source, columns=columns, target="score")
    texts = {item.name: item.text for item in held.items}
    entries = {entry.file: entry for entry in release.entries}
    made = {
        row.source: release.item(entries[row.file]).embeds
        for row in read_ledger(Path(f"{released}.ledger.jsonl"))
        if row.outcome == "released" and row.file in entries
    }
    names = [[f"{row}/{column}" for column in columns] for row in sorted(held.targets)]
    whole = [pair for pair in names if all(name in made for name in pair)]
    flat = [name for pair in whole for name in pair]
    truth = [float(held.targets[pair[0].split("/")[0]]) for pair in whole]
    return ([(texts[name], None) for name in flat], truth), [made[name] for name in flat]


def spearman_of(desk: Desk, model: TextModel, rows: Rows) -> tuple[Interval, int]:
    near = pair_cosines(model.answers(rows), desk.corpus.pairs)
    return spearman(near, desk.corpus.truth), len(near)


def scores(desk: Desk) -> list[Record]:
    """Spearman, its drop, recall@10 and words read back, authorized model."""
    found = []
    answers = {name: desk.model.answers(desk.rows(name)) for name in ("clean", "nte", "gaussian")}
    for name, made in answers.items():
        near = pair_cosines(made, desk.corpus.pairs)
        value = spearman(near, desk.corpus.truth)
        found.append(_record(desk, value, "spearman", name, len(near)))
        first, second = made[::2], made[1::2]
        wanted = torch.tensor([i for i, s in enumerate(desk.corpus.truth) if s >= 4.0])
        hits = recall_at(first[wanted], second, wanted)
        found.append(_record(desk, accuracy(hits), "recall@10", name, len(hits)))
        back = read_back(desk.model, desk.encoded, desk.rows(name), most=300)
        found.append(_record(desk, back.value, "token recovery", name, back.n))
        for reading, near in read_similarity(desk.rows(name), desk.corpus.pairs).items():
            value = spearman(near, desk.corpus.truth)
            found.append(_record(desk, value, f"spearman, {reading}", name, len(near)))
    lost = drop(desk.corpus, answers["clean"], answers["nte"], classes=0)
    found.append(_record(desk, lost, "spearman drop", "nte", len(near)))
    cosine = torch.nn.functional.cosine_similarity(answers["clean"], answers["nte"])
    print(f"cosine to the clean embedding: least {cosine.min():.4f}, mean {cosine.mean():.4f}")
    return found


def rivals(desk: Desk) -> list[Record]:
    """Rivals on their own clean text, the authorized clean embeddings, the release and noise."""
    found = []
    folder = str(desk.assets / "text")
    family = [
        ("one layer", small_encoder(folder, pairs=1200, epochs=2), "ga"),
        ("one layer, trained on", small_encoder(folder, pairs=1200, epochs=3), "ga"),
        ("two layers", small_encoder(folder, layers=2, pairs=1200, epochs=2, seed=8), "ga"),
        ("tuned", sibling_encoder(folder, steps=10), "sibling"),
    ]
    for kind, model, role in family:
        own = [model.embed(row) for row in encode_all(model, desk.corpus)]
        fed = {"clean": own, "control": desk.clean, "nte": desk.rows("nte"), "gaussian": desk.noise}
        for name, rows in fed.items():
            value, n = spearman_of(desk, model, rows)
            found.append(
                record(
                    value, model=model, role=role, condition=name, metric="spearman", n=n, of=kind
                )
            )
    return found


def inverter(desk: Desk) -> list[Record]:
    """Four fifths of the documents are known to the attacker, and all of --known that are not among
    the fifth that is read."""
    count = len(desk.clean)
    test = [i for i in range(count) if i // 2 % 5 == 0]
    read = {desk.corpus.texts[i] for i in test}
    more = desk.known
    texts = [*desk.corpus.texts, *(more.corpus.texts if more else ())]
    known = [i for i in range(len(texts)) if (i >= count or i // 2 % 5) and texts[i] not in read]
    encoded = [*desk.encoded, *(more.encoded if more else ())]
    words = [[w for w in row.ids if w not in desk.model.special] for row in encoded]
    held = {
        name: [*desk.rows(name), *(more.rows(name) if more else ())]
        for name in ("clean", "nte", "gaussian")
    }
    inner = {name: [r[1:-1] for r in held[name]] for name in held}  # [CLS], [SEP] are no words
    found = []
    tokens = sum(len(words[i]) for i in known)
    print(f"inverter: {len(known)} documents with {tokens} words known, {len(test)} read")
    learning = Learning(epochs=15)

    def places(name: str, rows: Sequence[Tensor], what: str) -> None:
        read = read_places(
            [rows[i] for i in known], [words[i] for i in known], [rows[i] for i in test],
            learning=learning,
        )  # fmt: skip
        found.extend(_leak(desk, leak(read, [words[i] for i in test]), name, what, tokens))

    for name in ("clean", "nte", "gaussian"):
        places(name, inner[name], "embeddings")
    for name in ("clean", "nte"):
        states = []
        for row in held[name]:
            with torch.no_grad():
                states.append(desk.model.states(*pad([row])[:2])[0, 1:-1])
        places(name, states, "embeddings and weights")
    for name in ("clean", "nte"):
        answers = desk.model.answers(held[name])
        read = read_bag(
            answers[known], [words[i] for i in known], answers[test], learning=Learning(epochs=30)
        )
        made = leak(read, [words[i] for i in test])
        found.extend(_leak(desk, made, name, "sentence embedding", tokens))
    taught = load_glue("stsb", "train", folder=desk.assets / "text")
    assert taught.second is not None
    public = list(dict.fromkeys((*taught.first, *taught.second)))[:1500]
    coded = [desk.model.encode(text) for text in public]
    wide = desk.model.answers([desk.model.embed(row) for row in coded])
    bags = [[w for w in row.ids if w not in desk.model.special] for row in coded]
    for name in ("clean", "nte"):
        answers = desk.model.answers(desk.rows(name))
        made = leak(
            read_bag(wide, bags, answers[test], learning=Learning(epochs=30)),
            [words[i] for i in test],
        )
        what = f"sentence embedding, {len(public)} public texts"
        found.extend(_leak(desk, made, name, what, sum(map(len, bags))))
    return found


def _leak(desk: Desk, found: Leak, name: str, what: str, tokens: int) -> list[Record]:
    rows = [("token F1", found.token), ("bag-of-words F1", found.bag)]
    return [
        record(
            value, model=desk.model, role="authorized", condition="attack", metric=metric,
            n=found.documents, attack="inverter", knowledge=(what,), of=name, taught=tokens,
            place=-1.0 if found.place is None else round(found.place, 4),
        )
        for metric, value in rows
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class NormTokens(Recoder[Passages]):
    """What an embedding LayerNorm removes, used as hiding place: a keyed shift and scale of every
    token's sum of word, position and type. Exact: no answer changes; but two numbers a token, which
    centring and normalising take off again.

    shift: its standard deviation in units of the sum's; scale: of the logarithm.
    """

    method: ClassVar[str] = "norm"

    model: TextModel
    key: Key
    _: KW_ONLY
    shift: float = 3.0
    scale: float = 0.5
    precise: Literal["float32", "float16"] = "float32"

    @cached_property
    def domain(self) -> DocumentDomain:
        return DocumentDomain(self.key, self.precise)

    def run(
        self, items: Passages, streams: Sequence[KeyedStream]
    ) -> tuple[Passages, Sequence[str | None]]:
        rows = [self._one(item.embeds, stream) for item, stream in zip(items, streams, strict=True)]
        return passages(rows), [None] * len(rows)

    def _one(self, passage: Tensor, stream: KeyedStream) -> Tensor:
        total = self.model.before_norm(passage[None])[0].cpu()
        draws = stream.normal((2, len(passage), 1))
        centre = total.mean(1, keepdim=True)
        size = (total - centre).square().mean(1, keepdim=True).sqrt()
        # A scale below 1 would let the norm's epsilon show.
        scale = (self.scale * draws[1].abs()).exp()
        wanted = (total - centre) * scale + centre + self.shift * size * draws[0]
        return passage + (wanted - total)


def centred(rows: Tensor) -> Tensor:
    """Tokens without the shift and the scale: what an attacker makes of them."""
    return torch.nn.functional.normalize(rows - rows.mean(-1, keepdim=True), dim=-1)


def curve(desk: Desk) -> list[Record]:
    """The paper's recoder and the LayerNorm's own freedom, on the first 60 pairs."""
    part = desk.some(60)
    found = []
    recoders: list[tuple[str, float, Recoder[Passages]]] = [
        ("spectral 64", s, SpectralTokens(desk.key, psnr=-20.0 * math.log10(s))) for s in STRENGTHS
    ]
    one = build_key(desk.model, layer=NORMALISED, rank=1, secret=SECRET)
    recoders += [("shift", 3.0, SpectralTokens(one, psnr=-20.0 * math.log10(3.0)))]
    recoders += [("norm", 3.0, NormTokens(desk.model, desk.key, shift=3.0))]
    for name, strength, recoder in recoders:
        made = recoder(passages(part.clean))
        rows = [one.embeds for one in made.items]
        value, n = spearman_of(part, desk.model, rows)
        read = read_back(desk.model, part.encoded, rows, most=300)
        shift = sum(made.front_shift) / n / 2
        settings = {"recoder": name, "strength": strength, "front_shift": round(shift, 4)}
        found.append(_record(desk, value, "spearman", "nte", n, **settings))
        found.append(_record(desk, read.value, "token recovery", "nte", read.n, **settings))
        if name in ("shift", "norm"):
            back = _centred_recovery(part, rows)
            found.append(_record(desk, back, "token recovery, centred", "nte", read.n, **settings))
    return found


def _centred_recovery(desk: Desk, rows: Rows) -> Interval:
    """Words read back after the shift and the scale are taken off, place by place."""
    table = desk.model.table.detach().float()
    longest = max(map(len, rows))
    offset = desk.model.before_norm(torch.zeros(1, longest, desk.model.width))[0]
    hits: list[bool] = []
    by_place: dict[int, list[tuple[Tensor, int]]] = {}
    for row, one in zip(rows, desk.encoded, strict=True):
        for place, word in enumerate(one.ids):
            if word not in desk.model.special:
                by_place.setdefault(place, []).append((row[place], word))
    for place, pairs in by_place.items():
        seen = centred(torch.stack([p[0] for p in pairs]) + offset[place])
        near = (seen @ centred(table + offset[place]).T).argmax(1).tolist()
        hits += [a == b[1] for a, b in zip(near, pairs, strict=True)]
    return accuracy(hits)


def record(
    value: Interval, *, model: TextModel, role: Role, condition: Condition, metric: str, n: int,
    attack: str | None = None, knowledge: tuple[str, ...] = (), **settings: object,
) -> Record:  # fmt: skip
    """A number as a record."""
    return to_record(
        Measured(metric=metric, value=value, n=n), Run(), model=model.name, role=role,
        condition=condition, fingerprint=model.fingerprint, attack=attack, knowledge=knowledge,
        settings=settings,
    )  # fmt: skip


def recall_at(queries: Tensor, library: Tensor, wanted: Tensor, *, first: int = 10) -> list[bool]:
    """Whether each query's own document is among its `first` nearest by cosine."""
    unit = torch.nn.functional.normalize
    best = (unit(queries, dim=1) @ unit(library, dim=1).T).topk(min(first, len(library)), dim=1)
    return [bool(hit) for hit in (best.indices == wanted[:, None]).any(1).tolist()]


def _record(
    desk: Desk, value: Interval, metric: str, name: str, n: int, **settings: str | float
) -> Record:
    return record(
        value, model=desk.model, role="authorized", condition=name, metric=metric, n=n, **settings
    )


PARTS: dict[str, Callable[[Desk], list[Record]]] = {
    "scores": scores, "curve": curve, "rivals": rivals, "inverter": inverter,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("released", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument(
        "--known", nargs=2, type=Path, metavar=("DST", "CSV"),
        help="a further release and its source, which inverters learn from too",
    )  # fmt: skip
    parser.add_argument(
        "--more", nargs=2, type=Path, action="append", default=[], metavar=("DST", "CSV"),
        help="a further release and its source, judged together with the first; repeatable",
    )  # fmt: skip
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("text.jsonl"))
    parser.add_argument("--part", choices=PARTS, action="append")
    given = parser.parse_args()
    torch.set_num_threads(1)
    known = None if given.known is None else Desk([given.known], given.assets)
    places = [(given.released, given.source), *map(tuple, given.more)]
    desk = Desk(places, given.assets, known)
    files = sum(len(read_release(released)) for released, _ in places)
    cells = [
        Cell(name=name, settings={"part": name, "files": files, "known": str(given.known or "")})
        for name in given.part or PARTS
    ]
    found = run_cells(cells, given.out, lambda cell: PARTS[cell.name](desk))
    for one in found:
        extra = {
            k: v
            for k, v in one.settings.items()
            if k in ("recoder", "strength", "of", "taught", "place")
        }
        told = " ".join([*one.knowledge, *(f"{k} {v}" for k, v in extra.items())])
        print(
            f"{one.model:<16} {one.role:<10} {one.condition:<8} {one.metric:<24} {one.value:.4f} "
            f"[{one.low:.4f}, {one.high:.4f}] n {one.n} {told}"
        )


if __name__ == "__main__":
    main()
