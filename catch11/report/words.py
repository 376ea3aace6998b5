"""How the page says what a record holds."""

from collections.abc import Iterator, Sequence

from catch11.evaluation.record import Record
from catch11.report.card.words import share

SHARES = ("accuracy", "agreement", "agreement with the authorized model", "recovery", "mcc")
ROLES = {
    "authorized": "authorized", "ta": "same architecture", "sibling": "sibling", "ga": "rival"
}  # fmt: skip
CONDITIONS = {
    "clean": "clean", "nte": "as released", "gaussian": "Gaussian noise, same PSNR",
    "control": "zero noise",
}  # fmt: skip

WIDE = "---\nhide: [toc]\n---\n\n"  # room for tables
GENERATED = "Generated from {} by `make pages`; do not edit."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table in Markdown, and an empty one."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows)
    yield ""


def interval(record: Record) -> str:
    """.87 [.83, .90] of a share, 1.23 [1.20, 1.26] of any other number."""
    show = share if record.metric in (*SHARES, "auc") else "{:.3g}".format
    if record.low == record.high:
        return show(record.value)
    return f"{show(record.value)} [{show(record.low)}, {show(record.high)}]"


def setting(record: Record) -> str:
    """What the record's run was set to, as far as a reader needs it."""
    hidden = {"cell", "cell records", "files", "models"}
    kept = {k: v for k, v in record.settings.items() if k not in hidden and v not in (None, False)}
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in kept.items()
    )


def percent(value: float | None) -> str:
    """Of a share, within 0 and 100."""
    return f"{100 * min(max(value or 0.0, 0.0), 1.0):.1f}"
