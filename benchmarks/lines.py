"""JSON lines: what a part found, with the call that found it; kept in a file, so that a second run goes on."""

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy

Line = Mapping[str, Any]


def show(line: Line) -> dict[str, Any]:
    """Print a line, numbers to four digits; gives back what was printed."""
    made = {**_short(dict(line)), "command": shlex.join(["python", "benchmarks", *sys.argv[1:]])}
    print(json.dumps(made), flush=True)
    return made


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list | tuple) else value


def right(hits: Tensor | Sequence[bool]) -> dict[str, float]:
    """The share of hits, with Wilson's interval and how many were asked."""
    found = _share(hits)
    return {"accuracy": found.estimate, "low": found.low, "high": found.high, "n": len(hits)}


def said(hits: Tensor | Sequence[bool]) -> str:
    """The same in words."""
    found = _share(hits)
    return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _share(hits: Tensor | Sequence[bool]) -> Interval:
    return accuracy(hits.tolist() if isinstance(hits, Tensor) else hits)


class Lines:
    """Lines of finished cells, in a file that a second run takes up."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else ""
        self.path, self.held = path, [json.loads(line) for line in text.splitlines()]

    def has(self, **cell: object) -> bool:
        return any(all(line.get(k) == v for k, v in cell.items()) for line in self.held)

    def add(self, line: Line) -> None:
        self.held.append(show(line))
        with self.path.open("a") as out:
            out.write(json.dumps(self.held[-1]) + "\n")
