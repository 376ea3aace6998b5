"""Ray workers: two against one, and one against this process, on the same pictures, as ratios in one run.

python benchmarks/cluster.py [PICTURES] [ROUNDS]. The workers are warm: what starting them takes is printed apart.
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

    count, rounds = (int(word) for word in (*sys.argv[1:], "48", "5")[:2])
    torch.manual_seed(0)
    recoder = SpectralRecoder(
        build_key(torch.nn.Conv2d(3, 192, 16, 16), canvas=CANVAS, energy=5e-4), psnr=10.0
    )
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"local": [], "ray 1": [], "ray 2": []}
    with tempfile.TemporaryDirectory() as room:
        source, draw = Path(room) / "src", np.random.default_rng(0)
        source.mkdir()
        for number in range(count):
            coarse = Image.fromarray(draw.integers(0, 255, (24, 24, 3), dtype=np.uint8))
            coarse.resize((400, 320), Image.Resampling.BICUBIC).save(source / f"{number:04}.jpg")
        ray.init(
            num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
        )
        begun = time.perf_counter()
        # Two that wait for each other, so that both processes have imported what they need.
        release(source, Path(room) / "warm", recoder, engine="ray", workers=2)
        print(f"first run, with the start of two workers: {time.perf_counter() - begun:.1f} s")
        for number in range(rounds):
            for name in times:
                engine, _, workers = name.partition(" ")
                begun = time.perf_counter()
                place = Path(room) / f"{name}-{number}"
                release(source, place, recoder, engine=engine, workers=int(workers or 1))
                times[name].append(time.perf_counter() - begun)
        ray.shutdown()
    for over, under in (("ray 1", "ray 2"), ("ray 1", "local"), ("local", "ray 2")):
        ratios = sorted(a / b for a, b in zip(times[over], times[under], strict=True))
        print(
            f"{over} / {under}: {median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], n = {rounds} rounds of {count}"
        )


if __name__ == "__main__":
    main()
