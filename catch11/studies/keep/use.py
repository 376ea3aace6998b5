"""Utility at a keep: what the licensee's own model makes of files, beside what it makes of originals."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from catch11.attacks.adaptation import Reader
from catch11.attacks.heads import ridge_head
from catch11.attacks.maps import read
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy, auc, bootstrap, matches
from catch11.evaluation.questions import QUESTIONS
from catch11.evaluation.record import Record
from catch11.models.frame import Model
from catch11.models.stages import stages
from catch11.recoding.deep.agreement import divergence
from catch11.recoding.deep.target import FEATURES
from catch11.studies.keep.lines import line, mean
from catch11.studies.nets.descent import descend
from catch11.studies.trial import Trial

Windows = Float[Tensor, "_ channel height width"]
NEAREST, BINS, RIDGE = 10, 10, 1.0
TUNED = {"epochs": 3, "batch": 16, "rate": 1e-4}  # Adam, the last linear layer and the last block


def features(model: Model, windows: Windows) -> Float[Tensor, "batch feature"]:
    """What the last linear layer reads of windows."""
    return read(model, FEATURES, windows).flatten(1)


def utility(trial: Trial, lessons: Trial) -> list[Record]:
    """Every measure of use, on files that were not withheld. lessons: other pictures of the same keep."""
    model, truth = trial.model, trial.truth
    clean, made = (
        model.logits(model.canvas.normalise(w)) for w in (trial.clean, trial.made.windows)
    )
    before, after = (features(model, w) for w in (trial.clean, trial.made.windows))
    near = functional.cosine_similarity(before, after)
    parts = {
        "same answer": accuracy(matches(made.argmax(1), clean.argmax(1))),
        "KL, nats": mean(divergence(made, clean)),
        "calibration error": calibration(made, truth),
        "calibration error, originals": calibration(clean, truth),
        "cosine": mean(near),
        f"recall@{NEAREST}": recalled(after, before),
        "reverse": recalled(before, after),
        **_heads(trial, lessons, before, after),
    }
    records = [line(trial, name, v, len(truth), metric=metric(name)) for name, v in parts.items()]
    return [*cost(trial), *records, *_tuned(trial, lessons)]


def cost(trial: Trial) -> list[Record]:
    """Passes of the model a picture, and the share that was withheld."""
    count, passes = len(trial.source), trial.made.forwards
    whole = Interval(low=passes, estimate=passes, high=passes)
    out = accuracy([place not in trial.made.kept for place in range(count)])
    return [
        line(trial, "forwards", whole, count),
        line(trial, "withheld", out, count, metric="share"),
    ]


def metric(shown: str) -> str:
    """What kind of number a measure of use is."""
    kinds = {
        "KL, nats": "KL",
        "calibration error": "ECE",
        "calibration error, originals": "ECE",
        "cosine": "cosine",
    }
    return "agreement" if shown == "same answer" else kinds.get(shown, "share")


def calibration(logits: Float[Tensor, "batch class"], truth: Int[Tensor, " batch"]) -> Interval:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017), bootstrapped."""
    sure, given = logits.softmax(1).max(1)
    hits = (given == truth).double()
    generator = torch.Generator().manual_seed(0)
    return bootstrap(_gap, sure.double(), hits, generator=generator)


def _gap(sure: object, hits: object) -> float:
    one, other = torch.as_tensor(sure), torch.as_tensor(hits)
    place = (one * BINS).long().clamp(max=BINS - 1)
    off = [(one[place == b] - other[place == b]).sum().abs() for b in range(BINS)]
    return float(torch.stack(off).sum() / len(one))


def recalled(queries: Float[Tensor, "n feature"], gallery: Float[Tensor, "n feature"]) -> Interval:
    """Share of queries whose own picture is among the nearest of a gallery, by cosine."""
    alike = functional.normalize(queries) @ functional.normalize(gallery).T
    nearest = alike.topk(min(NEAREST, len(gallery)), dim=1).indices
    own = torch.arange(len(queries))[:, None]
    return accuracy((nearest == own).any(1).tolist())


def _heads(trial: Trial, lessons: Trial, before: Tensor, after: Tensor) -> dict[str, Interval]:
    """A head of the licensed classes, or of animals where a thousand classes are too many, learned on one
    kind of features and used on the other."""
    model = trial.model
    learned = {
        "originals": features(model, lessons.clean), "files": features(model, lessons.made.windows),
    }  # fmt: skip
    taught, truth = lessons.truth, trial.truth
    question = QUESTIONS["animal"]
    if few := len(model.labels) > 10:
        taught, truth = (question.follows(v, model.labels).long() for v in (taught, truth))
    found = {}
    for name, known, used in (
        ("head: originals, originals", learned["originals"], before),
        ("head: files, originals", learned["files"], before),
        ("head: originals, files", learned["originals"], after),
    ):
        made = ridge_head(known, taught, ridge=RIDGE)(used)
        if few:
            odds, yes = made[:, 1] - made[:, 0], truth.bool()
            found[name] = auc(odds[yes], odds[~yes])
        else:
            found[name] = accuracy(matches(made.argmax(1), truth))
    return found


def _tuned(trial: Trial, lessons: Trial) -> Sequence[Record]:
    """The layers above, tuned on labelled files, used on originals; beside originals, which are the
    control of what files teach, the same layers as they were."""
    model = trial.model
    reader = upper(model)
    learning = [p for p in reader.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(learning, lr=TUNED["rate"])
    windows, labels = lessons.made.windows, lessons.truth
    generator = torch.Generator().manual_seed(0)
    descend(
        lambda index: functional.cross_entropy(reader(windows[index]), labels[index]), optimiser,
        count=len(windows), epochs=int(TUNED["epochs"]), batch=int(TUNED["batch"]),
        generator=generator,
    )  # fmt: skip
    with torch.no_grad():
        given = torch.cat([reader(part).argmax(1) for part in trial.clean.split(32)])
    share = accuracy(matches(given, trial.truth))
    made = [line(trial, "tuned on files, originals", share, len(given), metric="share")]
    if trial.keep == "originals":
        untuned = accuracy(matches(trial.read(trial.authorized, trial.clean), trial.truth))
        made.append(line(trial, "not tuned, originals", untuned, len(given), metric="share"))
    return made


def upper(model: Model) -> Reader:
    """A copy of the model of which the last block and the last linear layer learn; norms stay."""
    reader = Reader(model, frozen=True)
    linear = [m for m in reader.body.modules() if isinstance(m, torch.nn.Linear)]
    last = reader.body.get_submodule(list(stages(model))[-1])
    for part in (last, *linear[-1:]):
        part.requires_grad_(True)
    return reader
