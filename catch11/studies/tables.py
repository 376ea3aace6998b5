"""Records as a table of a study: what decides the row, what decides the column."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from catch11.evaluation.record import Record

Label = Callable[[Record], str]
MANY = 400  # pictures from which a share is shown to three places
SHARES = ("accuracy", "agreement", "auc", "balanced accuracy", "retention", "share")
_LABEL = 18  # cells of the terminal that a label may take before it is wrapped
_GAP = 2  # between columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot:
    """Labels and cells. Columns that do not fit the width beside each other stand in further tables
    below, so that none is cut off; a table leaves out the rows that it has nothing of."""

    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Mapping[str, str]]
    caption: str = ""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        room = options.max_width - sum(width + _GAP for width in self._labels())
        shares = _shares([self._width(title) + _GAP for title in self.columns], room + _GAP)
        for share in shares:
            yield self._table(self.columns[share])
        if self.caption:
            yield Text(self.caption, style="dim italic")

    def _labels(self) -> list[int]:
        """Widths that the labels may not fall below."""
        found = [
            _widest([head, *(name[i] for name in self.rows)]) for i, head in enumerate(self.heads)
        ]
        return [min(width, _LABEL) for width in found]

    def _width(self, title: str) -> int:
        """Of a column whose cells are not wrapped; its title may be, between words."""
        cells = [row.get(title, "") for row in self.rows.values()]
        return _widest([*title.split(), *cells])

    def _table(self, columns: Sequence[str]) -> Table:
        table = Table(box=None, pad_edge=False)
        for head, width in zip(self.heads, self._labels(), strict=True):
            table.add_column(escape(head), min_width=width)
        for title in columns:
            table.add_column(escape(title), justify="right", min_width=self._width(title))
        before = ("",) * len(self.heads)
        for name, cells in self.rows.items():
            if columns and not any(title in cells for title in columns):
                continue
            # A label that only repeats the one above it, all before it alike, is left out.
            new = [i for i, (a, b) in enumerate(zip(name, before, strict=True)) if a != b]
            first = min(new, default=0)
            shown = [escape(text) if i >= first else "" for i, text in enumerate(name)]
            table.add_row(*shown, *(escape(cells.get(title, "")) for title in columns))
            before = name
        return table


def pivot(
    records: Sequence[Record],
    *,
    row: Label | Mapping[str, Label],
    column: Label,
    head: str = "",
    caption: str = "",
    cell: Label | None = None,
) -> Pivot:
    """One cell a record: its estimate and interval. Rows and columns in order of appearance; of
    records that fall together the last is shown. row: one label under `head`, or several by head."""
    show = cell or interval_text
    labels = row if isinstance(row, Mapping) else {head: row}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for record in records:
        name = tuple(label(record) for label in labels.values())
        rows.setdefault(name, {})[column(record)] = show(record)
    columns = dict.fromkeys(column(record) for record in records)
    return Pivot(heads=tuple(labels), columns=tuple(columns), rows=rows, caption=caption)


def released_table(records: Sequence[Record], strength: str) -> Pivot:
    """A row a release and model, a column a condition or attack. strength: how it is counted."""
    return pivot(
        records,
        row={"release": setting("release"), "model": model},
        column=lambda record: record.attack or str(record.condition),
        caption=f"accuracy; {strength}; clean, released, Gaussian noise of the same strength, then "
        "after each attack",
    )


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


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _shares(widths: Sequence[int], room: int) -> list[slice]:
    """Neighbours that fit the room together, as many as can; one alone even if it does not."""
    starts, used = [0], 0
    for number, width in enumerate(widths):
        if used and used + width > room:
            starts.append(number)
            used = 0
        used += width
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(widths)], strict=True)]
