"""Records as a table for people: a row a model, a column a condition."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from catch11.evaluation.record import Record, Verdict
    from catch11.evaluation.verification import Verification

CONDITIONS = {
    "clean": "clean",
    "nte": "released",
    "gaussian": "Gaussian",
    "control": "zero noise",
    "attack": "attacked",
}
ROLES = {"authorized": " (authorized)", "ta": " (twin)", "sibling": " (sibling)", "ga": ""}
LEGEND = (
    "[dim]Gaussian: noise of the same PSNR instead. zero noise: the files without noise.\n"
    "twin: the authorized architecture with other weights. Ranges: 95 %.[/]"
)


def score_tables(records: "Sequence[Record]") -> list[Table]:
    """One table a metric; each cell an estimate with its interval."""
    return [_table(records, metric) for metric in dict.fromkeys(r.metric for r in records)]


def _table(records: "Sequence[Record]", metric: str) -> Table:
    rows = [record for record in records if record.metric == metric]
    present = [name for name in CONDITIONS if any(r.condition == name for r in rows)]
    count = max(record.n for record in rows)
    table = Table(title=f"{metric}, n = {count}", title_justify="left", box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for name in present:
        table.add_column(CONDITIONS[name], justify="right", no_wrap=True)
    for model, role in dict.fromkeys((r.model, r.role) for r in rows):
        cells = {str(r.condition): cell(r) for r in rows if r.model == model}
        table.add_row(escape(model) + ROLES[role], *(cells.get(name, "") for name in present))
    return table


def cell(record: "Record") -> str:
    """An estimate with its interval, in the words of a terminal."""
    near = record.metric.startswith(("KL", "distance", "cosine"))
    value, low, high = (
        f"{one:.3g}" if near else _share(one) for one in (record.value, record.low, record.high)
    )
    return f"{value} [dim]{low}–{high}[/]"


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def verification_view(found: "Verification", *, peak: str) -> RenderableType:
    """Everything `verify` has to say, the verdict last. peak: what decibels are of."""
    parts: list[RenderableType] = []
    for table in score_tables(found.records):
        parts += [table, ""]
    strength = [r.psnr for r in found.records if r.condition == "nte" and r.psnr is not None]
    if strength:
        parts += [f"released at {strength[0]:.1f} dB (peak {peak}), {found.files} files"]
    return Group(*parts, LEGEND, "", *remarks(found))


def remarks(found: "Verification") -> list[str]:
    """Doubts, files that disagree and the verdict, a line each."""
    lines = [f"[yellow]note[/] {escape(warning)}" for warning in dict.fromkeys(found.warnings)]
    lines += [f"[red]file[/] {escape(file)}: {escape(why)}" for file, why in found.problems]
    unsure = [text for text in found.verdict.unsure if text not in found.warnings]
    lines += [f"[yellow]unsure[/] {escape(text)}" for text in unsure]
    return [*lines, *_verdict(found.verdict)]


def _verdict(verdict: "Verdict") -> list[str]:
    lines = []
    if verdict.drop is not None and verdict.retention is not None:
        drop = verdict.drop
        lines.append(
            f"authorized model: keeps {verdict.retention:.1%} of what it got right "
            f"(drop {drop.estimate:.3f} [{drop.low:.3f}, {drop.high:.3f}], paired)"
        )
    if verdict.rival is not None:
        best = verdict.rival
        lines.append(
            f"strongest rival: {escape(str(verdict.rival_name))} at {best.estimate:.3f} "
            f"[{best.low:.3f}, {best.high:.3f}]"
        )
    if verdict.degradation is not None:
        lines.append(f"every rival lost at least {verdict.degradation:.1%} of what it got right")
    lines += [f"[bold red]failed:[/] {escape(sentence)}" for sentence in verdict.failures]
    return lines
