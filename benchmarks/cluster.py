"""Ray workers: two against one, and one against this process, on the same pictures, as ratios in one run.

python benchmarks/cluster.py [PICTURES] [ROUNDS]; some hundred pictures, fewer are over too soon. Of each run the second half is timed, when its workers are there. What this process
computes a picture is printed too: however many workers, no run is faster than that.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from catch11.canvas.frame import Canvas, Fit
from catch11.keys.key import build_key
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.whole import release

CANVAS = Canvas(
    height=256, width=256, top=16, left=16, window_height=224, window_width=224,
    gain=(2.0, 2.0, 2.0), offset=(-1.0, -1.0, -1.0), fit=Fit(resize="exact", height=256, width=256),
)  # fmt: skip


def main() -> None:
    """Print the ratios."""
    import ray

    count, rounds = (int(word) for word in (*sys.argv[1:], "384", "3")[:2])
    torch.manual_seed(0)
    recoder = SpectralRecoder(
        build_key(torch.nn.Conv2d(3, 192, 16, 16), canvas=CANVAS, energy=5e-4), psnr=10.0
    )
    torch.set_num_threads(1)
    times: dict[str, list[tuple[float, float]]] = {"local": [], "ray 1": [], "ray 2": []}
    with tempfile.TemporaryDirectory() as room:
        source, draw = Path(room) / "src", np.random.default_rng(0)
        source.mkdir()
        for number in range(count):
            coarse = Image.fromarray(draw.integers(0, 255, (24, 24, 3), dtype=np.uint8))
            coarse.resize((400, 320), Image.Resampling.BICUBIC).save(source / f"{number:04}.jpg")
        ray.init(
            num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
        )
        for number in range(rounds):
            for name in times:
                place = Path(room) / f"{name}-{number}"
                times[name].append(half(source, place, recoder, name, count))
        ray.shutdown()
    for over, under in (("ray 1", "ray 2"), ("ray 1", "local"), ("local", "ray 2")):
        pairs = zip(times[over], times[under], strict=True)
        ratios = sorted(a / b for (a, _), (b, _) in pairs)
        print(
            f"{over} / {under}: {median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], n = {rounds} rounds of {count}"
        )
    for name, found in times.items():
        own = sorted(seconds / count * 2e3 for _, seconds in found)
        print(
            f"{name}: this process computes {median(own):.1f} ms a picture [{own[0]:.1f}, {own[-1]:.1f}]"
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


if __name__ == "__main__":
    main()
