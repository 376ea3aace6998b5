"""How many rounds the search of a spectral picture takes, and what it leaves the front: photographs for DeiT-tiny.

Prints a line a strength: rounds, of any tiles; whole, the same in rounds of all tiles; whole's quartiles and most; the
shift of the written file; its PSNR. Pictures, key and noise are the same in every run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean, quantiles
from typing import Annotated

import torch
import typer

from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import show
from benchmarks.photographs import Photographs
from catch11 import SpectralRecoder
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


def rounds(
    assets: Assets = ASSETS,
    photographs: Annotated[int, typer.Option(help="So many.")] = 32,
    psnr: Annotated[list[float], typer.Option(help="Strengths in dB; repeatable.")] = [10.0, 14.0, 8.5],
) -> None:  # fmt: skip
    shown = Photographs(assets)
    windows = shown.windows(photographs)
    for strength in psnr:
        recoder = SpectralRecoder(shown.key, psnr=strength)
        rounds, whole, shifts, decibels = (list[float]() for _ in range(4))
        for window in windows:
            with counted() as found:
                made = recoder(window[None])
            rounds.append(len(found))
            whole.append(sum(found))
            shifts += made.front_shift
            decibels += made.psnr
        show({
            "psnr": strength, "n": len(windows), "rounds": mean(rounds), "whole": mean(whole),
            "quartiles": quantiles(whole, n=4), "most": max(whole), "shift": mean(shifts), "is": mean(decibels),
        })  # fmt: skip
