"""Peak memory of deep recoding beside that of one training step of the same model at the same batch.

Each case runs in a process of its own, whose peak resident size is read at its end; "base" has loaded
the model and answered once. From the project's root:

    python benchmarks/deep_memory.py hf:ASSETS/models/deit-tiny-patch16-224 --batch 16
"""

import argparse
import json
import resource
import subprocess
import sys

import torch
import torch.nn.functional as F

from catch11 import DeepRecoder, build_key, load_model
from catch11.models.frame import Model
from catch11.recoding.codecs import survival

CASES = ("base", "training", "deep", "deep, survive jpeg:50", "deep, at features")
ROUNDS = 2  # the second shows what stays


def work(case: str, model: Model, batch: int) -> None:
    windows = torch.rand(batch, *model.canvas.shape, generator=torch.Generator().manual_seed(0))
    values = model.canvas.normalise(windows)
    if case == "base":
        model.logits(values[:1])
    elif case == "training":
        assert model.module is not None
        module = model.module.train().requires_grad_(True)
        rule = torch.optim.AdamW(module.parameters())
        for _ in range(ROUNDS):
            F.cross_entropy(model.forward(values), torch.zeros(batch, dtype=torch.long)).backward()
            rule.step()
            rule.zero_grad()
    else:
        key = build_key(model, energy=0.01, secret=bytes(32))
        settings = {"at": "features", "agreement": "match<0.01"} if "features" in case else {}
        recoder = DeepRecoder(
            model, key, steps=ROUNDS, chunk=batch, margin=50.0,
            survive=survival("jpeg:50" if "jpeg" in case else ""), **settings,  # type: ignore[arg-type]
        )  # fmt: skip
        recoder(windows)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("model")
    ask.add_argument("--batch", type=int, default=16)
    ask.add_argument("--case")
    given = ask.parse_args()
    torch.set_num_threads(1)
    if given.case is not None:
        work(given.case, load_model(given.model), given.batch)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    peaks = {}
    for case in CASES:
        words = [sys.executable, __file__, given.model, "--batch", str(given.batch), "--case", case]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        peaks[case] = int(done.stdout.split()[-1])
    base, training = peaks["base"], peaks["training"]
    for case, peak in peaks.items():
        print(json.dumps({
            "case": case, "batch": given.batch, "peak MiB": peak, "above base MiB": peak - base,
            "of training": round(peak / training, 2),
            "of training, above base": round((peak - base) / (training - base), 2),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
