"""Records as a table of a study: what decides the row, what decides the column."""

import math
from collections.abc import Callable, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from catch11.record import Record

Label = Callable[[Record], str]
MANY = 400  # pictures from which a share is shown to three places
SHARES = ("accuracy", "agreement", "auc", "retention")


def pivot(
    records: Sequence[Record],
    *,
    row: Label | Mapping[str, Label],
    column: Label,
    head: str = "",
    caption: str = "",
    cell: Label | None = None,
) -> Table:
    """One cell a record: its estimate and interval. Rows and columns in order of appearance; of
    records that fall together the last is shown. row: one label under `head`, or several by head."""
    show = cell or interval_text
    labels = row if isinstance(row, Mapping) else {head: row}
    columns = list(dict.fromkeys(column(record) for record in records))
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for record in records:
        name = tuple(label(record) for label in labels.values())
        rows.setdefault(name, {})[column(record)] = show(record)
    table = Table(box=None, pad_edge=False, caption=escape(caption) or None, caption_justify="left")
    for title in labels:
        table.add_column(escape(title), min_width=12)
    for title in columns:
        table.add_column(escape(title), justify="right", min_width=6)
    before = ("",) * len(labels)
    for name, cells in rows.items():
        # A label that only repeats the one above it, all before it alike, is left out.
        new = [i for i, (a, b) in enumerate(zip(name, before, strict=True)) if a != b]
        first = min(new, default=0)
        shown = [escape(text) if i >= first else "" for i, text in enumerate(name)]
        table.add_row(*shown, *(escape(cells.get(item, "")) for item in columns))
        before = name
    return table


def interval_text(record: Record) -> str:
    """.87 [.83, .90] of a share, 1.23 [1.1, 1.4] of another number, – where there is none."""
    if math.isnan(record.value):
        return "–"
    share = record.metric in SHARES
    digits = 3 if record.n >= MANY else 2
    if record.low == record.high:
        return number(record.value, share=share, digits=digits)
    ends = [number(value, share=share, digits=digits) for value in (record.low, record.high)]
    return f"{number(record.value, share=share, digits=digits)} [{ends[0]}, {ends[1]}]"


def number(value: float, *, share: bool = False, digits: int = 3) -> str:
    """A share to so many places, without its zero; any other number to three digits."""
    if share:
        text = f"{value:.{digits}f}"
        return text.replace("0.", ".", 1) if abs(float(text)) < 1 else f"{value:.2f}"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"


def setting(name: str) -> Label:
    """What a record's cell has under this name."""
    return lambda record: str(record.settings.get(name, ""))


def model(record: Record) -> str:
    """The model's name, the authorized one marked."""
    return f"{record.model} (authorized)" if record.role == "authorized" else record.model
