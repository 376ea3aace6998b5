"""Peak memory of a process that does one thing and nothing else."""

import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.photographs import Photographs, patches
from catch11 import DeepRecoder, SpectralRecoder, release
from catch11.errors import InvalidArgument

CASES = ("files", "loaded", "training step", "deep")


def peak_of(assets: Path, case: str, count: int) -> int:
    """The largest resident size in MiB, of a process of its own."""
    if case not in CASES:
        raise InvalidArgument("peak", expected=f"one of {', '.join(CASES)}", found=case)
    with multiprocessing.get_context("spawn").Pool(1) as one:
        found: int = one.apply(_peak, (assets, case, count))
    return found


def _peak(assets: Path, case: str, count: int) -> int:
    torch.set_num_threads(1)
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
        shown = Photographs(assets)
        model, windows = shown.model, shown.windows(count)
        values = model.canvas.normalise(windows)
        model.logits(values[:1])
        assert model.module is not None
        for _ in range(2 if case == "training step" else 0):
            module = model.module.train().requires_grad_(True)
            rule = torch.optim.AdamW(module.parameters())
            F.cross_entropy(model.forward(values), torch.zeros(count, dtype=torch.long)).backward()
            rule.step()
        if case == "deep":
            DeepRecoder(model, shown.key, steps=4, chunk=count, margin=50.0)(windows)
    # Not getrusage: its peak is that of the parent, where that was larger when it started this process.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))
