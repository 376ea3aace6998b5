"""§5.3, run time: what recoding costs, as ratios within one run, which mean more than times.

Yardsticks: the published arithmetic (unfold, draw, multiply, add, fold), one forward pass of the
authorized model, and decoding and encoding the same pictures with nothing in between.
"""

import io
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import torch
from PIL import Image

from catch11.baselines import published
from catch11.data.windows import as_pictures
from catch11.errors import EmptySubspace
from catch11.evaluation.cells import Cell
from catch11.evaluation.record import Record
from catch11.keys.key import build_key
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.threads import torch_threads
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place
from catch11.studies.tables import pivot
from catch11.studies.trial import STRENGTH, Trial

RUNS = {"quick": 3, "full": 9}
IMAGES = {"quick": 8, "full": 64}
FAMILIES = ("photographs", "thumbnails")
KEY = "key"  # made once, whatever the number of pictures


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    return [
        Cell(name=f"{family}: {place.names(family)[0]}", settings={
            "family": family, "authorized": place.names(family)[0], "n": IMAGES[scale],
            "runs": RUNS[scale],
        })
        for family in FAMILIES
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """Processor time of each task, all tasks in turn in every run, so that a ratio is of one run."""
    trial, runs = Trial.of(cell, place), int(str(cell.settings["runs"]))
    tasks = works(trial)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    with torch_threads(1):
        for task in tasks.values():
            task()
        for _ in range(runs):
            for name, task in tasks.items():
                start = time.process_time()
                task()
                share = 1 if name == KEY else len(trial.clean)
                times[name].append((time.process_time() - start) / share * 1000)
    records = [
        _record(trial, name, "ms in all" if name == KEY else "ms an image", values)
        for name, values in times.items()
    ]
    for name in ("spectral", "deep"):
        for yardstick in ("published arithmetic", "forward pass", "decode and encode"):
            if yardstick in times:
                ratios = [a / b for a, b in zip(times[name], times[yardstick], strict=True)]
                records.append(_record(trial, name, f"of a {yardstick}", ratios))
    return records


def works(trial: Trial) -> dict[str, Callable[[], object]]:
    """Tasks by name, each on all pictures."""
    model, clean, key = trial.model, trial.clean, trial.key
    recoder = SpectralRecoder(key, psnr=STRENGTH[trial.kind])
    deep = DeepRecoder(model, key)
    files = [_encoded(picture) for picture in as_pictures(clean, model.canvas)]
    tasks: dict[str, Callable[[], object]] = {
        KEY: lambda: build_key(model),
        "spectral": lambda: recoder(clean),
        "deep": lambda: deep(clean),
        "forward pass": lambda: model.logits(model.canvas.normalise(clean)),
        "decode and encode": lambda: [
            _encoded(Image.open(io.BytesIO(data)).convert("RGB")) for data in files
        ],
    }
    try:
        layer = published.stem(model)
        generator = torch.Generator().manual_seed(0)
        inside = published.insensitive(layer)
        tasks["published arithmetic"] = lambda: published.recoded(
            layer, inside, model.canvas.normalise(clean), 20.0, generator=generator
        )
    except (EmptySubspace, published.NoStem):
        pass
    return tasks


def _encoded(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def _record(trial: Trial, name: str, metric: str, values: Sequence[float]) -> Record:
    """Median and range of the runs."""
    return Record(
        model=trial.authorized, role="authorized", condition="nte", metric=metric,
        value=median(values), low=min(values), high=max(values), n=len(values), confidence=1.0,
        settings={"task": name},
    )  # fmt: skip


STUDY = Study(
    name="runtime",
    title="What recoding costs",
    source="paper, §5.3",
    cells=cells,
    work=work,
    view=partial(
        pivot,
        row={"model": lambda r: r.model, "task": lambda r: str(r.settings["task"])},
        column=lambda r: r.metric,
        caption="median of the runs with their range, processor time of one thread",
    ),
    alone=True,
)
