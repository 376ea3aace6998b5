"""Rows of Table 3 that hide who was trained on: DP-SGD from scratch and heads with privacy."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.baselines import dp
from catch11.baselines.dp_head import private_head
from catch11.evaluation.record import Record
from catch11.studies.nets.digits import convolution_net
from catch11.studies.place import Place
from catch11.studies.table3.rows import OPEN, SECONDS, Row, timed
from catch11.studies.table3.tasks import Task, features

DELTA = 1e-5
MEMBERS = 1500  # thumbnails that train a private head
NAMES = {"net": "DP-SGD net", "head": "DP-SGD head", "diffprivlib": "diffprivlib head"}


def private(
    task: Task, place: Place, epsilon: float, route: str, *, delta: float = DELTA, seed: int = 0
) -> list[Record]:
    """A classifier that hides its training pictures, asked about clean ones.

    net: DP-SGD from scratch (digits). head: a dense layer on frozen features by DP-SGD, or by
    diffprivlib's objective perturbation. Members are pictures that the backbone never saw. Beside
    it, for DP-SGD, the same net trained as long without privacy. Raises InvalidArgument, MissingExtra.
    """
    dp.check_budget(epsilon, delta)
    row = Row(task=task, method=f"{NAMES[route]}, ε = {epsilon:g}", guarantee=dp.PROTECTS)
    inputs, labels, judged = _members(task, place, raw=route == "net")
    classes = len(task.authorized.labels)
    most, rate = (128, 5e-3) if route == "net" else (256, 5e-2)
    settings = dp.PrivateTraining(
        epsilon=epsilon, delta=delta, batch=max(1, min(most, len(inputs) // 4)), rate=rate
    )
    if route == "diffprivlib":
        module, spent = timed(
            lambda: private_head(inputs, labels, epsilon=epsilon, classes=classes, seed=seed)
        )
        made = dp.PrivateModel(
            module=module, epsilon=epsilon, delta=0.0, noise=0.0, steps=0, replaced=()
        )
        beside: list[tuple[str, nn.Module]] = []
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            start = _normed() if route == "net" else nn.Linear(inputs.shape[1], classes)
        generator = torch.Generator().manual_seed(seed)
        made, spent = timed(
            lambda: dp.train_private(start, inputs, labels, settings, generator=generator)
        )
        beside = [
            ("without privacy", dp.train_open(start, inputs, labels, settings, generator=generator))
        ]
    facts: dict[str, Any] = {
        "epsilon": epsilon, "members": len(inputs), "seed": seed, "delta": made.delta,
        "noise": made.noise, "spent": made.epsilon, "replaced": "; ".join(made.replaced),
    }  # fmt: skip
    with torch.no_grad():
        given, asked = timed(lambda: made.module(judged).argmax(1))
    hits = tuple((given == task.labels).tolist())
    return [
        row.share("authorized", f"{NAMES[route]} of {task.name}", hits, role="authorized", **facts),
        *(
            row.share("fact", name, _hits(net, seen, truth), asked=what)
            for name, net in [("private", made.module), *beside]
            for what, seen, truth in (("members", inputs, labels), ("others", judged, task.labels))
        ),
        row.reason("rival", OPEN, shown="as clean"),
        row.figure(SECONDS, asked / len(judged), n=len(judged)),
        row.figure("CPU seconds to train", spent, n=len(inputs), quantity="fact"),
    ]  # fmt: skip


def _hits(module: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[bool, ...]:
    with torch.no_grad():
        return tuple((module(inputs).argmax(1) == labels).tolist())


def _normed() -> nn.Module:
    """The digits' convolutional net with BatchNorm, which has no gradient of one picture."""
    layers: list[nn.Module] = []
    for layer in convolution_net().children():
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    return nn.Sequential(*layers)


def _members(
    task: Task, place: Place, *, raw: bool
) -> tuple[Float[Tensor, "member ..."], Int[Tensor, " member"], Float[Tensor, "batch ..."]]:
    """Training pictures, their labels, and the judged ones, as the private model sees them.

    Digits: the training part, as normalised values, or as grey pixels for a head. Thumbnails:
    features of pictures of the test part that are not judged; the backbone trained on the others.
    Heads see unit vectors, so that no picture's length tells of it.
    """
    model = task.authorized
    if task.name == "digits":
        seen, asked = (model.canvas.normalise(part) for part in (task.lessons, task.windows))
        if raw:
            return seen, task.lesson_labels, asked
        grey = [nn.functional.normalize(part[:, 0].flatten(1)) for part in (seen, asked)]
        return grey[0], task.lesson_labels, grey[1]
    count = len(task.windows)
    whole = place.pictures(task.name, count + MEMBERS)
    values = nn.functional.normalize(features(model, whole.windows(model.canvas)))
    return values[count:], whole.labels[count:], values[:count]
