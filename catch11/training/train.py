"""Train a classifier on labelled pictures, and write it as a model that every command takes."""

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from catch11.errors import InvalidArgument, LabelsRefused, ReleaseError
from catch11.evaluation.balance import Balance, balance_of
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, matches
from catch11.models.frame import Model
from catch11.training.lessons import Lesson, Lessons, read_lessons
from catch11.training.loop import Epoch, Loop
from catch11.training.nets import build_net
from catch11.training.pictures import Pictures
from catch11.training.recipe import Recipe
from catch11.training.state import NAME, check_same, load_state, save_state
from catch11.training.teacher import Remembered, teaching
from catch11.training.views import views_of

METRICS, FACTS, HELD = "metrics.jsonl", "training.json", "held.csv"


@runtime_checkable
class Watch(Protocol):
    """Told how much is done, of how much, what is at hand, and a line to leave behind."""

    def __call__(self, done: int, total: int, what: str = "", said: str = "") -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """spec: what loads the model. accuracy: on the pictures held back, with the 95 % interval. balance:
    the same class by class. lost: (picture, reason) of those that could not be read."""

    spec: str
    classes: tuple[str, ...]
    accuracy: Interval
    balance: Balance
    learned: int
    held: int
    epochs: int
    lost: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def train(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    arch: str,
    size: int | None = None,
    labels: str | os.PathLike[str] | None = None,
    teacher: Model | None = None,
    recipe: Recipe | None = None,
    resume: bool = False,
    memory: Path | None = None,
    device: str = "cpu",
    progress: Watch = lambda done, total, what="", said="": None,
) -> Trained:
    """Train `arch` on the pictures of `source`, into the folder `output`.

    arch: resnet, vit, deit, swinv2 or mambavision from nothing, hf:DIR or timm:NAME from what they hold.
    Sources and labels: see `read_lessons`. After each epoch the whole state stands in the folder and a
    line in its metrics.jsonl; `resume` goes on from there, to the weights of a training that was not
    stopped. What is written in the end is the running mean of the weights, not the best epoch. memory: a
    file that keeps the teacher's answers for other trainings on the same views.

    Raises InvalidArgument, LabelsRefused, ModelRefused, MissingExtra; ReleaseError where the state cannot
    be written, what stood before it intact.
    """
    recipe, folder = recipe or Recipe(), Path(output)
    lessons = read_lessons(source, labels=labels, share=recipe.held, seed=recipe.seed)
    facts = _facts(arch, size, lessons, teacher, recipe)
    state = _standing(folder, facts, resume=resume)
    net = build_net(arch, lessons.classes, size=size, teacher=teacher is not None, seed=recipe.seed)
    teach: Remembered | None = None
    if teacher is not None:
        teach = Remembered(teaching(teacher, lessons.classes), memory)
    learned, held = (
        Pictures(part, net.canvas, progress=lambda done, total: progress(done, total, "reading"))
        for part in (lessons.train, lessons.held)
    )
    _check_left(source, lessons, learned, held)
    loop = Loop(
        net, learned, held, recipe, classes=len(lessons.classes), view=views_of(net.canvas),
        teach=teach, device=device,
    )  # fmt: skip
    if state is not None:
        loop.load(state)
    _trim(folder / METRICS, loop.epoch)
    for epoch in loop.run(lambda done, total: progress(done, total, "training")):
        save_state(folder, {"facts": facts, **loop.state()})
        if teach is not None:
            teach.keep()
        _note(folder / METRICS, epoch)
        progress(0, 0, "", f"epoch {epoch.number} of {recipe.epochs}: {_said(epoch)}")
    net.save(loop.averaged().cpu().eval(), folder)
    said = loop.logits(held)
    made = Trained(
        spec=net.spec(folder), classes=lessons.classes,
        accuracy=accuracy(matches(said.argmax(1), held.labels)),
        balance=balance_of(said, held.labels, lessons.classes),
        learned=len(learned), held=len(held), epochs=loop.epoch,
        lost=tuple(learned.lost + held.lost),
    )  # fmt: skip
    _list(folder / HELD, held.lessons, lessons.classes)
    text = json.dumps({**facts, **made.to_dict()}, indent=2)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")
    (folder / NAME).unlink()  # last: until here a stopped run goes on
    return made


def _facts(
    arch: str, size: int | None, lessons: Lessons, teacher: Model | None, recipe: Recipe
) -> dict[str, Any]:
    """What decides the weights, besides the bytes of the pictures."""
    return {
        "arch": arch, "size": size, "teacher": None if teacher is None else teacher.fingerprint,
        **asdict(recipe), "classes": list(lessons.classes),
        "train": _digest(lessons.train), "held_pictures": _digest(lessons.held),
    }  # fmt: skip


def _digest(lessons: tuple[Lesson, ...]) -> str:
    rows = "\n".join(f"{lesson.name}\t{lesson.label}" for lesson in lessons)
    return hashlib.sha256(rows.encode("utf-8", "surrogateescape")).hexdigest()


def _standing(folder: Path, facts: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """The state to go on from; an empty or new folder has none."""
    folder.mkdir(parents=True, exist_ok=True)
    state = load_state(folder)
    if state is not None and not resume:
        raise InvalidArgument(
            "output", expected="a new folder", found=f"a training that stands at epoch {state['epoch']}",
            remedy="go on with --resume",
        )  # fmt: skip
    if state is None:
        begun = {METRICS, f".{NAME}.new"} if resume else set()
        if found := sorted(one.name for one in folder.iterdir() if one.name not in begun):
            raise InvalidArgument("output", expected="a new folder", found=f"{found[0]} in it")
        return None
    check_same(state["facts"], facts)
    return state


def _check_left(source: object, lessons: Lessons, train: Pictures, held: Pictures) -> None:
    """Raises LabelsRefused where a class has lost its pictures."""
    for part, what in ((train, "to learn from"), (held, "to be judged by")):
        if not len(part):
            raise LabelsRefused(source, f"no picture {what} can be read")
    there = set(train.labels.tolist())
    for index, name in enumerate(lessons.classes):
        if index not in there:
            raise LabelsRefused(source, f"no picture of the class {name} can be read")


def _list(path: Path, lessons: tuple[Lesson, ...], classes: tuple[str, ...]) -> None:
    """What was held back, as `verify --labels` reads it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("file", "label"))
        rows.writerows((one.name, classes[one.label]) for one in lessons)


def _trim(path: Path, epochs: int) -> None:
    """Leave the lines of the epochs that the state knows."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()[:epochs]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _note(path: Path, epoch: Epoch) -> None:
    score = epoch.accuracy
    row = {
        "epoch": epoch.number, "loss": epoch.loss, "accuracy": score.estimate,
        "low": score.low, "high": score.high,
    }  # fmt: skip
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise ReleaseError(path, f"it cannot be written ({error.strerror})") from None


def _said(epoch: Epoch) -> str:
    score = epoch.accuracy
    return f"loss {epoch.loss:.3f}, held-back pictures {score.estimate:.2f} [{score.low:.2f}, {score.high:.2f}]"
