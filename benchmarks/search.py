"""What it costs to keep features, and what others then learn: forwards an image, fidelity, adapted rivals.

ResNet-20 authorized on CIFAR-10; ResNet-32, pretrained, is fine-tuned on labelled files (SGD .03, cosine,
10 epochs, the best look at the test files). A line is a cell; WORK keeps files, so that a second run
goes on. With --photographs, DeiT-tiny on photographs against rivals as they are; with --vision, the tiny
models of tests/models/vlm, whose vision side is met. From the project's root:

    python benchmarks/search.py ASSETS --work WORK --within 0.3 0.1 --lessons 2000 --tests 500
    python benchmarks/search.py ASSETS --work WORK --keep layer:layer3 --within 0.3 --lessons 0 --tests 24
    python benchmarks/search.py ASSETS --work WORK --within 0.1 --photographs 200 --rivals MODEL ...
    python benchmarks/search.py ASSETS --work WORK --within 0.03 --vision internvl --tests 16 --tiles
"""

import argparse
import runpy
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from cifar import Course, Lines, answers, fresh, learn, lessons, models, reader, share, tests
from torch import Tensor, nn

from catch11 import build_key, load_model
from catch11.data.windows import as_pictures, folder_windows
from catch11.evaluation.metrics import auc
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder

PART = 64  # windows searched together


def searched(recoder: DeepRecoder, windows: Tensor, cache: Path) -> dict[str, Tensor]:
    """Points, gaps, steps, distances and changes of windows; a cache keeps the finished parts."""
    held: dict[str, Tensor] = torch.load(cache, weights_only=True) if cache.exists() else {}
    done = len(held["steps"]) if held else 0
    while done < len(windows):
        part = windows[done : done + PART]
        streams = [recoder.stream(window) for window in part]
        begun = time.process_time()
        found = recoder.search(part, streams)
        spent = torch.full((len(part),), (time.process_time() - begun) / len(part))
        starts = [recoder.begin.at(recoder.key, w, recoder.stream(w)) for w in part]
        new = {
            "points": found.points, "gaps": found.gaps, "steps": found.steps, "seconds": spent,
            "distances": torch.tensor(recoder.distances(found.points, part)),
            "change": (found.points - torch.stack(starts)) * 255.0,
        }  # fmt: skip
        held = {name: torch.cat([held[name], v]) if held else v for name, v in new.items()}
        done += len(part)
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save(held, cache)
        print(
            f"# {done} of {len(windows)}, {float(held['steps'].float().mean()) + 1:.1f} forwards",
            flush=True,
        )
    return {name: values[: len(windows)] for name, values in held.items()}


def line_of(made: dict[str, Tensor]) -> dict[str, float]:
    """What a search cost, and how near it came."""
    change = made["change"].flatten(1)
    return {
        "n": len(made["steps"]),
        "most": int(made["steps"].max()) + 1,
        "forwards": round(float(made["steps"].float().mean()) + 1, 1),
        "withheld": round(float((made["gaps"] < 0).float().mean()), 4),
        "distance": round(float(made["distances"].median()), 4),
        "rms": round(float(change.square().mean(1).sqrt().mean()), 2),
        "max": round(float(change.abs().amax(1).mean()), 1),
        "seconds": round(float(made["seconds"].mean()), 3),
    }


def thumbnails(asked: argparse.Namespace, within: float, lines: Lines) -> None:
    """One tolerance on thumbnails, and what a fine-tuned rival reads."""
    name = "" if asked.keep == "features" else asked.keep.replace(":", "-")
    lines.add({"kept": asked.keep, "within": within, **taught(asked, within, DeepRecoder, name)})


def taught(
    asked: argparse.Namespace, within: float, kind: type[DeepRecoder], name: str
) -> dict[str, object]:
    """What a search by a recoder of this kind costs, and what a fine-tuned rival reads. name: of its cache."""
    model, key, rival = models(asked.assets)
    held, truth = tests(asked.assets, asked.tests)
    some, labels = lessons(asked.assets, asked.lessons) if asked.lessons else (held[:0], truth[:0])
    recoder = kind(model, key, keep=asked.keep, tolerance=within, chunk=PART)
    made = searched(recoder, torch.cat([held, some]), asked.work / f"{name}within{within:g}.pt")
    files = made["points"]
    found = {**line_of(made), "same answers": share(answers(model, files[: len(held)]), answers(model, held))}  # fmt: skip
    if not len(some):
        return found
    judged, learnt_from = files[: len(held)], files[len(held) :]
    see = rival.canvas.normalise
    course = Course(rate=0.03, epochs=10, half=False, low=0.0)
    score, areas = reader(see(judged), truth, half=False), []

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
    return round(sum(found.estimate for found in each) / len(here), 4)


def photographs(asked: argparse.Namespace, within: float, lines: Lines) -> None:
    """One tolerance on photographs: DeiT-tiny, and rivals as they are, against its clean answers."""
    model = load_model(f"hf:{asked.assets / 'models' / 'deit-tiny-patch16-224'}")
    assert isinstance(model, Model)
    key = build_key(model, secret=bytes(32))
    windows = folder_windows(
        asked.assets / "images" / "nips2017", key.canvas, most=asked.photographs
    )
    recoder = DeepRecoder(model, key, keep="features", tolerance=within)
    made = searched(recoder, windows, asked.work / f"photographs{within:g}.pt")
    lines.add({
        "kept": "features", "within": within, **line_of(made),
        "same answers": share(answers(model, made["points"]), answers(model, windows)),
        "rivals": {spec.split("/")[-1]: _same(load_model(spec), model, made["points"], windows) for spec in asked.rivals},
    })  # fmt: skip


def vision(asked: argparse.Namespace, within: float, lines: Lines) -> None:
    """One tolerance on the vision side of a tiny model, before and behind its projection."""
    tiny = runpy.run_path("tests/models/vlm/tiny.py")
    side = 112 if asked.tiles else 56
    query = "size=112x112&stack=0" if asked.tiles else "size=56x56&tokens=6"
    model = tiny["tiny"](asked.vision, 0, query)
    shown = tiny["windows"](tiny["pictures"](asked.tests, height=side, width=side))
    recoder = DeepRecoder(
        model, build_key(model, secret=bytes(32)), at="tower.vision,tower",
        agreement=f"match<{within:g}", margin=0.05, radius=128.0, steps=300,
    )  # fmt: skip
    made = searched(recoder, recoder.domain.clean(shown), asked.work / f"{asked.vision}{side}within{within:g}.pt")  # fmt: skip
    lines.add({"kept": asked.vision, "within": within, **line_of(made)})


def _same(rival: Model, model: Model, made: Tensor, clean: Tensor) -> float:
    """The share of a rival's clean answers that it gives on the files."""
    a, b = (rival.preprocess(as_pictures(w, model.canvas)) for w in (made, clean))
    return share(rival.logits(a).argmax(1), rival.logits(b).argmax(1))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("assets", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--within", type=float, nargs="+", default=[0.3, 0.1])
    parser.add_argument("--keep", default="features")
    parser.add_argument("--lessons", type=int, default=2000)
    parser.add_argument("--tests", type=int, default=500)
    parser.add_argument("--photographs", type=int, default=0)
    parser.add_argument("--rivals", nargs="*", default=[])
    parser.add_argument("--vision", choices=("internvl", "qwen2_5_vl"))
    parser.add_argument("--tiles", action="store_true", help="four of them, with --vision internvl")
    asked = parser.parse_args(words)
    torch.set_num_threads(1)
    lines = Lines(asked.work / "lines.jsonl")
    for within in asked.within:
        (vision if asked.vision else photographs if asked.photographs else thumbnails)(
            asked, within, lines
        )


if __name__ == "__main__":
    main()
