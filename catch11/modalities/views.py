"""What became of sources, as people read it."""

from collections.abc import Sequence
from pathlib import Path

from catch11.releases.engine import Summary


def summary_view(
    done: Summary, dst: Path, *, held: str = "", rest: Sequence[str] = (), lines: Sequence[str] = ()
) -> str:
    """What became of the sources. held: what the files written hold; rest: what else was left out;
    lines: what else there is to say."""
    parts = [f"{done.written} written{held}"]
    parts += [f"{done.reused} already there"] if done.reused else []
    parts += [f"{done.withheld} withheld"] if done.withheld else []
    parts += [f"{done.skipped} skipped as unreadable"] if done.skipped else []
    said = [f"{dst}: {', '.join([*parts, *rest])}", *lines, f"manifest  {done.manifest}"]
    return "\n".join([*said, f"ledger    {done.ledger} (private)"])
