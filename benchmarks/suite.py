"""How long catch11 takes, as ratios within one run: `make bench`, or

    python benchmarks/suite.py [--only NAME …] [--full] [--out FILE]
    python benchmarks/suite.py --page [--out FILE]     # the page and its plots, from the records

Two things to compare take turns, and each turn is timed in processor seconds of this process, which a busy machine
disturbs less than the clock. The ratio is the median of the pairs and stands with the smallest and the largest; of six pairs
or more these enclose the median with 97 %. Pictures, keys and noise are the same in every run. Records are JSON
lines, one a figure; a run replaces those of the parts it ran. Needs the folder of real models (CATCH11_ASSETS).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from catch11 import Canvas, DeepRecoder, Fit, SpectralRecoder, build_key, load_model, release
from catch11.canvas.grid import GRIDS
from catch11.copies.seal import seal_secret
from catch11.data.windows import folder_windows
from catch11.evaluation.gaussian import noise_at
from catch11.fronts.front import conv_front
from catch11.keys.key import Key, key_of
from catch11.models.frame import Model
from catch11.studies.passes import counted
from catch11.subspaces.rule import Rule

ASSETS = Path(os.environ.get("CATCH11_ASSETS", "../shared/assets"))
PHOTOGRAPHS = ASSETS / "images" / "nips2017"
RECORDS = Path(__file__).parent / "records" / "speed.jsonl"
SECRET = bytes(range(32))
PSNR = 10.0

Work = Callable[[], object]
Row = dict[str, Any]


def seconds(work: Work) -> float:
    """Processor seconds, of all threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compared(what: str, ours: Work, against: str, theirs: Work, *, per: int, runs: int) -> Row:
    """Both in turn, after one run of each that is not counted."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    ratios = [one / other for one, other in pairs]
    one, other = (statistics.median(times) * 1000 / per for times in zip(*pairs, strict=True))
    return {
        "what": what, "against": against, "ratio": statistics.median(ratios), "low": min(ratios),
        "high": max(ratios), "n": runs, "items": per, "ms": one, "ms against": other,
    }  # fmt: skip


def measured(what: str, work: Work, *, per: int, runs: int, **facts: Any) -> Row:
    """Processor milliseconds an item, with nothing beside."""
    work()
    times = [seconds(work) * 1000 / per for _ in range(runs)]
    held = {"ms": statistics.median(times), "low": min(times), "high": max(times)}
    return {"what": what, **held, "n": runs, "items": per, **facts}


@cache
def deit() -> Model:
    return load_model(f"hf:{ASSETS}/models/deit-tiny-patch16-224")


@cache
def own_key() -> Key:
    return build_key(deit(), secret=SECRET)


@cache
def photographs(count: int) -> Tensor:
    return folder_windows(PHOTOGRAPHS, deit().canvas, most=count).contiguous()


def plain(side: int) -> Canvas:
    """A square canvas that is all window."""
    return Canvas(
        height=side, width=side, top=0, left=0, window_height=side, window_width=side,
        gain=(1.0,) * 3, offset=(0.0,) * 3, fit=Fit(resize="exact", height=side, width=side),
    )  # fmt: skip


def patches(side: int, outputs: int, patch: int = 16) -> Key:
    """The key of a random patch front, all of whose outputs are kept."""
    torch.manual_seed(0)
    net = torch.nn.Conv2d(3, outputs, patch, patch)
    return build_key(net, canvas=plain(side), rank=3 * patch * patch - outputs, secret=SECRET)


class Files:
    """A folder of photographs, released and copied again and again, each time to a new folder: what is
    timed deletes nothing."""

    def __init__(self, room: str, count: int) -> None:
        self.room, self.source, self.times = Path(room), Path(room) / "photographs", 0
        self.source.mkdir()
        for file in sorted(PHOTOGRAPHS.glob("*.jpg"))[:count]:
            shutil.copy(file, self.source)

    def fresh(self) -> Path:
        """A folder that is not there yet."""
        self.times += 1
        return self.room / str(self.times)

    def recode(self, recoder: Any, *, workers: int = 1, **how: Any) -> Path:
        """Released, to the folder that it gives."""
        there = self.fresh()
        release(self.source, there, recoder, workers=workers, **how)
        return there

    def copy(self) -> None:
        """Decoded, resized as the model's pipeline resizes, encoded by Pillow's own settings."""
        there = self.fresh()
        there.mkdir()

        for file in self.source.iterdir():
            with Image.open(file) as picture:
                made = picture.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
                made.save(there / f"{file.stem}.png")


def bench_recode(full: bool) -> Iterator[Row]:
    """The whole of `recode` beside decoding and encoding the same files; what sealing and checking add."""
    count, runs = (128, 10) if full else (12, 6)
    floor = "decode, resize, encode"
    key = own_key()
    with tempfile.TemporaryDirectory() as room:
        files = Files(room, count)
        asked = partial(files.recode, SpectralRecoder(key, psnr=PSNR))
        given = partial(files.recode, SpectralRecoder(key))
        sealed = partial(
            files.recode, SpectralRecoder(key, psnr=PSNR, copy=seal_secret(deit(), secret=SECRET))
        )
        checked = partial(asked, check=deit())
        yield compared("png8, 10 dB", asked, floor, files.copy, per=count, runs=runs)
        yield compared("png8, as by default", given, floor, files.copy, per=count, runs=runs)
        yield compared("png8, 10 dB, sealed", sealed, "the same unsealed", asked, per=count, runs=runs)  # fmt: skip
        yield compared("png8, 10 dB, checked", checked, "the same unchecked", asked, per=count, runs=runs)  # fmt: skip
        there = files.recode(SpectralRecoder(key, psnr=PSNR))
        made = [file.stat().st_size for file in there.glob("*.png")]
        yield {"what": "bytes of a file", "value": statistics.mean(made), "n": len(made)}


def bench_tensor(full: bool) -> Iterator[Row]:
    """The unbounded format beside the published arithmetic: unfold, draw, einsum, add, fold."""
    count, runs = (48, 12) if full else (16, 8)
    key, windows = own_key(), photographs(count)
    recoder = SpectralRecoder(key, psnr=PSNR, format="tensor", noise="gaussian")
    weight = key.front.weight.flatten(1)
    inside = torch.linalg.svd(weight, full_matrices=True)[2][len(weight) :].float()

    def published() -> None:
        for window in windows:
            columns = F.unfold(window[None], 16, stride=16)[0].T
            drawn = torch.randn(len(columns), len(inside))
            moved = columns + 0.36 * torch.einsum("pk,kd->pd", drawn, inside)
            F.fold(moved.T[None], (224, 224), 16, stride=16)

    batches = windows.split(recoder.batch)
    ours = lambda: [recoder(batch) for batch in batches]  # noqa: E731
    graded = lambda: [(made.psnr, made.front_shift) for made in map(recoder, batches)]  # noqa: E731
    yield compared("tensor, exact, keyed noise", ours, "published arithmetic", published, per=count, runs=runs)  # fmt: skip
    yield compared("the same, PSNR and shift measured", graded, "published arithmetic", published, per=count, runs=runs)  # fmt: skip


def bench_beside(full: bool) -> Iterator[Row]:
    """Spectral recoding beside one forward pass and beside Gaussian noise of the same strength."""
    count, runs = (48, 10) if full else (8, 6)
    model, windows = deit(), photographs(count)
    recoder = SpectralRecoder(own_key(), psnr=PSNR)
    values = model.canvas.normalise(windows)

    def noise() -> None:
        draws = tuple(torch.Generator().manual_seed(number) for number in range(count))
        noise_at(windows, (PSNR,) * count, grid=GRIDS["png8"], generators=draws)

    ours = lambda: [recoder(batch) for batch in windows.split(recoder.batch)]  # noqa: E731
    forward = lambda: [model.logits(batch) for batch in values.split(16)]  # noqa: E731
    yield compared("spectral, 10 dB", ours, "one forward pass", forward, per=count, runs=runs)
    yield compared("spectral, 10 dB", ours, "Gaussian noise at 10 dB", noise, per=count, runs=runs)


def bench_deep(full: bool) -> Iterator[Row]:
    """Deep recoding that keeps the answer, in time of forward passes and in passes counted."""
    count, runs = (64, 6) if full else (16, 4)
    model, windows = deit(), photographs(count)
    values = model.canvas.normalise(windows)
    recoder = DeepRecoder(model, own_key())
    forward = lambda: [model.logits(batch) for batch in values.split(recoder.chunk)]  # noqa: E731
    ours = lambda: recoder(windows)  # noqa: E731
    yield compared("deep, answer kept", ours, "one forward pass", forward, per=count, runs=runs)
    with counted(model) as passes:
        made = recoder(windows)
    held = {"n": count, "withheld": sum(reason is not None for reason in made.reasons)}
    yield {"what": "deep, passes counted", "value": sum(passes) / count, **held}


def bench_size(full: bool) -> Iterator[Row]:
    """Time by the side of the window, noise pictures, a patch front of 192 outputs."""
    for side in (112, 224, 448, 896) if full else (112, 224, 448):
        recoder = SpectralRecoder(patches(side, 192), psnr=PSNR)
        windows = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))
        yield measured("spectral, by side", partial(recoder, windows), per=4, runs=5, x=side)


def bench_rank(full: bool) -> Iterator[Row]:
    """Time by the directions of a 16 x 16 patch that the front sees, of 768."""
    windows = photographs(4)
    for rank in (24, 96, 192, 384, 576) if full else (24, 96, 192, 384):
        recoder = SpectralRecoder(patches(224, rank), psnr=PSNR)
        yield measured("spectral, by rank", partial(recoder, windows), per=4, runs=5, x=rank)


def bench_workers(full: bool) -> Iterator[Row]:
    """Two threads beside one, by the clock, which a busy machine disturbs."""
    count, runs = (96, 8) if full else (16, 6)
    with tempfile.TemporaryDirectory() as room:
        files, recoder = Files(room, count), SpectralRecoder(own_key(), psnr=PSNR)
        pairs = []
        for _ in range(runs):
            times = []
            for workers in (1, 2):
                begun = time.perf_counter()
                files.recode(recoder, workers=workers)
                times.append(time.perf_counter() - begun)
            pairs.append(times[0] / times[1])
    yield {
        "what": "recode, two threads, by the clock", "against": "one thread", "ratio": statistics.median(pairs),
        "low": min(pairs), "high": max(pairs), "n": runs, "items": count,
    }  # fmt: skip


def bench_key(full: bool) -> Iterator[Row]:
    """Keys, models loaded."""
    runs = 10 if full else 5
    build = partial(build_key, deit(), secret=SECRET)
    yield measured("key of DeiT-tiny", build, per=1, runs=runs)
    torch.manual_seed(0)
    front = conv_front(
        weight=torch.randn(64, 3, 7, 7, dtype=torch.float64) / 12, bias=torch.zeros(64, dtype=torch.float64),
        neutral=(0.5,) * 3, shape=(3, 224, 224), layer="conv1", stride=(2, 2), dilation=(1, 1),
        padding=(3, 3, 3, 3), groups=1,
    )  # fmt: skip
    rule = Rule(kind="energy", value=1e-3)
    build = partial(key_of, front, canvas=plain(224), rule=rule)
    yield measured("key of a 7 x 7 convolution, stride 2, at 224", build, per=1, runs=runs)


def bench_memory(full: bool) -> Iterator[Row]:
    """Peak memory of releasing small files, and of deep recoding beside one training step; each in a process of its own."""
    for count in (2_000, 20_000) if full else (200, 1_000):
        yield {"what": "peak, files of 16 x 16 released", "x": count, "n": 1, "MiB": _peak("files", count)}  # fmt: skip
    for case in ("loaded", "training step", "deep"):
        yield {"what": f"peak, DeiT-tiny, {case}, batches of 16", "n": 1, "MiB": _peak(case, 16)}


def _peak(case: str, count: int) -> int:
    words = [sys.executable, __file__, "--peak", case, str(count)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def peak(case: str, count: int) -> None:
    """Do it, and print the largest resident size in MiB."""
    if case == "files":
        draw = np.random.default_rng(0)
        with tempfile.TemporaryDirectory() as room:
            source = Path(room) / "pictures"
            source.mkdir()
            for number in range(count):
                pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(source / f"{number:05}.png")
            recoder = SpectralRecoder(patches(16, 40, 8), psnr=12.0)
            release(source, Path(room) / "made", recoder, workers=2)
    else:
        model, windows = deit(), photographs(count)
        values = model.canvas.normalise(windows)
        model.logits(values[:1])
        assert model.module is not None
        for _ in range(2 if case == "training step" else 0):
            module = model.module.train().requires_grad_(True)
            rule = torch.optim.AdamW(module.parameters())
            F.cross_entropy(model.forward(values), torch.zeros(count, dtype=torch.long)).backward()
            rule.step()
        if case == "deep":
            DeepRecoder(model, own_key(), steps=4, chunk=count, margin=50.0)(windows)
    # Not getrusage: its peak is that of the parent, where that was larger when it started this process.
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")))


BENCHES = {
    name.removeprefix("bench_"): work
    for name, work in list(globals().items())
    if name.startswith("bench_")
}


def written(path: Path, fresh: Sequence[Row], parts: set[str]) -> None:
    """Records of the parts that were run in place of their older ones."""
    held = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    rows = [row for row in held if row["part"] not in parts] + list(fresh)
    rows.sort(key=lambda row: list(BENCHES).index(row["part"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES))
    ask.add_argument("--full", action="store_true", help="More pictures, runs and sizes.")
    ask.add_argument("--out", type=Path, default=RECORDS, help="The records.")
    ask.add_argument("--page", action="store_true", help="Write the page and its plots; measure nothing.")  # fmt: skip
    ask.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    given = ask.parse_args()
    torch.set_num_threads(1)  # as the command does
    if given.peak:
        peak(given.peak[0], int(given.peak[1]))
        return
    if given.page:
        from speed_page import write

        write(given.out)
        return
    rows: list[Row] = []
    about = {
        "command": "make bench" + " FULL=--full" * given.full, "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count(),
    }  # fmt: skip
    for name in given.only:
        for row in BENCHES[name](given.full):
            rows.append({"part": name, **row, **about})
            shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            print(name, json.dumps(shown), flush=True)
        written(given.out, rows, {row["part"] for row in rows})


if __name__ == "__main__":
    main()
