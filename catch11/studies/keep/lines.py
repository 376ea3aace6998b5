"""A number of the study of keeps as a record, under the name that its table shows it by."""

from typing import Any

import torch
from torch import Tensor

from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import bootstrap
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


def mean(values: Tensor) -> Interval:
    """The mean of numbers, one a picture, with a bootstrap interval."""
    generator = torch.Generator().manual_seed(0)
    return bootstrap(lambda rows: float(rows.mean()), values.double(), generator=generator)
