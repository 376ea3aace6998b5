"""A number of the study of keeps as a record, under the name that its table shows it by."""

from typing import Any

from catch11.evaluation.interval import Interval
from catch11.evaluation.record import Record
from catch11.studies.trial import Trial


def line(trial: Trial, shown: str, value: Interval, n: int, **facts: Any) -> Record:
    """Of the authorized model's reading of the files unless the facts say another. shown: the column."""
    whole: dict[str, Any] = {
        "model": trial.authorized, "role": "authorized", "metric": shown,
        "condition": "attack" if facts.get("attack") else "nte", **facts,
    }  # fmt: skip
    settings = {"shown": shown, **whole.pop("settings", {})}
    return Record(
        value=value.estimate,
        low=value.low,
        high=value.high,
        n=n,
        seed=0,
        settings=settings,
        **whole,
    )
