"""How many rounds the search of a spectral picture takes, and what it leaves the front: photographs for DeiT-tiny.

    python benchmarks/rounds.py ASSETS [--photographs 32] [--psnr 10 14 8.5]

A JSON line a strength: rounds, of any tiles; whole, the same in rounds of all tiles; whole's quartiles and most; the
shift of the written file; its PSNR. Pictures, key and noise are the same in every run.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, quantiles

import torch

from catch11 import SpectralRecoder, build_key, load_model
from catch11.data.windows import folder_windows
from catch11.recoding.spectral.box import _Search


@contextmanager
def counted() -> Iterator[list[float]]:
    """The share of all tiles of every round meanwhile."""
    found: list[float] = []
    real = _Search._round

    def noted(self: _Search, count: int, amplitude: float) -> torch.Tensor:
        found.append(count / self.rows.count)
        return real(self, count, amplitude)

    _Search._round = noted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        _Search._round = real  # type: ignore[method-assign]


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("assets", type=Path)
    ask.add_argument("--photographs", type=int, default=32)
    ask.add_argument("--psnr", type=float, nargs="+", default=[10.0, 14.0, 8.5])
    given = ask.parse_args()
    torch.set_num_threads(1)
    model = load_model(f"hf:{given.assets}/models/deit-tiny-patch16-224")
    key = build_key(model, secret=bytes(range(32)))
    folder = given.assets / "images" / "nips2017"
    windows = folder_windows(folder, model.canvas, most=given.photographs)
    for psnr in given.psnr:
        recoder = SpectralRecoder(key, psnr=psnr)
        rounds, whole, shifts, decibels = [], [], [], []
        for window in windows:
            with counted() as found:
                made = recoder(window[None])
            rounds.append(len(found))
            whole.append(sum(found))
            shifts += made.front_shift
            decibels += made.psnr
        row = {
            "psnr": psnr, "n": len(windows), "rounds": mean(rounds), "whole": mean(whole),
            "quartiles": quantiles(whole, n=4), "most": max(whole), "shift": mean(shifts), "is": mean(decibels),
        }  # fmt: skip
        print(
            json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}),
            flush=True,
        )


if __name__ == "__main__":
    main()
