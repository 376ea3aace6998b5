"""The demo: real photographs released for EfficientNet-Lite0, and what it and others read in them.

Everything goes through the same doors as real use, and what others read is asked of the files as
written. The photographs have no labels: right is what the authorized model says of the original.
"""

import csv
from collections.abc import Callable
from os import cpu_count
from pathlib import Path

from catch11.data.pictures import open_picture
from catch11.errors import InvalidArgument
from catch11.evaluation.verify import verify
from catch11.keys.key import build_key
from catch11.models.frame import Model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.threads import torch_threads
from catch11.releases.engine import release
from catch11.releases.read import read_release, sources_of
from catch11.studies.demo.frame import Demo, Step, clear
from catch11.studies.demo.readings import Row, draw_readings, read_row
from catch11.studies.nets.lite import lite
from catch11.studies.nets.pupil import EACH, pupil
from catch11.studies.photographs import MOST, write_pictures

CORES = min(2, cpu_count() or 1)
SHOWN = ("cat-0.png", "coffee-0.png", "motorcycle-0.png", "photographer-0.png", "palace-0.png")
# In the order of the models.
WHO = {
    "EfficientNet-Lite0": "the authorized model",
    "EfficientNet-Lite1": "another model",
    "EfficientNet-Lite2": "another model",
    "small net": "trained on like pictures",
}
# A strong answer, since people look at the share that a model gives it; by default it only leads.
MARGIN = 3.0
# Processor seconds of a square labelled and learned, a file recoded, a file verified: the estimate.
LEARN, RECODE, VERIFY = 0.27, 1.6, 2.1


def photograph_demo(
    folder: Path, *, count: int = MOST, each: int = EACH, step: Step | None = None
) -> Demo:
    """Train a small rival, release `count` pictures for Lite0 by the deep recoder, verify, draw.

    folder: made, or emptied if an earlier demo made it. each: squares a photograph that the rival
    learns from. Raises InvalidArgument, MissingExtra.
    """
    if not 1 <= count <= MOST:
        raise InvalidArgument("count", expected=f"1 to {MOST} photographs and squares", found=count)
    authorized, *sisters = map(lite, range(3))  # first of all: is the extra there?
    clear(folder)
    source, released = folder / "source", folder / "released"
    pictures = write_pictures(source, count=count)
    parts = {"training a small rival": LEARN * 8 * each, "recoding": RECODE * count,
             "reading the files": VERIFY * count}  # fmt: skip
    learning, recoding, reading = (_part(step, parts, name) for name in parts)
    learning(0, 1)
    rivals = [*sisters, pupil(each)]
    answers = authorized.answers(authorized.preprocess(list(pictures.values()))).tolist()
    labels = dict(zip(pictures, answers, strict=True))
    _write_answers(folder / "answers.csv", labels)
    recoder = DeepRecoder(authorized, build_key(authorized), margin=MARGIN, chunk=4)
    with torch_threads(1):  # as many pictures at a time as there are cores, each on one
        release(
            source, released, recoder, check=authorized, names="opaque", workers=CORES,
            progress=recoding,
        )  # fmt: skip
    found = verify(
        released, authorized, rivals=rivals, labels=labels, source=source, key=recoder.key,
        batch=4, progress=reading,
    )  # fmt: skip
    picture = folder / "readers.png"
    draw_readings(picture, _rows(source, released, [authorized, *rivals]), WHO)
    return Demo(results={"deep": found}, picture=picture, folder=folder)


def _part(step: Step | None, parts: dict[str, float], name: str) -> Callable[..., None]:
    """Progress of one part as that of the whole, in processor seconds."""
    before = sum(list(parts.values())[: list(parts).index(name)])

    def tell(done: int, total: int, file: str = "") -> None:
        if step is not None:
            at = before + parts[name] * done / total
            step(name, round(at), round(sum(parts.values())))

    return tell


def _write_answers(path: Path, labels: dict[str, int]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label"), *labels.items()])


def _rows(source: Path, released: Path, models: list[Model]) -> list[Row]:
    """A few whole photographs with what each model says of source and file, by stock pipelines."""
    held = read_release(released)
    origin = {
        row.source: file for file, row in sources_of(held, f"{released}.ledger.jsonl").items()
    }
    entries = {entry.file: entry for entry in held.entries}
    rows = []
    for name in SHOWN:
        if name in origin:
            file = held.picture(entries[origin[name]])
            rows.append(read_row(models, open_picture(source / name), file))
    return rows
