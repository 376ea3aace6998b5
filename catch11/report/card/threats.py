"""The threat-model card of a release: who knows what, the best they do with it, and what they get.

Drawn from Records alone, so a card says what was measured and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catch11.evaluation.doubts import doubts_of_records, judged
from catch11.evaluation.groups import clean_of, largest, preferred, release_of
from catch11.evaluation.record import Record

LICENSED = "weights"  # who holds all of the authorized model is its licensee
KNOWN = {
    "others": "further releases of the same pictures",
    "public": "public pictures",
    "labels": "labels of other released files",
    "pairs": "other originals beside their released files",
    "key-queries": "a recoder that answers",
    "front": "the authorized model's first layer",
    LICENSED: "all of the authorized model",
}
_RANK = {name: 2**place for place, name in enumerate(KNOWN)}
_CLEAN = "training-use"  # judged on clean pictures: another aim, so a row of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attacker's best. who, knows: in words. record: what was measured; clean: what the same
    model scores on the originals; tries: settings the best was chosen from, over all its attacks."""

    who: str
    knows: str
    record: Record
    clean: Record | None = None
    tries: int = 1

    @property
    def attack(self) -> str:
        """The attack's name, or that there was none."""
        return self.record.attack or "none, as it is"

    @property
    def recovered(self) -> float | None:
        """Share of the model's clean score that it gets; None where that is not known."""
        if self.clean is None or not self.clean.value > 0:
            return None
        return self.record.value / self.clean.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known of one release. psnr: mean dB as released. rows: the least knowing attacker
    first. keep, sealed: what its files keep, and whether they are sealed for one copy, where the
    records say. attacks: names of all that were tried; counts: files and the attacks that ran on them,
    the most files first. doubts: sentences."""

    release: str
    method: str
    psnr: float | None
    authorized: Row | None
    rows: tuple[Row, ...]
    attacks: tuple[str, ...]
    counts: tuple[tuple[int, tuple[str, ...]], ...]
    doubts: tuple[str, ...]
    commands: tuple[str, ...]
    keep: str = ""
    sealed: bool = False

    @property
    def lines(self) -> tuple[Row, ...]:
        """The licensee, then the attackers."""
        return (*([self.authorized] if self.authorized else []), *self.rows)

    @property
    def worst(self) -> Row | None:
        """The attacker who gets most of a model's clean score, or most where that is unknown: of third
        parties. The licensee stands in a row of its own, and whoever holds weights that descend from
        the authorized ones needs no attack and is none."""
        rows = [
            row for row in self.rows
            if row.record.metric != "auc" and row.record.role != "sibling"
            and not _licensed(row.record)
        ]  # fmt: skip
        known = all(row.recovered is not None for row in rows)
        return max(
            rows,
            key=lambda row: ((row.recovered or 0.0) if known else 0.0, row.record.value),
            default=None,
        )


def cards(records: Iterable[Record]) -> tuple[Card, ...]:
    """One card a release, in the order the records name them; those of the control are left out."""
    held: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if not record.settings.get("control"):
            held[release_of(record)].append(record)
    return tuple(card_of(rows) for rows in held.values() if any(map(judged, rows)))


def card_of(records: Sequence[Record]) -> Card:
    """The card of one release's records."""
    rows = largest(preferred(records))
    clean = [record for record in rows if record.condition == "clean"]
    released = [r for r in rows if r.condition == "nte" or r.attack == "none"]
    attacks = [r for r in rows if r.condition == "attack" and r.attack != "none"]
    authorized = [record for record in released if record.role == "authorized"]
    decibels = [record.psnr for record in released if record.psnr is not None]
    sealed = any(record.settings.get("sealed") for record in records)
    return Card(
        release=release_of(records[0]),
        method=str(records[0].settings.get("method", "")),
        psnr=decibels[0] if decibels else None,
        authorized=_row(
            "the licensee", "its sealed copy, which opens the files" if sealed else "the authorized model",
            authorized, clean,
        ),
        rows=tuple(_attackers(released, attacks, clean)),
        attacks=tuple(dict.fromkeys(str(record.attack) for record in attacks)),
        counts=_counts(attacks),
        doubts=doubts_of_records(records),
        commands=tuple(dict.fromkeys(record.command for record in records if record.command)),
        keep=next((str(r.settings["keep"]) for r in records if r.settings.get("keep")), ""),
        sealed=sealed,
    )  # fmt: skip


def _counts(attacks: Sequence[Record]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    held: dict[int, dict[str, None]] = defaultdict(dict)
    for record in attacks:
        held[record.n][str(record.attack)] = None
    return tuple((n, tuple(held[n])) for n in sorted(held, reverse=True))


def _attackers(
    released: Sequence[Record], attacks: Sequence[Record], clean: Sequence[Record]
) -> Iterable[Row]:
    rivals = [record for record in released if record.role in ("ta", "ga")]
    plain = _row("any other model", "nothing", rivals, clean)
    if plain is not None:
        yield plain
    held: dict[tuple[int, bool], list[Record]] = defaultdict(list)
    for record in attacks:
        if record.role in ("ta", "ga") or _own(record):
            rank = sum(_RANK.get(name, 0) for name in record.knowledge)
            held[rank, record.attack == _CLEAN].append(record)
    for (_, trains), group in sorted(held.items(), key=lambda item: item[0]):
        for metric in dict.fromkeys(record.metric == "auc" for record in group):
            part = [record for record in group if (record.metric == "auc") == metric]
            detects = metric and not part[0].settings.get("question")
            who = "a detector" if detects else "a trainer of models" if trains else "an attacker"
            who = "the licensee, beyond the licence" if _licensed(part[0]) else who
            row = _row(who, knows(part[0]), part, clean)
            if row is not None:
                yield row
    siblings = [r for r in (*released, *attacks) if r.role == "sibling" and r.attack != "none"]
    row = _row("a descendant", "weights that descend from the authorized ones", siblings, clean)
    if row is not None:
        yield row


def _licensed(record: Record) -> bool:
    return LICENSED in record.knowledge


def _own(record: Record) -> bool:
    """Whether it is the licensee's model that answers what nobody licensed. What that model makes of a
    picture which the licensee restored says nothing: it reads the file."""
    return _licensed(record) and bool(record.settings.get("question"))


def knows(record: Record) -> str:
    """What an attacker holds beside the released files, in words."""
    parts = [text for name, text in KNOWN.items() if name in record.knowledge]
    return ", ".join(parts) or "nothing"


def _row(who: str, known: str, records: Sequence[Record], clean: Sequence[Record]) -> Row | None:
    """The best of these records: the most of a clean score, or the most where one is unknown."""
    if not records:
        return None
    tries = sum(int(record.settings.get("tries", 1)) for record in records)
    rows = [
        Row(who=who, knows=known, record=record, clean=clean_of(record, clean), tries=tries)
        for record in records
    ]
    known_all = all(row.recovered is not None for row in rows)
    return max(rows, key=lambda row: (row.recovered or 0.0) if known_all else row.record.value)
