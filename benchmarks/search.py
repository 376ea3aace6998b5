"""What it costs to keep features, and what others then learn: forwards an image, fidelity, adapted rivals.

ResNet-20 authorized on CIFAR-10; ResNet-32, pretrained, is fine-tuned on labelled files (SGD .03, cosine,
10 epochs, the best look at the test files). Prints a line a tolerance. With --photographs, DeiT-tiny on photographs against
rivals as they are; with --vision, tiny vision-language models, whose vision side is met; with --idea, other ways to search.
With --plot it measures nothing and draws benchmarks/records/search.jsonl: whiskers are Wilson intervals of 95 % over the test files;
hollow circles learnt from fewer files than the most.
"""

import json
import runpy
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from torch import Tensor, nn

from benchmarks.assets import ROOT
from benchmarks.cache import Columns, kept
from benchmarks.frame import ASSETS, WORK, Assets, Work, among
from benchmarks.learning import Course, fresh, learn, reader
from benchmarks.lines import Lines
from benchmarks.named import KNOWN, model_of
from benchmarks.photographs import Photographs
from benchmarks.starts import Bisected, Octaves, White
from benchmarks.thumbnails import answers, lessons, models, share, tests
from catch11 import DeepRecoder, build_key
from catch11.data.windows import as_pictures
from catch11.evaluation.interval import wilson
from catch11.evaluation.metrics import auc
from catch11.lab import needed
from catch11.models.frame import Model

PART = 64  # windows searched together
CHANCE, CLEAN = 0.1, 0.82  # of ten classes; of ResNet-32 on clean thumbnails
AREA = 2.5  # square points that a forward pass takes
loaded = cache(runpy.run_path)  # whose models lie in a folder that ends with it
RECORDS = Path(__file__).parent / "records" / "search.jsonl"
IDEAS: dict[str, type[DeepRecoder]] = {
    "as it is": DeepRecoder, "octaves": Octaves, "white": White, "bisected": Bisected,
}  # fmt: skip


def search(
    within: Annotated[list[float], typer.Option(help="Tolerances; repeatable.")] = [0.3, 0.1],
    keep: Annotated[str, typer.Option(help="features or layer:NAME.")] = "features",
    idea: Annotated[list[str], typer.Option(callback=among(IDEAS), help=f"How to search: {', '.join(IDEAS)}; repeatable.")] = ["as it is"],
    lessons: Annotated[int, typer.Option(help="Files to learn from; 0 for no learning.")] = 2000,
    tests: Annotated[int, typer.Option(help="Files to judge by.")] = 500,
    photographs: Annotated[int, typer.Option(help="So many, instead of thumbnails.")] = 0,
    rival: Annotated[list[str], typer.Option(help=f"With --photographs: {KNOWN}; repeatable.")] = [],
    vision: Annotated[Literal["internvl", "qwen2_5_vl"] | None, typer.Option(help="Of a tiny model, instead of thumbnails.")] = None,
    tiles: Annotated[bool, typer.Option("--tiles", help="Four of them, with --vision internvl.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the records there; measure nothing.")] = None,
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:  # fmt: skip
    if plot is not None:
        draw([json.loads(line) for line in RECORDS.read_text().splitlines()], plot)
        return
    lines = Lines(work / "search.jsonl")
    for tolerance in within:
        if vision is not None:
            lines.add(
                {"kept": vision, "within": tolerance, **seen(work, tolerance, vision, tests, tiles)}
            )
        elif photographs:
            found = unlike(assets, work, tolerance, photographs, rival)
            lines.add({"kept": "features", "within": tolerance, **found})
        else:
            for name in idea:
                found = taught(assets, work, tolerance, keep, name, lessons, tests)
                lines.add({"kept": keep, "within": tolerance, "idea": name, **found})


def searched(recoder: DeepRecoder, windows: Tensor, cache: Path) -> Columns:
    """Points, gaps, steps, distances and changes of windows."""

    def work(part: Tensor) -> Columns:
        streams = [recoder.stream(window) for window in part]
        begun = time.process_time()
        found = recoder.search(part, streams)
        spent = torch.full((len(part),), (time.process_time() - begun) / len(part))
        starts = [recoder.begin.at(recoder.key, w, recoder.stream(w)) for w in part]
        return {
            "points": found.points, "gaps": found.gaps, "steps": found.steps, "seconds": spent,
            "distances": torch.tensor(recoder.distances(found.points, part)),
            "change": (found.points - torch.stack(starts)) * 255.0,
        }  # fmt: skip

    return kept(cache, windows, work, together=PART)


def cost(made: Columns) -> dict[str, Any]:
    """What a search cost, and how near it came."""
    change = made["change"].flatten(1)
    return {
        "n": len(made["steps"]),
        "most": int(made["steps"].max()) + 1,
        "forwards": float(made["steps"].float().mean()) + 1,
        "withheld": float((made["gaps"] < 0).float().mean()),
        "distance": float(made["distances"].median()),
        "rms": float(change.square().mean(1).sqrt().mean()),
        "max": float(change.abs().amax(1).mean()),
        "seconds": float(made["seconds"].mean()),
    }


def taught(assets: Path, work: Path, within: float, keep: str, idea: str, count: int, judges: int) -> dict[str, Any]:  # fmt: skip
    """One tolerance on thumbnails: what a search costs, and what a fine-tuned rival reads."""
    model, key, rival = models(assets)
    held, truth = tests(assets, judges)
    some, labels = lessons(assets, count) if count else (held[:0], truth[:0])
    recoder = IDEAS[idea](model, key, keep=keep, tolerance=within, chunk=PART)
    name = f"{keep}-{idea}-within{within:g}.pt".replace(":", "-").replace(" ", "-")
    made = searched(recoder, torch.cat([held, some]), work / name)
    judged, learnt_from = made["points"][:judges], made["points"][judges:]
    found = {**cost(made), "same answers": share(answers(model, judged), answers(model, held))}
    if not count:
        return found
    see = rival.canvas.normalise
    course = Course(rate=0.03, epochs=10, half=False, low=0.0)
    score, areas = reader(see(judged), truth, half=False), list[float]()

    def look(net: nn.Module) -> float:
        areas.append(area(net, see(judged), truth))
        return score(net)

    learnt = learn(fresh(rival), see(learnt_from), labels, course, look)
    return {
        **found, "as is": share(answers(rival, judged), truth), "adapted": learnt.best, "area": max(areas),
        "lessons": len(some), "tests": len(held),
    }  # fmt: skip


def area(net: nn.Module, images: Tensor, truth: Tensor) -> float:
    """Under the ROC curve of each class against the rest, the mean over classes that are there; .5 is chance.

    Finer than the share of right answers: it counts how far up the right class comes.
    """
    with torch.no_grad():
        logits = torch.cat([net(part) for part in images.split(200)]).double()
    here = [c for c in range(logits.shape[1]) if 0 < int((truth == c).sum()) < len(truth)]
    each = [auc(logits[truth == c, c].numpy(), logits[truth != c, c].numpy()) for c in here]
    return sum(found.estimate for found in each) / len(here)


def unlike(assets: Path, work: Path, within: float, count: int, rivals: list[str]) -> dict[str, Any]:  # fmt: skip
    """One tolerance on photographs: DeiT-tiny, and rivals as they are, against its clean answers."""
    shown = Photographs(assets)
    model, windows = shown.model, shown.windows(count)
    key = build_key(model, secret=bytes(32))
    recoder = DeepRecoder(model, key, keep="features", tolerance=within)
    made = searched(recoder, windows, work / f"photographs{within:g}.pt")
    points = made["points"]

    def same(other: Model) -> float:
        """The share of a rival's clean answers that it gives on the files."""
        a, b = (other.preprocess(as_pictures(w, model.canvas)) for w in (points, windows))
        return share(other.logits(a).argmax(1), other.logits(b).argmax(1))

    return {
        **cost(made), "same answers": share(answers(model, points), answers(model, windows)),
        "rivals": {name: same(model_of(assets, name)) for name in rivals},
    }  # fmt: skip


def seen(work: Path, within: float, family: str, count: int, tiles: bool) -> dict[str, Any]:
    """One tolerance on the vision side of a tiny model, before and behind its projection."""
    tiny = loaded(str(ROOT / "tests" / "models" / "vlm" / "tiny.py"))
    side = 112 if tiles else 56
    model = tiny["tiny"](family, 0, "size=112x112&stack=0" if tiles else "size=56x56&tokens=6")
    shown = tiny["windows"](tiny["pictures"](count, height=side, width=side))
    recoder = DeepRecoder(
        model, build_key(model, secret=bytes(32)), at="tower.vision,tower",
        agreement=f"match<{within:g}", margin=0.05, radius=128.0, steps=300,
    )  # fmt: skip
    clean = recoder.domain.clean(shown)
    return cost(searched(recoder, clean, work / f"{family}{side}within{within:g}.pt"))


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """One circle a search, numbered, and named beside."""
    figure = needed("matplotlib.figure").Figure(figsize=(9, 4.5), layout="tight")
    axis = figure.subplots()
    names: list[str] = []
    most = max(line["lessons"] for line in lines)
    places = {within: i for i, within in enumerate(sorted({row["within"] for row in lines}))}
    for place in places.values():
        rows = [row for row in lines if places[row["within"]] == place]
        for beside, row in enumerate(sorted(rows, key=lambda row: float(row["adapted"]))):
            across = place + 0.6 * (beside + 0.5) / len(rows)
            ends = wilson(round(row["adapted"] * row["tests"]), row["tests"])
            axis.plot([across, across], [ends.low, ends.high], color="grey", linewidth=1, zorder=1)
            axis.scatter(
                across, row["adapted"], s=AREA * row["forwards"], zorder=2, edgecolors="C0",
                color="C0" if row["lessons"] == most else "white",
            )  # fmt: skip
            names.append(f"{len(names) + 1}  {row['search']}, {row['forwards']:g}")
            axis.annotate(
                str(len(names)), (across, ends.high), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=8,
            )  # fmt: skip
    axis.text(1.03, 1.0, "\n".join(["search, forwards an image", *names]), va="top", fontsize=8,
              transform=axis.transAxes)  # fmt: skip
    for level, name in ((CHANCE, "chance"), (CLEAN, "clean")):
        axis.axhline(level, color="grey", linestyle=":")
        axis.annotate(name, (0.0, level), fontsize=7, color="grey", xytext=(-28, 2),
                      textcoords="offset points")  # fmt: skip
    axis.set_xticks([place + 0.3 for place in places.values()], [f"{w:g}" for w in places])
    axis.set(
        xlabel="features kept within", ylabel="ResNet-32 fine-tuned on the files", ylim=(0, 1),
        xlim=(-0.15, len(places)),
    )  # fmt: skip
    figure.savefig(path, dpi=120)
