"""What the commands say of data besides pictures: lines for people, facts for machines."""

import json
from collections.abc import Sequence
from pathlib import Path

from catch11.evaluation.record import Record
from catch11.evaluation.verify import Verification
from catch11.modalities.frame import Result
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


def verification_view(found: Verification, foot: str) -> str:
    """Every score, what is doubtful about them, and the verdict. foot: what the units are."""
    lines = [_score(one) for one in found.records]
    lines += [f"warning: {text}" for text in found.warnings]
    lines += [f"problem: {file}: {reason}" for file, reason in found.problems]
    if (lost := found.verdict.drop) is not None:
        ends = f"[{lost.low:.4f}, {lost.high:.4f}]"
        lines.append(f"authorized drop {lost.estimate:.4f} {ends}, paired")
    lines += [f"unsure: {text}" for text in found.verdict.unsure]
    lines += [f"failed: {text}" for text in found.verdict.failures]
    return "\n".join([*lines, foot])


def attack_result(records: Sequence[Record]) -> Result:
    """Who answers what, after which attack, by one who knows what."""
    lines = [
        f"{one.model:<18} {one.role:<10} {one.attack or 'as it is':<14} {', '.join(one.knowledge):<14} "
        f"{one.metric:<10} {_share(one)}"
        for one in records
    ]
    facts = {"records": [json.loads(one.to_line()) for one in records]}
    return Result(facts=facts, view="\n".join(lines))


def _score(one: Record) -> str:
    strength = "" if one.psnr is None else f", {one.psnr:.1f} dB"
    how = one.attack or one.condition
    return f"{one.model:<18} {one.role:<10} {how:<14} {one.metric:<14} {_share(one)}{strength}"


def _share(one: Record) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}] n = {one.n}"
