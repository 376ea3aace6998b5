"""Ray workers: two against one, and one against this process, on the same pictures, as ratios in one run.

Prints a line a ratio, then what this process computes a picture: however many workers, no run is faster than that. Some
hundred pictures, fewer are over too soon; of each run the second half is timed, when its workers are there.

With --data, Ray Data against the actors of `--engine ray`, on photographs, in turns, each run a process with a Ray of its
own: time of whole runs, of their second halves and to the first picture; peak memory of the process that keeps the lists; pictures done
twice when a worker is killed; pictures begun while the reader took one and waited 20 s. That needs pandas and pyarrow.
"""

import logging
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from benchmarks.cluster_data import beside_data
from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import show
from benchmarks.photographs import Photographs, margined
from benchmarks.timing import spread
from catch11 import SpectralRecoder, release
from catch11.errors import InvalidArgument
from catch11.lab import needed

LEAST = 21  # pictures


def cluster(
    pictures: Annotated[int, typer.Option(help="Of a run.")] = 384,
    rounds: Annotated[int, typer.Option(help="In which they take turns.")] = 3,
    data: Annotated[bool, typer.Option("--data", help="Ray Data against the actors.")] = False,
    assets: Assets = ASSETS,
) -> None:
    if pictures < LEAST:
        raise InvalidArgument("pictures", expected=f"{LEAST} or more", found=pictures)
    with tempfile.TemporaryDirectory() as room:
        source = Path(room) / "src"
        source.mkdir()
        if data:
            for path in sorted(Photographs(assets).folder.iterdir())[:pictures]:
                shutil.copy(path, source)
            beside_data(source, pictures, rounds)
        else:
            beside_one(Path(room), source, pictures, rounds)


def beside_one(room: Path, source: Path, count: int, rounds: int) -> None:
    """Two workers, one, and none."""
    ray, draw = needed("ray", "ray"), np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(draw.integers(0, 255, (24, 24, 3), dtype=np.uint8))
        coarse.resize((400, 320), Image.Resampling.BICUBIC).save(source / f"{number:04}.jpg")
    recoder = SpectralRecoder(margined(), psnr=10.0)
    times: dict[str, list[tuple[float, float]]] = {"local": [], "ray 1": [], "ray 2": []}
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    for number in range(rounds):
        for name in times:
            times[name].append(half(source, room / f"{name}-{number}", recoder, name, count))
    ray.shutdown()
    for over, under in (("ray 1", "ray 2"), ("ray 1", "local"), ("local", "ray 2")):
        pairs = zip(times[over], times[under], strict=True)
        ratios = spread([a / b for (a, _), (b, _) in pairs])
        show({"what": over, "against": under, **ratios, "n": rounds, "items": count})
    for name, found in times.items():
        own = [seconds / count * 2e3 for _, seconds in found]
        show(
            {"what": f"{name}, this process", "ms": median(own), "low": min(own), "high": max(own)}
        )


def half(
    source: Path, place: Path, recoder: SpectralRecoder, name: str, count: int
) -> tuple[float, float]:
    """Seconds of the second half of a run, when its workers are there, and what this process computed in them."""
    marks: list[tuple[float, float]] = []

    def mark(done: int, total: int, file: str) -> None:
        if done in (count // 2, count):
            marks.append((time.perf_counter(), time.process_time()))

    engine, _, workers = name.partition(" ")
    release(source, place, recoder, engine=engine, workers=int(workers or 1), progress=mark)
    (begun, before), (ended, after) = marks
    return ended - begun, after - before
