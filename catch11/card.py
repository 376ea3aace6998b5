"""The threat-model card of a release: who knows what, the best they do with it, and what they get.

Drawn from Records alone, so a card says what was measured and nothing else.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catch11.record import Record

KNOWN = {
    "others": "further releases of the same pictures",
    "public": "public pictures",
    "labels": "labels of other released files",
    "pairs": "other originals beside their released files",
    "key-queries": "a recoder that answers",
    "front": "the authorized model's first layer",
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
    first. attacks: names of all that were tried."""

    release: str
    method: str
    psnr: float | None
    authorized: Row | None
    rows: tuple[Row, ...]
    attacks: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def worst(self) -> Row | None:
        """The attacker who gets most of a model's clean score, or most where that is unknown."""
        judged = [row for row in self.rows if row.record.metric != "auc"]
        return max(judged, key=lambda row: (row.recovered or 0.0, row.record.value), default=None)


def release_of(record: Record) -> str:
    """What tells releases apart: the listed files where stated, the key and the method else."""
    settings = record.settings
    stated = settings.get("release")
    return str(
        stated or f"{(record.key_fingerprint or '')[:8]} {settings.get('method', '')}".strip()
    )


def cards(records: Iterable[Record]) -> tuple[Card, ...]:
    """One card a release, in the order the records name them; those of the control are left out."""
    held: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if not record.settings.get("control"):
            held[release_of(record)].append(record)
    return tuple(card_of(rows) for rows in held.values() if any(map(_judged, rows)))


def card_of(records: Sequence[Record]) -> Card:
    """The card of one release's records."""
    rows = preferred(records)
    clean = {record.model: record for record in rows if record.condition == "clean"}
    released = [record for record in rows if record.condition == "nte"]
    attacks = [record for record in rows if record.condition == "attack"]
    authorized = [record for record in released if record.role == "authorized"]
    named = dict.fromkeys(record.attack for record in attacks if record.attack)
    decibels = [record.psnr for record in released if record.psnr is not None]
    return Card(
        release=release_of(records[0]),
        method=str(records[0].settings.get("method", "")),
        psnr=decibels[0] if decibels else None,
        authorized=_row("the licensee", "the authorized model", authorized, clean),
        rows=tuple(_attackers(released, attacks, clean)),
        attacks=tuple(name for name in named if name != "none"),
        commands=tuple(dict.fromkeys(record.command for record in records if record.command)),
    )


def _attackers(
    released: Sequence[Record], attacks: Sequence[Record], clean: dict[str, Record]
) -> Iterable[Row]:
    rivals = [r for r in released if r.role in ("ta", "ga")]
    rivals += [r for r in attacks if r.attack == "none" and r.role in ("ta", "ga")]
    plain = _row("any other model", "nothing", rivals, clean)
    if plain is not None:
        yield plain
    held: dict[tuple[int, bool], list[Record]] = defaultdict(list)
    for record in attacks:
        if record.attack != "none" and record.role in ("ta", "ga"):
            rank = sum(_RANK.get(name, 0) for name in record.knowledge)
            held[rank, record.attack == _CLEAN].append(record)
    for (_, trains), group in sorted(held.items(), key=lambda item: item[0]):
        for metric in dict.fromkeys(record.metric == "auc" for record in group):
            part = [record for record in group if (record.metric == "auc") == metric]
            who = "a detector" if metric else "a trainer of models" if trains else "an attacker"
            row = _row(who, knows(part[0]), part, clean)
            if row is not None:
                yield row
    siblings = [record for record in released if record.role == "sibling"]
    row = _row("a descendant", "weights that descend from the authorized ones", siblings, clean)
    if row is not None:
        yield row


def knows(record: Record) -> str:
    """What an attacker holds beside the released files, in words."""
    parts = [text for name, text in KNOWN.items() if name in record.knowledge]
    return ", ".join(parts) or "nothing"


def _row(who: str, known: str, records: Sequence[Record], clean: dict[str, Record]) -> Row | None:
    """The best of these records: the most of a clean score, or the most where none is known."""
    if not records:
        return None

    def worth(record: Record) -> float:
        own = clean.get(record.model)
        return record.value / own.value if own is not None and own.value > 0 else record.value

    best = max(records, key=worth)
    tries = sum(int(record.settings.get("tries", 1)) for record in records)
    return Row(who=who, knows=known, record=best, clean=clean.get(best.model), tries=tries)


def preferred(records: Sequence[Record]) -> list[Record]:
    """Of each model and condition the records of one metric: accuracy where there is one, then
    what stands first."""
    chosen: dict[tuple[object, ...], str] = {}
    for record in records:
        place = (record.model, record.condition, record.attack)
        if place not in chosen or record.metric == "accuracy":
            chosen[place] = record.metric
    return [r for r in records if chosen[r.model, r.condition, r.attack] == r.metric]


def _judged(record: Record) -> bool:
    return record.condition in ("nte", "attack")


def markdown(card: Card) -> str:
    """The card as a Markdown table, with the attacks tried and the commands that measured them."""
    strength = "" if card.psnr is None else f", {card.psnr:.1f} dB"
    lines = [
        f"**{card.method or 'release'}{strength}** (release {card.release})",
        "",
        "| who | knows | best attack | model | gets | clean | n |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = (*([card.authorized] if card.authorized else []), *card.rows)
    lines += [_line(row) for row in rows]
    if card.attacks:
        names = ", ".join(f"`{name}`" for name in card.attacks)
        lines += ["", f"Attacks tried, each the best of its settings on the same files: {names}."]
    lines += ["", *(f"    {command}" for command in card.commands)]
    return "\n".join(lines).rstrip() + "\n"


def _line(row: Row) -> str:
    record = row.record
    attack = record.attack if record.attack not in (None, "none") else ""
    cells = (
        row.who,
        row.knows,
        f"`{attack}`" if attack else "",
        record.model,
        f"{share(record.value)} [{share(record.low)}, {share(record.high)}]"
        + ("" if record.metric == "accuracy" else f" {record.metric}"),
        "" if row.clean is None else share(row.clean.value),
        str(record.n),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def share(value: float) -> str:
    """A share with two digits and no leading zero."""
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 0.995 else f"{value:.2f}"
