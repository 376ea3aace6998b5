"""Attacks worked out one after the other, or those that train nothing on Ray, the next ones ahead of time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from catch11.attacks.frame import Attack, Finding
from catch11.attacks.scene import Stand
from catch11.releases.pool import Call, Pool, check_engine, pool

Findings = list[tuple[Finding, ...]]
"""What an attack found, for each stand."""


class Attacking:
    """Works attacks out here. stands: what is attacked; seed: of the attacks' own randomness."""

    def __init__(self, stands: Sequence[Stand], seed: int) -> None:
        self._stands, self._seed = stands, seed

    def __call__(self, one: Attack) -> Findings:
        return [one(stand.material, stand.jury, seed=self._seed) for stand in self._stands]

    def plan(self, attacks: Sequence[Attack]) -> None:
        """What will be asked for, in this order."""

    def begun(self, one: Attack) -> bool:
        """Whether it was begun ahead of time."""
        return False


class Ahead(Attacking):
    """Has workers begin the attacks that train nothing before they are asked for; as many as there are workers."""

    def __init__(self, stands: Sequence[Stand], seed: int, held: Pool) -> None:
        super().__init__(stands, seed)
        self._pool = held
        self._next: list[Attack] = []
        self._begun: dict[str, Call] = {}

    def plan(self, attacks: Sequence[Attack]) -> None:
        self._next = [one for one in attacks if one.cost != "trained"]

    def begun(self, one: Attack) -> bool:
        return one.name in self._begun

    def __call__(self, one: Attack) -> Findings:
        if one.cost == "trained":
            return super().__call__(one)
        while self._next and (not self.begun(one) or len(self._begun) < self._pool.workers):
            first = self._next.pop(0)
            self._begun[first.name] = self._pool.begin(first)
        found: Findings = self._pool.end(self._begun.pop(one.name), one.name)
        return found


@contextmanager
def attacking(
    stands: Sequence[Stand], seed: int, *, engine: str, workers: int | None, address: str | None
) -> Iterator[Attacking]:
    """By what attacks are worked out. Raises InvalidArgument, MissingExtra."""
    if not check_engine(engine, address, workers):
        yield Attacking(stands, seed)
        return
    rival = next(iter(stands[0].jury.rivals.values()), None)
    device = str(getattr(rival, "device", "cpu"))
    make = partial(Attacking, stands, seed)
    with pool(make, workers=workers, address=address, device=device) as held:
        yield Ahead(stands, seed, held)
