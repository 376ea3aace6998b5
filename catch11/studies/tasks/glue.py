"""GLUE tasks: where their files keep texts and labels, what is measured, and what chance scores."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from catch11.data.selection import spread
from catch11.data.texts import read_table
from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, bootstrap, f1, mcc, pearson, spearman
from catch11.lab import needed

Metric = Literal["accuracy", "f1", "mcc", "pearson", "spearman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task. first, second, label: columns of its files, from 0, and their names in the hub's.
    classes: names in order; none for a score. header: whether the files have one. metrics: the
    task's own first. files: where a split lies, below a folder of tasks."""

    name: str
    first: int
    label: int
    metrics: tuple[Metric, ...]
    files: Mapping[str, str]
    second: int | None = None
    classes: tuple[str, ...] = ()
    header: bool = False
    hub: tuple[str, ...] = ("sentence",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """A split of a task: texts, second texts where there are two, and labels: class indices, or
    scores as they stand (STS-B: 0 to 5)."""

    task: Task
    first: tuple[str, ...]
    second: tuple[str, ...] | None
    labels: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.first)

    def some(self, count: int) -> "Examples":
        """`count` of them, evenly spaced."""
        places = spread(range(len(self)), count)
        return Examples(
            task=self.task,
            first=tuple(self.first[i] for i in places),
            second=None if self.second is None else tuple(self.second[i] for i in places),
            labels=tuple(self.labels[i] for i in places),
        )


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="sst2", first=0, label=1, metrics=("accuracy",), classes=("0", "1"),
            files={"train": "sst2/train.tsv", "dev": "sst2/dev.tsv", "test": "sst2/test.tsv"},
        ),
        Task(
            name="cola", first=3, label=1, metrics=("mcc",), classes=("0", "1"),
            files={"train": "cola/in_domain_train.tsv", "dev": "cola/in_domain_dev.tsv"},
        ),
        Task(
            name="rte", first=1, second=2, label=3, metrics=("accuracy",), header=True,
            classes=("entailment", "not_entailment"), hub=("sentence1", "sentence2"),
            files={"train": "rte/train.tsv", "dev": "rte/dev.tsv"},
        ),
        Task(
            name="stsb", first=0, second=1, label=2, metrics=("spearman", "pearson"),
            hub=("sentence1", "sentence2"),
            files={n: f"stsb-en-{n}.csv" for n in ("train", "dev", "test")},
        ),
        Task(
            name="mrpc", first=3, second=4, label=0, metrics=("f1", "accuracy"), header=True,
            classes=("0", "1"), hub=("sentence1", "sentence2"),
            files={"train": "mrpc/train.tsv", "dev": "mrpc/dev.tsv"},
        ),
        Task(
            name="qqp", first=3, second=4, label=5, metrics=("f1", "accuracy"), header=True,
            classes=("0", "1"), hub=("question1", "question2"),
            files={"train": "qqp/train.tsv", "dev": "qqp/dev.tsv"},
        ),
        Task(
            name="qnli", first=1, second=2, label=3, metrics=("accuracy",), header=True,
            classes=("entailment", "not_entailment"), hub=("question", "sentence"),
            files={"train": "qnli/train.tsv", "dev": "qnli/dev.tsv"},
        ),
    )
}  # fmt: skip
_CHANCE = {"mcc": 0.0, "pearson": 0.0, "spearman": 0.0}


def load_glue(name: str, split: str, *, folder: str | os.PathLike[str] | None = None) -> Examples:
    """A split of a task: from local files below `folder`, else through the `datasets` package.

    Rows that are cut short, or whose label is none of the task's, raise InvalidArgument, naming the
    line. Raises MissingExtra where neither is at hand.
    """
    if name not in TASKS:
        raise InvalidArgument("task", expected=f"one of {', '.join(TASKS)}", found=name)
    task = TASKS[name]
    if folder is None:
        return _from_hub(task, split)
    if split not in task.files:
        raise InvalidArgument("split", expected=f"one of {', '.join(task.files)}", found=split)
    path = Path(folder) / task.files[split]
    if not path.is_file():
        raise InvalidArgument("folder", expected=f"the file {task.files[split]}", found=str(folder))
    rows = read_table(path)[1 if task.header else 0 :]
    start = 2 if task.header else 1
    columns = [c for c in (task.first, task.second, task.label) if c is not None]
    for number, row in enumerate(rows, start):
        if len(row) <= max(columns):
            raise InvalidArgument(
                f"{path.name} line {number}", expected=f"{max(columns) + 1} cells", found=len(row)
            )
    return Examples(
        task=task,
        first=tuple(row[task.first].strip() for row in rows),
        second=None if task.second is None else tuple(row[task.second].strip() for row in rows),
        labels=tuple(
            _label(task, row[task.label], f"{path.name} line {n}")
            for n, row in enumerate(rows, start)
        ),
    )


def measure(
    task: Task, answers: Sequence[float], labels: Sequence[float], *, metric: str | None = None
) -> Interval:
    """A task's own metric, or another of its metrics, with its interval."""
    asked = metric or task.metrics[0]
    if asked in ("mcc", "f1"):
        draws = torch.Generator().manual_seed(0)
        return bootstrap(mcc if asked == "mcc" else f1, answers, labels, generator=draws)
    if asked == "pearson":
        return pearson(answers, labels)
    if asked == "spearman":
        return spearman(answers, labels)
    return accuracy([a == b for a, b in zip(answers, labels, strict=True)])


def chance(task: Task, labels: Sequence[float], *, metric: str | None = None) -> float:
    """What a model that has not read the text scores: 0 for correlations; for accuracy and F1 the
    best constant answer."""
    asked = metric or task.metrics[0]
    if asked in _CHANCE:
        return _CHANCE[asked]
    values = sorted(set(labels))
    if asked == "f1":
        return f1([1.0] * len(labels), labels)
    return max(labels.count(value) for value in values) / len(labels) if labels else 0.0


def _label(task: Task, text: str, where: str) -> float:
    text = text.strip()
    if task.classes:
        if text not in task.classes:
            raise InvalidArgument(where, expected=f"one of {', '.join(task.classes)}", found=text)
        return float(task.classes.index(text))
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e6 < value < 1e6:
        raise InvalidArgument(where, expected="a score", found=repr(text))
    return value


def _from_hub(task: Task, split: str) -> Examples:
    load_dataset = needed("datasets", "datasets").load_dataset
    rows = load_dataset("nyu-mll/glue", task.name, split={"dev": "validation"}.get(split, split))
    return Examples(
        task=task,
        first=tuple(str(t) for t in rows[task.hub[0]]),
        second=tuple(str(t) for t in rows[task.hub[1]]) if len(task.hub) > 1 else None,
        labels=tuple(float(value) for value in rows["label"]),
    )
