"""The records of one row of Table 3: shares, costs, and reasons where something was not measured."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import torch

from catch11.attacks.adaptation import FineTune, LearnedFront, Sweep
from catch11.attacks.frame import Attack, attack_of
from catch11.errors import MissingExtra, Unsuited
from catch11.evaluation.interval import paired_difference
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record, Role
from catch11.studies.table3.tasks import Task

Quantity = Literal["authorized", "rival", "attacked", "trained", "cost", "fact", "reason"]
SECONDS, BYTES = "CPU seconds an input", "bytes an input"
OPEN = "whoever has the pictures reads them: no input is changed"
Found = TypeVar("Found")
_LEARNED = {"fine-tune": FineTune, "learned-front": LearnedFront}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method on one task. guarantee: what of what against whom, in one clause."""

    task: Task
    method: str
    guarantee: str
    condition: Condition = "control"

    def _settings(self, quantity: Quantity, **facts: Any) -> dict[str, Any]:
        held = {"quantity": quantity, "method": self.method, "guarantee": self.guarantee}
        return {**held, **facts}

    def share(
        self,
        quantity: Quantity,
        model: str,
        hits: Sequence[bool],
        *,
        role: Role = "ga",
        attack: str | None = None,
        clean: Sequence[bool] | None = None,
        metric: str = "accuracy",
        **facts: Any,
    ) -> Record:
        """A share of right answers; clean: hits on the clean pictures, for the paired loss."""
        found = accuracy(tuple(hits))
        if clean is not None and len(clean) == len(hits):
            drop = paired_difference(tuple(clean), tuple(hits))
            facts |= {"drop": drop.estimate, "drop low": drop.low, "drop high": drop.high}
        return Record(
            model=model, role=role, condition="attack" if attack else self.condition, attack=attack,
            metric=metric, value=found.estimate, low=found.low, high=found.high, n=len(hits),
            settings=self._settings(quantity, **facts),
        )  # fmt: skip

    def figure(
        self,
        metric: str,
        value: float,
        *,
        n: int,
        quantity: Quantity = "cost",
        model: str = "",
        **facts: Any,
    ) -> Record:
        """A number that is no share."""
        return Record(
            model=model or self.task.authorized.name, role="authorized", condition=self.condition,
            metric=metric, value=value, low=value, high=value, n=n,
            settings=self._settings(quantity, **facts),
        )  # fmt: skip

    def reason(self, what: str, why: str, *, shown: str = "not run") -> Record:
        """Why a place of the row holds no number; shown: that in a word or two."""
        return Record(
            model=self.task.authorized.name, role="authorized", condition=self.condition,
            metric=what, value=math.nan, low=math.nan, high=math.nan, n=0,
            settings=self._settings("reason", reason=why, shown=shown),
        )  # fmt: skip

    def authorized(self, windows: torch.Tensor, **facts: Any) -> Record:
        """The authorized model on released windows, against itself on clean ones."""
        model = self.task.authorized
        hits, clean = self.task.hits(model, windows), self.task.hits(model, self.task.windows)
        return self.share(
            "authorized", model.name, hits, role="authorized", clean=clean[: len(hits)], **facts
        )

    def rivals(self, windows: torch.Tensor) -> list[Record]:
        """Every rival on released windows, unmodified."""
        return [
            self.share("rival", name, self.task.hits(rival, windows))
            for name, rival in self.task.rivals.items()
        ]

    def attacked(
        self,
        released: torch.Tensor,
        lessons: torch.Tensor,
        names: Sequence[str],
        *,
        judged: int,
    ) -> list[Record]:
        """The best try of each attack with each rival."""
        material, jury = self.task.material(released, lessons, judged=judged)
        made = []
        for name in names:
            try:
                findings = _attack(name, self.task)(material, jury)
            except (Unsuited, MissingExtra) as error:
                made.append(self.reason(f"attack {name}", str(error)))
                continue
            made += [
                self.share(
                    "attacked", one.rival, one.hits, attack=name, setting=one.setting,
                    tries=one.tries, lessons=len(lessons),
                )
                for one in findings
            ]  # fmt: skip
        return made


def _attack(name: str, task: Task) -> Attack:
    """An attack with its own settings; on nets that train slowly with one rate and length."""
    if name in _LEARNED and task.name != "digits":
        return _LEARNED[name](Sweep(rates=(1e-3,), epochs=(5,), starts=("pretrained",)))
    return attack_of(name)()


def timed(act: Callable[[], Found]) -> tuple[Found, float]:
    """What it returns, and the CPU seconds it took: other work on the machine does not count."""
    start = time.process_time()
    made = act()
    return made, time.process_time() - start
