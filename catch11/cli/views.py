"""Facts as people read them: rows of names and values, and a spectrum in one line."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from math import log10
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Column, Table

from catch11.cli.frame import program

if TYPE_CHECKING:
    from catch11.releases.engine import Summary
    from catch11.releases.preview import Preview

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 48
COLUMNS, LINES = 80, 5  # that reasons may take
NAME = 40  # characters of a source's name beside one
DECADES = 6  # the range of a sparkline, below its largest value


def sparkline(values: Sequence[float]) -> str:
    """Ascending singular values as bars on a logarithmic scale, least seen first."""
    picked = [values[i * len(values) // WIDTH] for i in range(min(WIDTH, len(values)))]
    largest = values[-1]
    heights = [
        max(0.0, 1 + log10(max(value / largest, 1e-30)) / DECADES) * (len(BARS) - 1)
        for value in picked
    ]
    return "".join(BARS[round(height)] for height in heights)


def rows_view(rows: Mapping[str, Any]) -> Table:
    """A row a fact; long values are folded, never cut."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(f"[bold]{name.replace('_', ' ')}[/]", escape(str(value)))
    return table


def list_view(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A row a thing, under titles; long values are folded, never cut."""
    columns = (Column(title, overflow="fold") for title in titles)
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


_MOVED = 0.05  # of a first layer's answers: what a picture may move by where nothing is asked for


def summary_view(done: "Summary", dst: Path | str) -> str:
    """What became of the sources."""
    counts = done.counts
    parts = [f"{done.written} written" + (f" ({counts['rows']} rows)" if "rows" in counts else "")]
    parts += [f"{done.reused} already there"] if done.reused else []
    parts += [f"{done.withheld} withheld"] if done.withheld else []
    parts += [f"{done.skipped} skipped as unreadable"] if done.skipped else []
    parts += [f"{counts['rows_withheld']} rows withheld"] if counts.get("rows_withheld") else []
    lines = [f"{dst}: {', '.join(parts)}"]
    if "tokens" in counts:
        read = f"{counts['tokens']:,}, of them {counts['unknown']:,} unknown"
        lines.append(f"tokens    {read}; {counts['cut']} documents cut short")
    lines += [*_reasons(done), *_kept(done)]
    lines += [f"manifest  {done.address or done.manifest}", f"ledger    {done.ledger} (private)"]
    return escape("\n".join(lines))


def preview_view(found: "Preview", dst: Path | str) -> str:
    """What a release would be, as reckoned from a few of its items."""
    left = found.files - found.standing
    there = f", {found.standing:,} of them already there" if found.standing else ""
    lines = [f"{dst}: nothing written; {found.files:,} files{there}"]
    kept = f"{found.kept} of {found.tried} that were tried"
    lines.append(f"kept      {kept}" + (f"; {found.lost} cannot be read" if found.lost else ""))
    for reason in found.reasons[:LINES]:
        lines += wrap(f"{'':10}{reason}", COLUMNS, subsequent_indent=" " * 10)
    if found.psnr is not None:
        lines.append(f"strength  about {found.psnr:.1f} dB")
    lines += [f"time      about {_length(found.seconds)} for {left:,}"]
    lines += [f"size      about {found.megabytes:,.1f} MB"]
    return escape("\n".join(lines))


def _length(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes" if seconds >= 100 else f"{max(seconds, 1):.0f} s"


def next_view(why: str, *words: object) -> str:
    """Why, and the command of catch11 to type next, in lines that a shell takes as one."""
    lines, row = wrap(why, COLUMNS), ""
    for spelled in (shlex.quote(str(word)) for word in (program(), *words)):
        if row and len(row) + len(spelled) + 3 > COLUMNS:
            lines.append(f"{row} \\")
            row = "    "
        row += spelled if not row.strip() else f" {spelled}"
    return escape("\n" + "\n".join([*lines, row]))


def _kept(done: "Summary") -> list[str]:
    """What was kept, how nearly, and what keeping more would need."""
    far = done.distance
    near = f" (median {far[0]:.3g}, worst {far[1]:.3g})" if far else ""
    kept = f"{done.keep.near}{near}"
    if done.empty:
        kept = f"nothing, as no file was released; {done.keep.near} was asked for"
    lines = _folded(f"kept      {kept}; {done.keep.more}")
    if done.keep.what == "all" and far and far[0] > _MOVED:
        moved = f"moved     what the first layer answers, by {far[0]:.0%}, so answers may change: --check"
        lines += _folded(
            f"{moved} withholds those; --method deep, or a larger --psnr, changes fewer"
        )
    return lines


def _reasons(done: "Summary") -> list[str]:
    """Why some are not there, in a few lines."""
    lines = []
    for one in done.refused:
        more = f" and {one.count - 1:,} more" if one.count > 1 else ""
        text = f"{one.outcome:<10}{one.first[-NAME:]}{more}: {one.reason}"
        shown = "".join(letter if letter.isprintable() else "?" for letter in text)
        lines += _folded(shown)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], " " * 10 + "more in the ledger"]


def _folded(text: str) -> list[str]:
    return wrap(text, COLUMNS, subsequent_indent=" " * 10, drop_whitespace=True)
