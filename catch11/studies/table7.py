"""Table 7: text encoders on GLUE tasks, released as recoded embeddings, with the controls it lacks.

Here the authorized model is all-MiniLM-L6-v2 with a logistic head a task, trained on its frozen
sentence embeddings; with --hub it is BERT fine-tuned for the task. The rival is a small encoder
trained here (with --hub, RoBERTa), fed the released embeddings, and, as a control, the clean ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.roles import role_of
from catch11.evaluation.score import Measured, Run, to_record
from catch11.keys.key import build_key
from catch11.lab import needed
from catch11.modalities.text.deep import DeepTokens
from catch11.modalities.text.file import load_text
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.recoder import NoiseTokens, Passages, SpectralTokens, passages
from catch11.recoding.frame import Recoder
from catch11.studies.frame import Scale, Study
from catch11.studies.nets.encoders import known_encoder, small_encoder
from catch11.studies.place import Place, Unavailable
from catch11.studies.tables import pivot
from catch11.studies.tasks.glue import TASKS, Examples, chance, load_glue, measure
from catch11.studies.trial import SECRET

LOCAL = ("sst2", "stsb", "cola", "rte")
COUNTS = {"quick": 40, "full": 200}
RECODERS = ("clean", "spectral 0.3", "spectral 1", "spectral 3", "deep", "noise")
HUB = {"bert": "textattack/bert-base-uncased-{}", "roberta": "textattack/roberta-base-{}"}
HUB_NAMES = {
    "sst2": "SST-2",
    "cola": "CoLA",
    "rte": "RTE",
    "stsb": "STS-B",
    "mrpc": "MRPC",
    "qnli": "QNLI",
}
_TAUGHT = 800  # training examples of a head: its features are the cost


@runtime_checkable
class Reader(Protocol):
    """A model with what makes a task's answer of its output."""

    @property
    def model(self) -> TextModel:
        """The encoder."""

    def predict(self, answers: Float[Tensor, "document answer"]) -> list[float]:
        """A class index, or a score, an example."""


@dataclass(frozen=True, slots=True, eq=False)
class Headed:
    """A fine-tuned model: its own head answers."""

    model: TextModel

    def predict(self, answers: Float[Tensor, "document answer"]) -> list[float]:
        """The first class, or the one output."""
        best = answers[:, 0] if answers.shape[1] == 1 else answers.argmax(1)
        return [float(value) for value in best.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class Featured:
    """An embedding model with a logistic head on its features; STS-B takes the cosine."""

    model: TextModel
    head: object
    pairs: bool

    def predict(self, answers: Float[Tensor, "document answer"]) -> list[float]:
        """Answers of single documents, or of the two documents of each pair in turn."""
        values = features(answers, pairs=self.pairs)
        if self.head is None:
            return torch.nn.functional.cosine_similarity(answers[::2], answers[1::2]).tolist()
        return [float(value) for value in self.head.predict(values)]  # type: ignore[attr-defined]


def features(answers: Float[Tensor, "document answer"], *, pairs: bool) -> np.ndarray:
    """What a head sees: a sentence's embedding, or two with their distance and product."""
    if not pairs:
        return answers.numpy()
    first, second = answers[::2], answers[1::2]
    return torch.cat([first, second, (first - second).abs(), first * second], 1).numpy()


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    tasks = tuple(HUB_NAMES) if place.config == "paper" else LOCAL
    return [
        Cell(
            name=f"{task} {recoder}",
            settings={"task": task, "recoder": recoder, "n": COUNTS[scale]},
        )
        for task in tasks
        for recoder in RECODERS
    ]


def work(cell: Cell, place: Place) -> Sequence[Record]:
    task, kind, count = (cell.settings[name] for name in ("task", "recoder", "n"))
    examples = load_glue(str(task), _split(str(task), place), folder=_folder(place)).some(
        int(count or 1)
    )
    authorized, rival = readers(place, str(task))
    joined = bool(authorized.model.labels) and examples.second is not None
    rows, types = documents(authorized.model, examples, joined=joined)
    kept = list(range(len(examples)))
    condition: Condition = "clean"
    made = rows
    if kind != "clean":
        condition = "gaussian" if kind == "noise" else "nte"
        recoded = recoder(str(kind), authorized.model)(passages(rows, types))
        made = [passage.embeds for passage in recoded.items]
        step = len(rows) // len(examples)
        kept = [i for i in kept if not any(recoded.reasons[step * i : step * i + step])]
    found = []
    sides: tuple[tuple[Role | None, Reader], ...] = (("authorized", authorized), (None, rival))
    for role, one in sides:
        fed: Condition = condition if role or kind != "clean" else "control"
        answers = one.model.answers(made, types if role else None)
        found += _records(one, answers, examples, kept, role, fed, authorized.model)
        if role is None and kind == "clean":
            own = one.model.answers(*documents(one.model, examples, joined=joined))
            found += _records(one, own, examples, kept, role, "clean", authorized.model)
    return found


def _records(
    one: Reader, answers: Tensor, examples: Examples, kept: list[int], role: Role | None,
    condition: Condition, authorized: TextModel,
) -> list[Record]:  # fmt: skip
    said, task = one.predict(answers), examples.task
    truth = [examples.labels[i] for i in kept]
    return [
        to_record(
            Measured(
                metric=metric, n=len(kept),
                value=measure(task, [said[i] for i in kept], truth, metric=metric),
            ),
            Run(), model=one.model.name, role=role or role_of(authorized, one.model),
            condition=condition, fingerprint=one.model.fingerprint,
            settings={
                "chance": chance(task, list(examples.labels), metric=metric),
                "withheld": len(examples) - len(kept),
            },
        )
        for metric in task.metrics
    ]  # fmt: skip


def documents(
    model: TextModel, examples: Examples, *, joined: bool
) -> tuple[list[Tensor], list[tuple[int, ...] | None]]:
    """Clean embeddings: a document an example, or two in turn where a pair is not joined."""
    texts: list[tuple[str, str | None]] = []
    for index, first in enumerate(examples.first):
        second = None if examples.second is None else examples.second[index]
        if second is None or joined:
            texts.append((first, second))
        else:
            texts += [(first, None), (second, None)]
    rows = [model.encode(text, pair) for text, pair in texts]
    return [model.embed(row) for row in rows], [row.types for row in rows]


def recoder(kind: str, model: TextModel) -> Recoder[Passages]:
    """A recoder by its name in `RECODERS`."""
    key = build_key(model, secret=SECRET)
    if kind == "deep":
        return DeepTokens(model, key)
    if kind == "noise":
        return NoiseTokens(key, rms=model.rms)
    return SpectralTokens(key, psnr=-20.0 * math.log10(float(kind.split()[1])))


def readers(place: Place, task: str) -> tuple[Reader, Reader]:
    """The authorized model and the rival, each with what answers the task."""
    if place.config == "paper":
        name = HUB_NAMES[task]
        first, second = (
            load_text(f"hf:{spec.format(name)}", device=place.device) for spec in HUB.values()
        )
        return Headed(first), Headed(second)
    return _featured(place, task, "known"), _featured(place, task, "small")


@lru_cache(maxsize=8)
def _featured(place: Place, task: str, which: str) -> Featured:
    LogisticRegression = needed("sklearn.linear_model").LogisticRegression

    model = known_encoder() if which == "known" else small_encoder(_folder(place), pairs=1200)
    pairs = TASKS[task].second is not None
    if not TASKS[task].classes:
        return Featured(model, None, pairs)
    taught = load_glue(task, "train", folder=_folder(place)).some(_TAUGHT)
    values = features(model.answers(*documents(model, taught, joined=False)), pairs=pairs)
    head = LogisticRegression(max_iter=500, C=1.0).fit(values, taught.labels)
    return Featured(model, head, pairs)


def _folder(place: Place) -> str | None:
    if place.config == "digits":
        raise Unavailable("text", "run it without --digits, on a folder of assets or with --hub")
    return None if place.config == "paper" else str(place.folder("text"))


def _split(task: str, place: Place) -> str:
    return (
        "test"
        if place.config != "paper" and "test" in TASKS[task].files and task == "stsb"
        else "dev"
    )


def _column(one: Record) -> str:
    return "clean" if one.condition == "clean" else str(one.settings["recoder"])


STUDY = Study(
    name="table7",
    title="Text encoders on GLUE, released as recoded embeddings",
    source="Table 7",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={
            "task": lambda r: f"{r.settings['task']} {r.metric}, chance {r.settings['chance']:.2f}",
            "model": lambda r: f"{r.model} ({r.role})",
        },
        column=lambda r: "clean, fed" if r.condition == "control" else _column(r),
        caption="clean, fed: the authorized model's clean embeddings, handed to the rival. Withheld "
        "documents are left out. spectral: noise of that share of the document's size in 64 "
        "directions.",
    ),
    minutes=37,
)
