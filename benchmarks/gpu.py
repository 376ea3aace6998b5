"""All figures asked of a GPU, in one run: images a second and the share of time that the device is busy.

A ViT-B/16 with random weights, which cost what real ones cost: one forward pass, spectral windows, spectral sealed, and deep
windows after a fixed number of steps (4 is the median of a real DeiT-tiny), in float32 and bfloat16. Windows lie on the device; files
are not written. Prints a line each. busy: time in kernels over time by the clock, from torch's profiler, in a run of its own; on a CPU
there is none. `--device cpu --batch 2 --count 2 --tiny` shows that it runs.
"""

import time
from collections.abc import Callable
from typing import Annotated, Any, get_args

import torch
import typer
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from transformers import ViTConfig, ViTForImageClassification

from benchmarks.lines import show
from benchmarks.named import Plain
from catch11 import DeepRecoder, SealSecret, SpectralRecoder, build_key
from catch11.canvas.plain import plain_canvas
from catch11.errors import InvalidArgument
from catch11.recoding.deep.target import Precision

CANVAS = plain_canvas(224, 224, mean=(0.5,) * 3, std=(0.5,) * 3)


def gpu(
    device: Annotated[str, typer.Option(help="cuda, cuda:N or cpu.")] = "cuda",
    batch: Annotated[int, typer.Option(help="Windows at once.")] = 64,
    count: Annotated[int, typer.Option(help="Windows in all.")] = 512,
    steps: Annotated[int, typer.Option(help="Of the deep search.")] = 4,
    tiny: Annotated[bool, typer.Option("--tiny", help="DeiT-tiny's size.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile the model first.")] = False,
) -> None:  # fmt: skip
    cuda = device != "cpu"
    if cuda and not torch.cuda.is_available():
        raise InvalidArgument("device", expected="cpu where there is no GPU", found=device)
    torch.manual_seed(0)
    size: dict[str, Any] = {"num_labels": 1000}
    if tiny:
        size |= {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
    net = Plain(ViTForImageClassification(ViTConfig(**size)))
    net = net.eval().requires_grad_(False)
    key = build_key(net, canvas=CANVAS, secret=bytes(32))
    seal = SealSecret(secret=bytes(32), canvas=CANVAS, original=key.front_fingerprint)
    net = net.to(device)
    if compile:
        net.net.forward = torch.compile(net.net.forward)
    windows = torch.rand(count, *CANVAS.shape, device=device)
    works: dict[str, Callable[[Tensor], object]] = {
        "spectral": SpectralRecoder(key, psnr=10.0),
        "spectral, sealed": SpectralRecoder(key, psnr=10.0, copy=seal),
    }
    for precision in get_args(Precision):

        def forward(part: Tensor, half: bool = precision == "bfloat16") -> None:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=half):
                net(CANVAS.normalise(part))

        works[f"forward, {precision}"] = forward
        works[f"deep, {precision}"] = DeepRecoder(
            net, key, steps=steps, margin=1000.0, chunk=batch, precision=precision
        )
    for name, work in works.items():

        def whole(work: Callable[[Tensor], object] = work) -> None:
            for part in windows.split(batch):
                work(part)

        work(windows[:batch])  # warm
        show({
            "what": name, "device": torch.cuda.get_device_name() if cuda else "cpu",
            "model": "ViT-Ti/16" if tiny else "ViT-B/16", "compiled": compile, "batch": batch,
            "steps": steps, "images/s": count / clock(whole, cuda), "busy": busy(whole, cuda),
        })  # fmt: skip


def clock(work: Callable[[], object], cuda: bool) -> float:
    """Seconds, the device waited for."""
    if cuda:
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def busy(work: Callable[[], object], cuda: bool) -> float | None:
    """Share of the time in which a kernel runs."""
    if not cuda:
        return None
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        whole = clock(work, cuda)
    kernels = sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
    return min(kernels / whole, 1.0)
