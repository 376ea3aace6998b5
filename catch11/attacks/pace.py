"""How long attacks take: what each kind costs, and what is left, judged by what ran."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from catch11.evaluation.record import Record

Cost = Literal["plain", "untrained", "trained"]
# By how much longer an attack takes than to answer the released files once; in the order they run.
# With SqueezeNet and 12 photographs 19 untrained ones took 7 times as long on average; `reconstruction`
# had not ended after 180 times, so the last number is rough. What runs corrects them.
COSTS: dict[Cost, float] = {"plain": 1.0, "untrained": 7.0, "trained": 200.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A moment of an assault. attack: the one that begins; empty where one ended, and at the end.
    done, total: attacks. records: what an attack that ended found, in so many seconds; none of what
    was taken up from a file. untrained: how many of those that are left train nothing. left, quick:
    seconds that all that is left, and the untrained of it, will take, about; None before any ran."""

    attack: str = ""
    done: int
    total: int
    records: tuple[Record, ...] = ()
    seconds: float | None = None
    untrained: int = 0
    left: float | None = None
    quick: float | None = None


Progress = Callable[[Step], None]


def remaining(waiting: Sequence[Cost], ran: Sequence[tuple[Cost, float]]) -> float | None:
    """Seconds that attacks of these costs will take. Of a cost that ran, as long as those took on
    average; of another, as stated, by the scale of all that ran."""
    if not ran:
        return None
    scale = sum(took for _, took in ran) / sum(COSTS[cost] for cost, _ in ran)

    def usual(cost: Cost) -> float:
        own = [took for kind, took in ran if kind == cost]
        return sum(own) / len(own) if own else COSTS[cost] * scale

    return sum(usual(cost) for cost in waiting)
