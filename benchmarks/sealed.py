"""Sealed copies: what opening costs, how uniform files are, what rivals learn. Prints a line a figure of one of four:

cost: opening against a forward of DeiT-tiny, 8 pictures, one thread, in torch and in onnxruntime.

noise: 500 photographs as sealed files: bytes, neighbours, files beside each other.

rivals: clean CIFAR-10 thumbnails, sealed as they are: the most that files can hold. Rivals as they are, and
fine-tuned on 2,000 labelled files, the best of their epochs on 500 others.

scratch: nets that know nothing, trained on the same files; beside them the same nets on the same pictures unsealed.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from scipy import stats
from torch import Tensor, nn

from benchmarks.frame import ASSETS, Assets
from benchmarks.learning import Course, Vgg, fresh, learn, reader
from benchmarks.learning import scratch as from_nothing
from benchmarks.lines import show
from benchmarks.named import Plain, session
from benchmarks.photographs import Photographs
from benchmarks.thumbnails import answers, lessons, models, share, tests
from benchmarks.timing import compared
from catch11 import Canvas, SealSecret
from catch11.canvas.grid import GRIDS
from catch11.copies.seal import seal_secret
from catch11.crypto.opening import Opening
from catch11.evaluation.interval import wilson
from catch11.lab import needed
from catch11.models.onnx.export import export_graph
from catch11.models.onnx.opening import FORMAT, OPSET, put_before

BATCH, TAUGHT, JUDGED = 8, 2000, 500
Line = dict[str, Any]


def sealed(
    what: Annotated[Literal["cost", "noise", "rivals", "scratch"], typer.Argument(help="Which figures.")],
    runs: Annotated[int, typer.Option(help="Pairs of cost; else epochs.")] = 15,
    assets: Assets = ASSETS,
) -> None:  # fmt: skip
    torch.manual_seed(0)
    parts = {"cost": cost, "noise": noise, "rivals": rivals, "scratch": scratch}
    for line in parts[what](assets, runs):
        show(line)


def cost(assets: Path, runs: int) -> Iterator[Line]:
    model = Photographs(assets).model
    assert model.module is not None
    seal = seal_secret(model, secret=bytes(32))
    opening, net = Opening(seal.opener).eval(), Plain(model.module)
    windows = torch.randint(0, 256, (BATCH, *model.canvas.shape)) / 255
    values = model.canvas.normalise(windows)
    with torch.no_grad():
        yield compared("torch, opening", lambda: opening(values), "a forward", lambda: net(values), per=1, runs=runs)  # fmt: skip
    plain = session(export_graph(net, values[:2], free=True))
    alone = session(put_before(_nothing(model.canvas), seal.opener))
    given = {"pixel_values": values.numpy()}
    yield compared(
        "onnxruntime, opening", lambda: alone.run(None, given), "a forward", lambda: plain.run(None, given), per=1, runs=runs,
    )  # fmt: skip


def _nothing(canvas: Canvas) -> Any:
    """A graph that gives back what it is given."""
    onnx = needed("onnx", "onnx")
    kind, sides = onnx.TensorProto.FLOAT, ["batch", *canvas.shape]
    ends = [onnx.helper.make_tensor_value_info(name, kind, sides) for name in ("pixel_values", "y")]
    node = onnx.helper.make_node("Identity", ["pixel_values"], ["y"])
    graph = onnx.helper.make_graph([node], "nothing", ends[:1], ends[1:])
    known = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=known, ir_version=FORMAT)


def noise(assets: Path, runs: int) -> Iterator[Line]:
    """z of each statistic; beyond 3.9 happens to uniform noise once in 10,000."""
    shown = Photographs(assets)
    seal, canvas = seal_secret(shown.model, secret=bytes(32)), shown.model.canvas
    counts, sums, total = torch.zeros(256), torch.zeros(4), torch.zeros(4)
    last: Tensor | None = None
    for part in shown.windows(JUDGED).split(20):
        levels = GRIDS["png8"].index(
            canvas.place(seal.as_read(part), seal.around(seal.cleared(part)))
        )
        counts += torch.bincount(levels.flatten().long(), minlength=256)
        v = (levels - 127.5).double()
        row = v if last is None else torch.cat([last, v])
        pairs = (
            (v[..., 1:], v[..., :-1]),
            (v[:, :, 1:], v[:, :, :-1]),
            (v[:, 1:], v[:, :-1]),
            (row[1:], row[:-1]),
        )
        for place, (a, b) in enumerate(pairs):
            sums[place] += float((a * b).sum())
            total[place] += a.numel()
        last = v[-1:]
    found = stats.chisquare(counts.numpy())
    yield {"of": "bytes", "chi-square": float(found.statistic), "degrees": 255, "p": float(found.pvalue), "n": int(counts.sum())}  # fmt: skip
    power = float((torch.arange(256) - 127.5).square().mean())
    for place, name in enumerate(("across", "down", "channels", "files")):
        r, n = float(sums[place] / total[place]) / power, float(total[place])
        yield {"of": f"neighbours, {name}", "correlation": r, "z": r * math.sqrt(n), "n": int(n)}


def rivals(assets: Path, epochs: int) -> Iterator[Line]:
    model, _, rival = models(assets)
    seal = seal_secret(model, secret=bytes(32))
    images, labels = lessons(assets, TAUGHT)
    judged, truth = tests(assets, JUDGED)
    taught, others = _sealed(seal, images), _sealed(seal, judged)
    low, high = stats.binom.ppf([0.025, 0.975], JUDGED, 0.1) / JUDGED
    yield {"reader": "chance", "accuracy": 0.1, "low": float(low), "high": float(high), "n": JUDGED}
    opened = share(answers(model, seal.opened(others)), truth)
    yield _right("the copy's model on opened files", opened)
    yield _right("ResNet-20 itself, as it is", share(answers(model, others), truth))
    yield _right("ResNet-32, as it is", share(answers(rival, others), truth))
    values = rival.canvas.normalise(taught)
    flat, given = values.flatten(1).double(), rival.canvas.normalise(others).flatten(1).double()
    wanted = nn.functional.one_hot(labels).double() - 0.1
    best = 0.0
    for weight in (1e2, 1e4, 1e6):
        inner = flat @ flat.T + weight * torch.eye(len(flat))
        said = given @ (flat.T @ torch.linalg.solve(inner, wanted))
        best = max(best, share(said.argmax(1), truth))
    yield _right("ridge, best of 3 weights", best)
    score = reader(rival.canvas.normalise(others), truth, half=False)
    made = learn(fresh(rival), values, labels, Course(rate=0.03, epochs=epochs, half=False), score)
    yield _right(f"ResNet-32, fine-tuned, best of {len(made.curve)} looks", made.best)


def scratch(assets: Path, epochs: int) -> Iterator[Line]:
    model, _, rival = models(assets)
    seal = seal_secret(model, secret=bytes(32))
    images, labels = lessons(assets, TAUGHT)
    judged, truth = tests(assets, JUDGED)
    normalise = rival.canvas.normalise
    for files, known, others in (
        ("sealed", _sealed(seal, images), _sealed(seal, judged)), ("unsealed", images, judged),
    ):  # fmt: skip
        score = reader(normalise(others), truth, half=False)
        nets: tuple[tuple[str, nn.Module, float], ...] = (
            ("plain convolutions", Vgg(), 0.03), ("ResNet-32", fresh(rival), 0.1),
        )  # fmt: skip
        for name, net, rate in nets:
            course = Course(rate=rate, epochs=epochs, half=False)
            made = learn(from_nothing(net), normalise(known), labels, course, score)
            yield _right(f"{name} from scratch, {files}, best of {len(made.curve)} looks", made.best)  # fmt: skip


def _sealed(seal: SealSecret, images: Tensor) -> Tensor:
    return torch.cat([seal.as_read(part) for part in images.split(100)])


def _right(reader: str, value: float) -> Line:
    found = wilson(round(value * JUDGED), JUDGED)
    return {"reader": reader, "accuracy": value, "low": found.low, "high": found.high, "n": JUDGED}
