"""How long things take, as ratios within one run: python benchmarks/speed.py [NAME ...] [--runs N]

key       building keys, model loading apart
box       in-box recoding of 224 x 224 windows against sixty rounds of Dykstra's projections
tensor    the unbounded format against the published method's arithmetic on the same windows
recode    the whole of `recode` to png8 against decoding and encoding the same files
memory    peak memory of releasing 2,000 and 20,000 files

Needs the folder of real models (CATCH11_ASSETS). Nothing here is asserted in a test: machines differ.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from catch11 import build_key, load_model, release
from catch11.canvas.frame import Canvas, Fit
from catch11.data.pictures import fit_picture, open_picture
from catch11.fronts.front import conv_front
from catch11.keys.key import Key, key_of
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule

ASSETS = Path(os.environ.get("CATCH11_ASSETS", "../shared/assets"))
DEIT = f"hf:{ASSETS}/models/deit-tiny-patch16-224"
PHOTOS = ASSETS / "images" / "nips2017"


def timed(work: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each of `runs` runs after one that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def row(name: str, seconds: list[float], *, per: int = 1, unit: str = "ms") -> None:
    """One line: median and range, per item."""
    scale = (1000.0 if unit == "ms" else 1.0) / per
    low, mid, high = (f(seconds) * scale for f in (min, statistics.median, max))
    print(f"  {name:<52} {mid:9.2f} {unit}   [{low:.2f}, {high:.2f}]  n={len(seconds)}")


def ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Ratio of two things timed in turn, pair by pair."""
    pairs = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(f"  {name:<52} {statistics.median(pairs):9.2f} x    [{pairs[0]:.2f}, {pairs[-1]:.2f}]")


def in_turn(one: Callable[[], object], two: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:  # fmt: skip
    """Both timed alternately, so that a machine that slows down slows both."""
    first, second = [], []
    one(), two()
    for _ in range(runs):
        first += timed_once(one)
        second += timed_once(two)
    return first, second


def timed_once(work: Callable[[], object]) -> list[float]:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return [time.perf_counter() - start]


def windows(key: Key, count: int) -> torch.Tensor:
    """Photographs as the model sees them."""
    files = sorted(PHOTOS.glob("*.jpg"))[:count]
    pixels = [torch.from_numpy(fit_picture(open_picture(f), key.canvas)) for f in files]
    pictures = torch.stack(pixels).permute(0, 3, 1, 2).float() / 255
    return key.canvas.window(pictures).contiguous()


def bench_key(runs: int) -> None:
    model = load_model(DEIT)
    row("key, DeiT-tiny (patch 16, 192 outputs)", timed(lambda: build_key(model), runs), unit="s")
    torch.manual_seed(0)
    front = conv_front(
        weight=torch.randn(64, 3, 7, 7, dtype=torch.float64) / 12,
        bias=torch.zeros(64, dtype=torch.float64),
        neutral=(0.5,) * 3, shape=(3, 224, 224), layer="conv1", stride=(2, 2), dilation=(1, 1),
        padding=(3, 3, 3, 3), groups=1,
    )  # fmt: skip
    canvas = Canvas(
        height=224, width=224, top=0, left=0, window_height=224, window_width=224,
        gain=(1.0,) * 3, offset=(0.0,) * 3, fit=Fit(resize="exact", height=224, width=224),
    )  # fmt: skip
    rule = Rule(kind="energy", value=1e-3)
    made = timed(lambda: key_of(front, canvas=canvas, rule=rule), runs)
    row("key, 7 x 7 stride 2 convolution at 224 (ResNet-50's)", made, unit="s")


def dykstra(x: torch.Tensor, target: torch.Tensor, kept: torch.Tensor, rounds: int = 60) -> torch.Tensor:  # fmt: skip
    """Alternating projections onto x + Ins and the box, with Dykstra's correction."""
    wanted, point, correction = x @ kept, target, torch.zeros_like(target)
    for _ in range(rounds):
        inside = point + (wanted - point @ kept) @ kept.T
        point = (inside + correction).clamp(0, 1)
        correction = inside + correction - point
    return point


def bench_box(runs: int) -> None:
    key = build_key(load_model(DEIT))
    images = windows(key, 48)
    recoder = SpectralRecoder(key, psnr=10.0)
    kept = key.subspace.kept.float()  # type: ignore[attr-defined]
    noise = key.subspace.sample([key.stream(bytes([i]), purpose="benchmark") for i in range(48)])
    tiles = key.subspace.tiles(images)  # type: ignore[attr-defined]
    far = tiles + 0.8 * key.subspace.tiles(noise)  # type: ignore[attr-defined]

    pairs = list(zip(tiles, far, strict=True))

    def shared(work: Callable[[object], object], items: list) -> None:  # type: ignore[type-arg]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, items))

    torch.set_num_threads(1)  # a core a picture, as `recode` does
    ours, theirs = in_turn(
        lambda: shared(lambda part: recoder(part), list(images.split(4))),
        lambda: shared(lambda pair: dykstra(pair[0], pair[1], kept), pairs),
        runs,
    )
    row("in-box recoding, keyed noise and rounding included", ours, per=48)
    row("sixty Dykstra rounds on the same windows", theirs, per=48)
    ratio("in-box recoding / Dykstra", ours, theirs)
    made = recoder(images)
    shift = np.array(made.front_shift)
    reached = sum(p < 10.2 for p in made.psnr)
    print(
        f"  front shift mean {shift.mean():.4f}, worst {shift.max():.4f}; {reached} of 48 at 10 ± 0.2 dB"
    )


def bench_tensor(runs: int) -> None:
    key = build_key(load_model(DEIT))
    images = windows(key, 48)
    torch.set_num_threads(1)
    recoder = SpectralRecoder(key, psnr=10.0, format="tensor", noise="gaussian")
    directions = torch.linalg.svd(key.front.weight.flatten(1), full_matrices=True)[2][192:].float()

    def published() -> None:
        for image in images:
            columns = F.unfold(image[None], 16, stride=16)[0].T
            z = torch.randn(len(columns), len(directions))
            moved = columns + 0.36 * torch.einsum("pk,kd->pd", z, directions)
            F.fold(moved.T[None], (224, 224), 16, stride=16)

    batches = images.split(recoder.batch)
    ours, theirs = in_turn(lambda: [recoder(batch) for batch in batches], published, runs)
    row("tensor format, exact, keyed noise", ours, per=48)
    row("unfold, draw, einsum, add, fold (as published)", theirs, per=48)
    ratio("tensor format / published arithmetic", ours, theirs)


def bench_recode(runs: int) -> None:
    key = build_key(load_model(DEIT))
    recoder = SpectralRecoder(key, psnr=10.0)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "photos"
        source.mkdir()
        for file in sorted(PHOTOS.glob("*.jpg"))[:64]:
            shutil.copy(file, source)
        made = Path(scratch) / "made"

        def whole() -> None:
            shutil.rmtree(made, ignore_errors=True)
            Path(f"{made}.ledger.jsonl").unlink(missing_ok=True)
            release(source, made, recoder, workers=2)

        def floor() -> None:
            other = Path(scratch) / "floor"
            other.mkdir(exist_ok=True)
            for file in source.iterdir():
                with Image.open(file) as picture:
                    picture.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC).save(other / f"{file.stem}.png")  # fmt: skip

        torch.set_num_threads(1)  # as the command does
        ours, theirs = in_turn(whole, floor, runs)
        row("recode to png8, two workers", ours, per=64)
        row("decode, resize, encode the same files", theirs, per=64)
        ratio("recode / decode and encode", ours, theirs)


def bench_memory(runs: int) -> None:
    for count in (2_000, 20_000):
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "pictures"
            source.mkdir()
            rng = np.random.default_rng(0)
            for i in range(count):
                Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(source / f"{i:05}.png")  # fmt: skip
            command = [
                sys.executable,
                __file__,
                "--release",
                str(source),
                str(Path(scratch) / "out"),
            ]
            subprocess.run(command, check=True)


def release_here(source: str, target: str) -> None:
    """Release a folder for a small patch front, and print this process's peak memory."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 40, 8, stride=8), torch.nn.Flatten(), torch.nn.Linear(160, 4)
    )
    canvas = Canvas(
        height=16, width=16, top=0, left=0, window_height=16, window_width=16, gain=(1.0,) * 3,
        offset=(0.0,) * 3, fit=Fit(resize="exact", height=16, width=16),
    )  # fmt: skip
    recoder = SpectralRecoder(build_key(module, canvas=canvas), psnr=12.0)
    start = time.perf_counter()
    done = release(source, target, recoder, workers=2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - start
    print(f"  {done.written:>6} files released: peak memory {peak:.0f} MiB, {seconds:.0f} s")


BENCHES = {
    "key": bench_key,
    "box": bench_box,
    "tensor": bench_tensor,
    "recode": bench_recode,
    "memory": bench_memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--release", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.release:
        release_here(*arguments.release)
        return
    print(f"{torch.get_num_threads()} threads; torch {torch.__version__}")
    for name in arguments.names or BENCHES:
        print(name)
        BENCHES[name](arguments.runs)


if __name__ == "__main__":
    main()
