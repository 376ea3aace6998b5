"""What `catch11 bounds` prints: a table a model, each line with the noise it is for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

if TYPE_CHECKING:
    from catch11.theory.bounds import Bound
    from catch11.theory.comparison import Angles, Comparison
    from catch11.theory.written import Written

LEGEND = (
    "[dim]Shift of a first layer's output, ‖A(x̃−x)‖₂, before its nonlinearity. recoded: of one more "
    "such picture, as recode writes it. certificate: of every noise inside the cut, and of no file "
    "with a box. ceiling: ‖A‖·‖δ‖, of every file of this PSNR or more. isotropic, no box: --noise gaussian "
    "--format tensor, under the key of a patch front. N(0, σ²I): Theorem 1's noise, of this mean "
    "power; no setting writes it. ≈0: below single precision. Of a file at hand the ledger has the exact shift. A rival's shift, "
    "large as it may be, does not prove that its accuracy falls: `catch11 verify` measures that.[/]"
)


def view(
    rows: "Sequence[Bound]", files: "Written | str", beside: "Sequence[Comparison]",
    *, source: Path | None,
) -> RenderableType:  # fmt: skip
    """Tables, and sentences about files and rivals."""
    parts: list[RenderableType] = [_written(files, source), ""]
    for name in dict.fromkeys(bound.of for bound in rows):
        parts += [f"[bold]{escape(name)}[/]", _table([b for b in rows if b.of == name])]
        lines = [line for one in beside if one.of == name for line in _sentences(one)]
        parts += [Padding(line, (0, 0, 0, 2)) for line in lines]
        parts += [""]
    parts.append(LEGEND)
    return Group(*parts)


def _table(rows: "Sequence[Bound]") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("  bound", no_wrap=True)
    for column in ("low", "typical", "high", "holds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("for noise", overflow="fold")
    # Less than single precision leaves of a file that is inside.
    least = 1e-7 * max((bound.interval.high for bound in rows), default=0.0)
    for bound in rows:
        interval = bound.interval
        sure = interval.confidence == 1.0
        values = interval.low, interval.estimate, interval.high
        ends = [f"{v:.4g}" if v > least or v == 0.0 else "≈0" for v in values]
        if sure:
            # The typical value of a certain bound is that of isotropic noise alone.
            ends[1] = "–"
        holds = "always" if sure else f"{interval.confidence:.3g}"
        table.add_row(f"  {bound.name}", *ends, holds, bound.noise)
    return table


def _written(files: "Written | str", source: Path | None) -> str:
    if isinstance(files, str):
        return f"No picture was recoded: {escape(files)}"
    kind = "random fields" if source is None else f"pictures of {escape(str(source))}"
    low, high = files.psnr.low, files.psnr.high
    text = (
        f"{files.pictures} {kind} recoded ({files.noise}): {low:.1f} to {high:.1f} dB, "
        f"{_percent(files.outside.estimate)} of ‖δ‖ outside the subspace"
    )
    if files.outside.estimate > 1e-4:
        text += ", so that no certificate is of these files: the ceiling is, and what was measured"
    return f"{text}."


def _sentences(one: "Comparison") -> list[str]:
    lines = [f"angles: none: {one.no_angles}." if one.angles is None else _angles(one.angles)]
    if not one.directions:
        return [*lines, f"Theorem 2: not asked: {one.no_directions}."]
    from catch11.theory.comparison import COUNTEREXAMPLE, worst

    most, count = worst(one.directions), len(one.directions)
    refuted = sum(d.refuted for d in one.directions)
    applies = sum(d.wedin_applies for d in one.directions)
    lines.append(
        f"ceiling a direction: of {count} insensitive right vectors v the rival answers one with "
        f"‖W₂v‖ = {most.ceiling.estimate:.3g}, at most {most.ceiling.high:.3g} certainly."
    )
    lines.append(
        f"Theorem 2 as printed says {most.printed:.3g} there. It fails for {refuted} of these {count}; that it is "
        f"false is known ({COUNTEREXAMPLE})."
    )
    nearest = min(d.turn for d in one.directions)
    lines.append(
        f"Wedin: bounds the turn of {applies} of the {count} (least {nearest:.3g}, trivial from √2; "
        f"‖W₁−W₂‖₂ = {one.apart:.3g})."
    )
    return lines


def _angles(angles: "Angles") -> str:
    total = sum(angles.times)
    middle, last = angles.quantile(0.5), angles.quantile(1.0)
    return (
        f"angles {angles.where}: {angles.ours} insensitive directions here, {angles.theirs} there, of "
        f"{angles.ambient}; {total} angles, median {middle:.1f}°, largest {last:.1f}°; mean cos² "
        f"{angles.overlap:.2f} ({angles.by_chance:.2f} by chance)."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
