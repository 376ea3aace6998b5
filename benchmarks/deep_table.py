"""Deep recoding on real models: who still reads the files, as they are and after codecs, and the cost.

Every picture is written as a PNG and read back through each model's own preprocessing. Prints JSON
lines. For instance, from the project's root:

    python benchmarks/deep_table.py hf:ASSETS/models/deit-tiny-patch16-224 --rivals
    onnx:ASSETS/models/squeezenet1_1.onnx onnx:ASSETS/models/mobilenet_v2_1.0_224.onnx
    --images ASSETS/images/nips2017 --count 500

For ResNet-20 the same architecture trained anew is one more rival: `python -m catch11.studies.nets.twin ASSETS`
prints its spec.
"""

import argparse
import csv
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from catch11 import DeepRecoder, build_key, load_model
from catch11.crypto.stream import KeyedStream
from catch11.data.pictures import fit_picture, open_picture
from catch11.models.frame import Model
from catch11.recoding.codecs import survival
from catch11.recoding.deep.descent import Descended

BATCH = 16


def labelled(folder: Path, count: int) -> Iterator[tuple[Path, int]]:
    """Pictures of the NIPS-2017 set with their class index, or of class folders in sorted order."""
    table = folder / "images.csv"
    if table.is_file():
        with table.open(newline="") as rows:
            for row in list(csv.DictReader(rows))[:count]:
                yield next(folder.rglob(f"{row['ImageId']}.*")), int(row["TrueLabel"]) - 1
        return
    classes = sorted(p for p in folder.iterdir() if p.is_dir())
    columns = [sorted(c.iterdir()) for c in classes]
    for place in range(-(-count // len(classes))):
        for index, column in enumerate(columns):
            yield column[place], index


def pixels(picture: Image.Image, model: Model) -> Tensor:
    array = np.array(fit_picture(picture, model.canvas))
    return torch.from_numpy(array).permute(2, 0, 1).float() / 255.0


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    def change(picture: Image.Image) -> Image.Image:
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality)
        return Image.open(data).convert("RGB")

    return change


def answers(model: Model, files: Sequence[Image.Image]) -> Tensor:
    parts = [files[i : i + BATCH] for i in range(0, len(files), BATCH)]
    return torch.cat([model.logits(model.preprocess(p)) for p in parts]).argmax(1)


class Watched(DeepRecoder):
    """Notes where every search stopped."""

    notes: ClassVar[list[Descended]] = []

    def search(self, windows: Tensor, streams: Sequence[KeyedStream]) -> Descended:
        found = super().search(windows, streams)
        self.notes.append(found)
        return found


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("model")
    ask.add_argument("--rivals", nargs="*", default=[])
    ask.add_argument("--images", type=Path, required=True)
    ask.add_argument("--release", type=Path, help="Read the files of this release; make none.")
    ask.add_argument("--count", type=int, default=64)
    ask.add_argument("--survive", default="")
    ask.add_argument("--radius", default="auto")
    ask.add_argument("--margin", type=float, default=0.5)
    ask.add_argument("--steps", type=int, default=60)
    ask.add_argument("--agreement", default="top1")
    ask.add_argument("--at", default="logits")
    ask.add_argument("--look", default="noise")
    ask.add_argument("--decoys", type=int, default=0, help="Start from the last N of the pictures.")
    ask.add_argument("--also", nargs="*", default=[])
    ask.add_argument("--against", nargs="*", default=[])
    ask.add_argument("--precision", default="float32")
    ask.add_argument("--chunk", type=int, default=BATCH)
    ask.add_argument("--codecs", type=int, nargs="*", default=[90, 75, 50])
    ask.add_argument("--sheet", type=Path, help="Write the first eight pictures and files there.")
    ask.add_argument("--threads", type=int, default=1)
    given = ask.parse_args()
    torch.set_num_threads(given.threads)
    model = load_model(given.model)
    rows = list(labelled(given.images, given.count + given.decoys))
    rows, spare = rows[: given.count], rows[given.count :]
    if given.release is not None:
        rows = [(path, label) for path, label in rows if _file(given, path).is_file()]
        files = [open_picture(_file(given, path)) for path, _ in rows]
        print(json.dumps({"model": model.name, "asked": given.count, "written": len(rows)}))
        kept = torch.ones(len(rows), dtype=torch.bool)
    sources = [open_picture(path) for path, _ in rows]
    truth = torch.tensor([label for _, label in rows])
    clean = answers(model, sources)
    also = [load_model(spec) for spec in given.also]
    if given.release is None:
        decoys = [pixels(open_picture(path), model) for path, _ in spare]
        recoder = Watched(
            model, build_key(model, energy=0.01, secret=bytes(32)), at=given.at, steps=given.steps,
            radius=given.radius if given.radius == "auto" else float(given.radius),
            agreement=given.agreement, margin=given.margin, survive=survival(given.survive),
            start=model.canvas.window(torch.stack(decoys)) if decoys else "noise", look=given.look,
            also=also, against=[load_model(spec) for spec in given.against],
            precision=given.precision, chunk=given.chunk,
        )  # fmt: skip
        files, kept = made(recoder, model, sources)
    if given.sheet is not None:
        sheet(sources, files, model, given.sheet)

    codecs: dict[str, Callable[[Image.Image], Image.Image]] = {"png": lambda v: v}
    codecs |= {f"jpeg {q}": jpeg(q) for q in given.codecs}
    for reader in (model, *also, *(load_model(rival) for rival in given.rivals)):
        own = clean if reader is model else answers(reader, sources)
        line = {"reader": reader.name, "clean": accuracy(own, truth)}
        for name, change in codecs.items():
            told = answers(reader, [change(file) for file in files])
            line[name] = accuracy(told[kept], truth[kept])
            line[f"{name}, as the authorized"] = accuracy(told[kept], clean[kept])
            if reader in also:
                line[f"{name}, as its own"] = accuracy(told[kept], own[kept])
        print(json.dumps(line), flush=True)


def made(
    recoder: Watched, model: Model, sources: Sequence[Image.Image]
) -> tuple[list[Image.Image], Tensor]:
    """The files, and which of them may be released; prints what they cost."""
    whole = torch.stack([pixels(picture, model) for picture in sources])
    spent = time.process_time()
    recoded = recoder(whole)
    spent = (time.process_time() - spent) / len(whole)
    one = time.process_time()
    values = model.canvas.normalise(model.canvas.window(whole[:64]))
    with torch.no_grad():
        for part in values.split(recoder.batch):
            model.forward(part)
    one = (time.process_time() - one) / len(values)
    steps = [int(s) for found in recoder.notes for s in found.steps]
    print(json.dumps({
        "model": model.name, "count": len(whole), **recoder.settings,
        "withheld": sum(reason is not None for reason in recoded.reasons),
        "steps_median": statistics.median(steps), "steps_most": max(steps),
        "forward_s": round(one, 4), "forwards_an_image": round(spent / one, 1),
        "psnr_median": round(statistics.median(recoded.psnr), 2),
    }), flush=True)  # fmt: skip
    levels = (recoded.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    kept = torch.tensor([reason is None for reason in recoded.reasons])
    return [Image.fromarray(level) for level in levels], kept


def sheet(
    sources: Sequence[Image.Image], files: Sequence[Image.Image], model: Model, path: Path
) -> None:
    """The first eight pictures above their files."""
    height, width = model.canvas.height, model.canvas.width
    paper = Image.new("RGB", (8 * width, 2 * height))
    for place, (source, file) in enumerate(zip(sources[:8], files, strict=False)):
        paper.paste(
            Image.fromarray(np.array(fit_picture(source, model.canvas))), (place * width, 0)
        )
        paper.paste(file, (place * width, height))
    paper.save(path)


def _file(given: argparse.Namespace, source: Path) -> Path:
    """The released file of a source, at its place in the tree."""
    return given.release / source.relative_to(given.images).with_suffix(".png")


def accuracy(answer: Tensor, meant: Tensor) -> float:
    return round(float((answer == meant).float().mean()), 4)


if __name__ == "__main__":
    main()
