"""Records as a table of a study: what decides the row, what decides the column."""

from collections.abc import Callable, Sequence

from rich.markup import escape
from rich.table import Table

from catch11.record import Record

Label = Callable[[Record], str]
SHARES = ("accuracy", "agreement", "auc", "retention")


def pivot(
    records: Sequence[Record],
    *,
    row: Label,
    column: Label,
    head: str = "",
    caption: str = "",
    cell: Label | None = None,
) -> Table:
    """One cell a record: its estimate and interval. Rows and columns in order of appearance; of
    records that fall together the last is shown."""
    show = cell or interval_text
    columns = list(dict.fromkeys(column(record) for record in records))
    rows: dict[str, dict[str, str]] = {}
    for record in records:
        rows.setdefault(row(record), {})[column(record)] = show(record)
    table = Table(box=None, pad_edge=False, caption=escape(caption) or None, caption_justify="left")
    table.add_column(head, overflow="fold")
    for name in columns:
        table.add_column(escape(name), justify="right")
    for name, cells in rows.items():
        table.add_row(escape(name), *(escape(cells.get(item, "")) for item in columns))
    return table


def interval_text(record: Record) -> str:
    """.87 [.83, .90] of a share, 1.234 of any other number."""
    if record.low == record.high:
        return number(record.value)
    low, high = (
        number(value, share=record.metric in SHARES) for value in (record.low, record.high)
    )
    return f"{number(record.value, share=record.metric in SHARES)} [{low}, {high}]"


def number(value: float, *, share: bool = False) -> str:
    """Three digits; shares without their zero."""
    if share:
        return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"


def setting(name: str) -> Label:
    """What a record's cell has under this name."""
    return lambda record: str(record.settings.get(name, ""))


def model(record: Record) -> str:
    """The model's name, the authorized one marked."""
    return f"{record.model} (authorized)" if record.role == "authorized" else record.model
