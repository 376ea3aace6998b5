"""A card as Markdown, and the sentences that a page says with the same words."""

from collections.abc import Callable

from catch11.evaluation.record import Record
from catch11.report.card.threats import LICENSED, Card, Row

UNEVEN = "A line of fewer files than others is less sure and more often the best by luck."


def markdown(card: Card) -> str:
    """The card as a Markdown table, with doubts, the attacks tried and the commands that measured
    them. A column that would be empty is left out."""
    strength = "" if card.psnr is None else f", {card.psnr:.1f} dB"
    shown = [
        (name, cells)
        for name, cell in _COLUMNS.items()
        if any(cells := [_safe(cell(row)) for row in card.lines])
    ]
    lines = [
        f"**{card.method or 'release'}{strength}** (release {card.release}){kept(card)}",
        "",
        "| " + " | ".join(name for name, _ in shown) + " |",
        "|" + "---|" * len(shown),
    ]
    lines += ["| " + " | ".join(row) + " |" for row in zip(*(c for _, c in shown), strict=True)]
    if card.attacks:
        lines += ["", tried(card, "`{}`".format)]
    if card.doubts:
        lines += ["", "Mind:", "", *(f"- {sentence}" for sentence in card.doubts)]
    lines += ["", *(f"    {command}" for command in card.commands)]
    return "\n".join(lines).rstrip() + "\n"


def kept(card: Card) -> str:
    """What the files keep, and for whom they are sealed, as far as the records say; a clause."""
    parts = [f"keeps {card.keep}"] * bool(card.keep)
    parts += ["sealed: uniform noise but for one copy of the model, which is the licensee's"] * card.sealed  # fmt: skip
    return "".join(f", {part}" for part in parts)


def tried(card: Card, name: Callable[[str], str] = str) -> str:
    """The attacks, and on how many files they ran."""
    parts = [f"on {n} files {', '.join(map(name, names))}" for n, names in card.counts]
    more = f" {UNEVEN}" if len(parts) > 1 else ""
    return f"Attacks tried, each the best of its settings: {'; '.join(parts)}.{more}"


def clean_cell(row: Row) -> str:
    """The clean score, with its own number of files where that is another."""
    if row.clean is None:
        return ""
    other = "" if row.clean.n == row.record.n else f" (n {row.clean.n})"
    return share(row.clean.value) + other


def _gets(record: Record) -> str:
    interval = f"{share(record.value)} [{share(record.low)}, {share(record.high)}]"
    if LICENSED in record.knowledge and record.psnr is not None:
        interval += f" of pictures of {record.psnr:.1f} dB"
    return interval if record.metric == "accuracy" else f"{interval} {record.metric}"


def _attack(row: Row) -> str:
    return f"`{row.record.attack}`" if row.record.attack not in (None, "none") else ""


_COLUMNS: dict[str, Callable[[Row], str]] = {
    "who": lambda row: row.who,
    "knows": lambda row: row.knows,
    "best attack": _attack,
    "model": lambda row: row.record.model,
    "gets": lambda row: _gets(row.record),
    "clean": clean_cell,
    "n": lambda row: str(row.record.n),
}


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def share(value: float) -> str:
    """A share with two digits and no leading zero."""
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 0.995 else f"{value:.2f}"
