"""Sealed copies: what opening costs, how uniform files are, what rivals learn. One run prints one part:

    python benchmarks/sealed.py cost|noise|rivals|scratch [--runs N]

cost      opening against a forward of DeiT-tiny, 8 pictures, one thread, in torch and in onnxruntime
noise     500 photographs as sealed files: bytes, neighbours, files beside each other, with intervals
rivals    clean CIFAR-10 thumbnails, sealed as they are: the most that files can hold. Rivals as they are,
          and fine-tuned on 2,000 labelled files, the best of their epochs on 500 others
scratch   nets that know nothing, trained on the same files; beside them the same nets on the same pictures unsealed

Needs the folder of real models (CATCH11_ASSETS).
"""

import argparse
import math
import os
import statistics
import time
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from cifar import Course, Vgg, answers, fresh, learn, lessons, models, reader, scratch, share, tests
from scipy import stats
from torch import Tensor, nn

import catch11
from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.copies.seal import SealSecret, seal_secret
from catch11.crypto.opening import Opening
from catch11.data.windows import folder_windows
from catch11.evaluation.interval import wilson
from catch11.models.onnx.export import export_graph
from catch11.models.onnx.opening import FORMAT, OPSET, put_before

ASSETS = Path(os.environ.get("CATCH11_ASSETS", "../shared/assets"))
BATCH, TAUGHT, JUDGED = 8, 2000, 500


class _Logits(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(pixel_values).logits}


def cost(runs: int) -> None:
    """Medians of runs that take turns, so that a busy machine burdens both alike."""
    torch.set_num_threads(1)
    model = catch11.load_model(f"hf:{ASSETS}/models/deit-tiny-patch16-224")
    seal = seal_secret(model, secret=bytes(32))
    opening, net = Opening(seal.opener).eval(), _Logits(model.module)  # type: ignore[arg-type]
    windows = torch.randint(0, 256, (BATCH, *model.canvas.shape)) / 255
    values = model.canvas.normalise(windows)
    with torch.no_grad():
        _ratio("torch", lambda: opening(values), lambda: net(values), runs)
    graph = export_graph(net, values[:2], free=True)
    plain, alone = (
        _session(one) for one in (graph, put_before(_nothing(model.canvas), seal.opener))
    )
    given = {"pixel_values": values.numpy()}
    _ratio("onnxruntime", lambda: alone.run(None, given), lambda: plain.run(None, given), runs)


def _nothing(canvas: Canvas) -> Any:
    """A graph that gives back what it is given."""
    kind, sides = onnx.TensorProto.FLOAT, ["batch", *canvas.shape]
    ends = [onnx.helper.make_tensor_value_info(name, kind, sides) for name in ("pixel_values", "y")]
    node = onnx.helper.make_node("Identity", ["pixel_values"], ["y"])
    graph = onnx.helper.make_graph([node], "nothing", ends[:1], ends[1:])
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=FORMAT
    )


def _session(graph: Any) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), settings)


def _ratio(name: str, one: object, other: object, runs: int) -> None:
    """The time of one as a share of the other's."""
    pairs = []
    for _ in range(runs + 1):
        spent = []
        for work in (one, other):
            begun = time.process_time()
            work()  # type: ignore[operator]
            spent.append(time.process_time() - begun)
        pairs.append((spent[0] / spent[1], *spent))
    shares = sorted(pair[0] for pair in pairs[1:])
    middle = [1000 * statistics.median(pair[k] for pair in pairs[1:]) for k in (1, 2)]
    print(
        f"{name:<12} opening {middle[0]:.0f} ms, the model {middle[1]:.0f} ms; opening is "
        f"{statistics.median(shares):.1%} [{shares[0]:.1%}, {shares[-1]:.1%}] of a forward, n={runs}"
    )


def noise(runs: int) -> None:
    """z of each statistic; beyond 3.9 happens to uniform noise once in 10,000."""
    model = catch11.load_model(f"hf:{ASSETS}/models/deit-tiny-patch16-224")
    seal = seal_secret(model, secret=bytes(32))
    counts, sums, total, held = torch.zeros(256), torch.zeros(4), torch.zeros(4), None
    windows = folder_windows(ASSETS / "images" / "nips2017", model.canvas, most=JUDGED)
    for part in windows.split(20):
        whole = model.canvas.place(seal.as_read(part), seal.around(seal.cleared(part)))
        levels = GRIDS["png8"].index(whole)
        counts += torch.bincount(levels.flatten().long(), minlength=256)
        v = (levels - 127.5).double()
        before = torch.cat([v[:1] if held is None else held, v])
        for place, (a, b) in enumerate(
            ((v[..., 1:], v[..., :-1]), (v[:, :, 1:], v[:, :, :-1]), (v[:, 1:], v[:, :-1]), (before[1:], before[:-1]))
        ):  # fmt: skip
            if place == 3 and held is None:
                a, b = a[1:], b[1:]
            sums[place] += float((a * b).sum())
            total[place] += a.numel()
        held = v[-1:]
    found = stats.chisquare(counts.numpy())
    print(
        f"bytes: chi-square {found.statistic:.0f} of 255 degrees, p = {found.pvalue:.2f}, n={int(counts.sum()):,}"
    )
    power = float((torch.arange(256) - 127.5).square().mean())
    for place, name in enumerate(("across", "down", "channels", "files")):
        r = float(sums[place] / total[place]) / power
        print(
            f"{name}: correlation {r:+.1e}, z = {r * math.sqrt(float(total[place])):+.2f}, n={int(total[place]):,}"
        )


def rivals(runs: int) -> None:
    model, _, rival = models(ASSETS)
    seal = seal_secret(model, secret=bytes(32))
    images, labels = lessons(ASSETS, TAUGHT)
    judged, truth = tests(ASSETS, JUDGED)
    sealed, others = _sealed(seal, images), _sealed(seal, judged)
    low, high = stats.binom.ppf([0.025, 0.975], JUDGED, 0.1) / JUDGED
    print(f"chance .10: of {JUDGED} files 95 % lie from {low:.3f} to {high:.3f}")
    _said("the copy's model on opened files", share(answers(model, seal.opened(others)), truth))
    _said("ResNet-20 itself, as it is", share(answers(model, others), truth))
    _said("ResNet-32, as it is", share(answers(rival, others), truth))
    values = rival.canvas.normalise(sealed)
    flat, given = values.flatten(1).double(), rival.canvas.normalise(others).flatten(1).double()
    wanted = nn.functional.one_hot(labels).double() - 0.1
    best = 0.0
    for weight in (1e2, 1e4, 1e6):
        inner = flat @ flat.T + weight * torch.eye(len(flat))
        said = given @ (flat.T @ torch.linalg.solve(inner, wanted))
        best = max(best, share(said.argmax(1), truth))
    _said("ridge, best of 3 weights", best)
    score = reader(rival.canvas.normalise(others), truth, half=False)
    made = learn(fresh(rival), values, labels, Course(rate=0.03, epochs=runs, half=False), score)
    _said(f"ResNet-32, fine-tuned, best of {len(made.curve)} looks", made.best)


def from_scratch(runs: int) -> None:
    model, _, rival = models(ASSETS)
    seal = seal_secret(model, secret=bytes(32))
    images, labels = lessons(ASSETS, TAUGHT)
    judged, truth = tests(ASSETS, JUDGED)
    normalise = rival.canvas.normalise
    for files, known, shown in (
        ("sealed", _sealed(seal, images), _sealed(seal, judged)), ("unsealed", images, judged),
    ):  # fmt: skip
        score = reader(normalise(shown), truth, half=False)
        for name, net, rate in (
            ("plain convolutions", scratch(Vgg()), 0.03), ("ResNet-32", scratch(fresh(rival)), 0.1),
        ):  # fmt: skip
            course = Course(rate=rate, epochs=runs, half=False)
            made = learn(net, normalise(known), labels, course, score)
            _said(f"{name} from scratch, {files}, best of {len(made.curve)} looks", made.best)


def _sealed(seal: SealSecret, images: Tensor) -> Tensor:
    return torch.cat([seal.as_read(part) for part in images.split(100)])


def _said(name: str, value: float) -> None:
    found = wilson(round(value * JUDGED), JUDGED)
    print(f"{name}: {value:.3f} [{found.low:.3f}, {found.high:.3f}] of {JUDGED}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("part", choices=("cost", "noise", "rivals", "scratch"))
    parser.add_argument("--runs", type=int, default=15, help="of cost; else epochs")
    asked = parser.parse_args()
    torch.manual_seed(0)
    parts = {"cost": cost, "noise": noise, "rivals": rivals, "scratch": from_scratch}
    parts[asked.part](asked.runs)
