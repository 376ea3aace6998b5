"""How long catch11 takes, as ratios within one run: `make bench`. Prints a line a figure, and keeps records.

Two things to compare take turns, and each turn is timed in processor seconds of this process, which a busy machine
disturbs less than the clock. The ratio is the median of the pairs and stands with the smallest and the largest; of six pairs
or more these enclose the median with 97 %. Pictures, keys and noise are the same in every run. Records are JSON
lines; a run replaces those of what it ran, and `--page` writes docs/lab/speed.md and its plots from them.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from PIL import Image

from benchmarks.frame import ASSETS, Assets, among
from benchmarks.lines import show
from benchmarks.peak import CASES, peak_of
from benchmarks.photographs import Photographs, patches
from benchmarks.timing import Row, compared, measured, spread
from catch11 import DeepRecoder, SpectralRecoder, build_key, release
from catch11.canvas.grid import GRIDS
from catch11.canvas.plain import plain_canvas
from catch11.copies.seal import seal_secret
from catch11.evaluation.gaussian import noise_at
from catch11.fronts.front import conv_front
from catch11.keys.key import key_of
from catch11.studies.passes import counted
from catch11.studies.trial import SECRET
from catch11.subspaces.rule import Rule

RECORDS = Path(__file__).parent / "records" / "speed.jsonl"
PSNR = 10.0


class Files:
    """A folder of photographs, released and copied again and again, each time to a new folder: what is
    timed deletes nothing."""

    def __init__(self, room: Path, shown: Photographs, count: int) -> None:
        self.room, self.source, self.times = room, room / "photographs", 0
        self.source.mkdir()
        for file in sorted(shown.folder.glob("*.jpg"))[:count]:
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


def bench_recode(shown: Photographs, full: bool) -> Iterator[Row]:
    """The whole of `recode` beside decoding and encoding the same files; what sealing and checking add."""
    count, runs = (128, 10) if full else (12, 6)
    floor = "decode, resize, encode"
    key = shown.key
    with tempfile.TemporaryDirectory() as room:
        files = Files(Path(room), shown, count)
        asked = partial(files.recode, SpectralRecoder(key, psnr=PSNR))
        given = partial(files.recode, SpectralRecoder(key))
        sealed = partial(
            files.recode,
            SpectralRecoder(key, psnr=PSNR, copy=seal_secret(shown.model, secret=SECRET)),
        )
        checked = partial(asked, check=shown.model)
        yield compared("png8, 10 dB", asked, floor, files.copy, per=count, runs=runs)
        yield compared("png8, as by default", given, floor, files.copy, per=count, runs=runs)
        yield compared("png8, 10 dB, sealed", sealed, "the same unsealed", asked, per=count, runs=runs)  # fmt: skip
        yield compared("png8, 10 dB, checked", checked, "the same unchecked", asked, per=count, runs=runs)  # fmt: skip
        there = files.recode(SpectralRecoder(key, psnr=PSNR))
        made = [file.stat().st_size for file in there.glob("*.png")]
        yield {"what": "bytes of a file", "value": statistics.mean(made), "n": len(made)}


def bench_tensor(shown: Photographs, full: bool) -> Iterator[Row]:
    """The unbounded format beside the published arithmetic: unfold, draw, einsum, add, fold."""
    count, runs = (48, 12) if full else (16, 8)
    key, windows = shown.key, shown.windows(count)
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


def bench_beside(shown: Photographs, full: bool) -> Iterator[Row]:
    """Spectral recoding beside one forward pass and beside Gaussian noise of the same strength."""
    count, runs = (48, 10) if full else (8, 6)
    model, windows = shown.model, shown.windows(count)
    recoder = SpectralRecoder(shown.key, psnr=PSNR)
    values = model.canvas.normalise(windows)

    def noise() -> None:
        draws = tuple(torch.Generator().manual_seed(number) for number in range(count))
        noise_at(windows, (PSNR,) * count, grid=GRIDS["png8"], generators=draws)

    ours = lambda: [recoder(batch) for batch in windows.split(recoder.batch)]  # noqa: E731
    forward = lambda: [model.logits(batch) for batch in values.split(16)]  # noqa: E731
    yield compared("spectral, 10 dB", ours, "one forward pass", forward, per=count, runs=runs)
    yield compared("spectral, 10 dB", ours, "Gaussian noise at 10 dB", noise, per=count, runs=runs)


def bench_deep(shown: Photographs, full: bool) -> Iterator[Row]:
    """Deep recoding that keeps the answer, in time of forward passes and in passes counted."""
    count, runs = (64, 6) if full else (16, 4)
    model, windows = shown.model, shown.windows(count)
    values = model.canvas.normalise(windows)
    recoder = DeepRecoder(model, shown.key)
    forward = lambda: [model.logits(batch) for batch in values.split(recoder.chunk)]  # noqa: E731
    ours = lambda: recoder(windows)  # noqa: E731
    yield compared("deep, answer kept", ours, "one forward pass", forward, per=count, runs=runs)
    with counted(model) as passes:
        made = recoder(windows)
    held = {"n": count, "withheld": sum(reason is not None for reason in made.reasons)}
    yield {"what": "deep, passes counted", "value": sum(passes) / count, **held}


def bench_size(shown: Photographs, full: bool) -> Iterator[Row]:
    """Time by the side of the window, noise pictures, a patch front of 192 outputs."""
    for side in (112, 224, 448, 896) if full else (112, 224, 448):
        recoder = SpectralRecoder(patches(side, 192), psnr=PSNR)
        windows = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))
        yield measured("spectral, by side", partial(recoder, windows), per=4, runs=5, x=side)


def bench_rank(shown: Photographs, full: bool) -> Iterator[Row]:
    """Time by the directions of a 16 x 16 patch that the front sees, of 768."""
    windows = shown.windows(4)
    for rank in (24, 96, 192, 384, 576) if full else (24, 96, 192, 384):
        recoder = SpectralRecoder(patches(224, rank), psnr=PSNR)
        yield measured("spectral, by rank", partial(recoder, windows), per=4, runs=5, x=rank)


def bench_workers(shown: Photographs, full: bool) -> Iterator[Row]:
    """Two threads beside one, by the clock, which a busy machine disturbs."""
    count, runs = (96, 8) if full else (16, 6)
    with tempfile.TemporaryDirectory() as room:
        files, recoder = Files(Path(room), shown, count), SpectralRecoder(shown.key, psnr=PSNR)
        pairs = []
        for _ in range(runs):
            times = []
            for workers in (1, 2):
                begun = time.perf_counter()
                files.recode(recoder, workers=workers)
                times.append(time.perf_counter() - begun)
            pairs.append(times[0] / times[1])
    what = {"what": "recode, two threads, by the clock", "against": "one thread"}
    yield {**what, **spread(pairs), "n": runs, "items": count}


def bench_key(shown: Photographs, full: bool) -> Iterator[Row]:
    """Keys, models loaded."""
    runs = 10 if full else 5
    build = partial(build_key, shown.model, secret=SECRET)
    yield measured("key of DeiT-tiny", build, per=1, runs=runs)
    torch.manual_seed(0)
    front = conv_front(
        weight=torch.randn(64, 3, 7, 7, dtype=torch.float64) / 12, bias=torch.zeros(64, dtype=torch.float64),
        neutral=(0.5,) * 3, shape=(3, 224, 224), layer="conv1", stride=(2, 2), dilation=(1, 1),
        padding=(3, 3, 3, 3), groups=1,
    )  # fmt: skip
    rule = Rule(kind="energy", value=1e-3)
    build = partial(key_of, front, canvas=plain_canvas(224, 224), rule=rule)
    yield measured("key of a 7 x 7 convolution, stride 2, at 224", build, per=1, runs=runs)


def bench_memory(shown: Photographs, full: bool) -> Iterator[Row]:
    """Peak memory of releasing small files, and of deep recoding beside one training step; each in a process of its own."""
    for count in (2_000, 20_000) if full else (200, 1_000):
        yield {"what": "peak, files of 16 x 16 released", "x": count, "n": 1, "MiB": peak_of(shown.assets, "files", count)}  # fmt: skip
    for case in CASES[1:]:
        yield {
            "what": f"peak, DeiT-tiny, {case}, batches of 16",
            "n": 1,
            "MiB": peak_of(shown.assets, case, 16),
        }


BENCHES: dict[str, Callable[[Photographs, bool], Iterator[Row]]] = {
    name: globals()[f"bench_{name}"]
    for name in ("recode", "tensor", "beside", "deep", "size", "rank", "workers", "key", "memory")
}


def written(path: Path, fresh: Sequence[Row], parts: set[str]) -> None:
    """Records of the parts that were run in place of their older ones."""
    held = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    rows = [row for row in held if row["part"] not in parts] + list(fresh)
    rows.sort(key=lambda row: list(BENCHES).index(row["part"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def speed(
    only: Annotated[list[str], typer.Option(callback=among(BENCHES), help="Some of it: recode, tensor, beside, deep, size, rank, workers, key, memory; repeatable.")] = [],
    full: Annotated[bool, typer.Option("--full", help="More pictures, runs and sizes.")] = False,
    out: Annotated[Path, typer.Option(help="The records.")] = RECORDS,
    page: Annotated[bool, typer.Option("--page", help="Write the page and its plots; measure nothing.")] = False,
    peak: Annotated[tuple[str, int] | None, typer.Option(metavar="CASE COUNT", help="Print the peak memory of one case in MiB, as files 100000; nothing else.")] = None,
    assets: Assets = ASSETS,
) -> None:  # fmt: skip
    shown, rows = Photographs(assets), list[Row]()
    if page:
        from benchmarks.speed_page import write

        write(out)
        return
    if peak is not None:
        show({"what": f"peak, {peak[0]}", "x": peak[1], "n": 1, "MiB": peak_of(assets, *peak)})
        return
    about = {
        "command": "make bench" + " FULL=--full" * full, "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count(),
    }  # fmt: skip
    for name in only or BENCHES:
        for row in BENCHES[name](shown, full):
            rows.append({"part": name, **row, **about})
            show({"part": name, **row})
        written(out, rows, {row["part"] for row in rows})
