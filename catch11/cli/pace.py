"""What an assault says as it runs: a line as each attack ends, and what is left."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catch11.attacks.pace import Step
    from catch11.evaluation.record import Record


class Sayings:
    """Lines for the steps of one assault; the first that knows what is left says it of the whole."""

    def __init__(self) -> None:
        self._estimated = False

    def line(self, step: "Step") -> str:
        """What to print at a step; empty where nothing ended."""
        if not step.records:
            return ""
        found = _found(step)
        if step.left is None or step.done == step.total:
            return found
        if self._estimated:
            return f"{found}, about {_length(step.left)} left"
        self._estimated = True
        return f"{found}\n{_total(step)}"


def _found(step: "Step") -> str:
    best = max(step.records, key=_rank)
    took = "kept" if step.seconds is None else _length(step.seconds)
    score = f"{best.value:.2f} {best.low:.2f}–{best.high:.2f}"
    return f"{best.attack or 'none'!s:<21} {best.model[:14]:<14} {score} {took:>6}"


def _rank(record: "Record") -> tuple[bool, float]:
    """Rivals before the authorized model, of these the best."""
    return record.role != "authorized", record.value


def _total(step: "Step") -> str:
    assert step.left is not None
    said = f"about {_length(step.left)} on this machine for {_attacks(step.total - step.done)}"
    if step.quick is None or not 0 < step.untrained < step.total - step.done:
        return said
    return (
        f"{said};\n--quick runs the {step.untrained} untrained ones in about {_length(step.quick)}"
    )


def _attacks(count: int) -> str:
    return "1 attack" if count == 1 else f"{count} attacks"


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
