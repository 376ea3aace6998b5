"""All figures asked of a GPU, in one run: images a second and the share of time that the device is busy.

A ViT-B/16 with random weights, which cost what real ones cost: one forward pass, spectral windows, spectral sealed, and deep
windows after a fixed number of steps (4 is the median of a real DeiT-tiny), in float32 and bfloat16. Windows lie on the device; files
are not written. Prints JSON lines:

    python benchmarks/gpu.py --device cuda --batch 64 --count 512 [--compile]
    python benchmarks/gpu.py --device cpu --batch 2 --count 2 --tiny    # to see that it runs

busy: time in kernels over time by the clock, from torch's profiler, in a run of its own; on a CPU there is none.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import ViTConfig, ViTForImageClassification

from catch11 import Canvas, DeepRecoder, Fit, SpectralRecoder, build_key
from catch11.copies.seal import SealSecret
from catch11.errors import InvalidArgument

CANVAS = Canvas(
    height=224, width=224, top=0, left=0, window_height=224, window_width=224,
    gain=(2.0, 2.0, 2.0), offset=(-1.0, -1.0, -1.0), fit=Fit(resize="exact", height=224, width=224),
)  # fmt: skip


class Plain(nn.Module):
    """A transformers model that returns logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.net(pixel_values=pixel_values).logits


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
    return round(min(kernels / whole, 1.0), 3)


def main() -> None:
    ask = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    ask.add_argument("--device", default="cuda")
    ask.add_argument("--batch", type=int, default=64)
    ask.add_argument("--count", type=int, default=512)
    ask.add_argument("--steps", type=int, default=4)
    ask.add_argument("--tiny", action="store_true", help="DeiT-tiny's size.")
    ask.add_argument("--compile", action="store_true", help="torch.compile the model first.")
    given = ask.parse_args()
    cuda = given.device != "cpu"
    if cuda and not torch.cuda.is_available():
        raise InvalidArgument("--device", expected="cpu where there is no GPU", found=given.device)
    torch.manual_seed(0)
    size = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
    net: nn.Module = Plain(
        ViTForImageClassification(ViTConfig(num_labels=1000, **(size if given.tiny else {})))
    )
    net = net.eval().requires_grad_(False)
    key = build_key(net, canvas=CANVAS, secret=bytes(32))
    seal = SealSecret(secret=bytes(32), canvas=CANVAS, original=key.front_fingerprint)
    net = net.to(given.device)
    if given.compile:
        net.net.forward = torch.compile(net.net.forward)  # type: ignore[union-attr]
    windows = torch.rand(given.count, *CANVAS.shape, device=given.device)
    works: dict[str, Callable[[Tensor], object]] = {
        "spectral": SpectralRecoder(key, psnr=10.0),
        "spectral, sealed": SpectralRecoder(key, psnr=10.0, copy=seal),
    }
    for precision in ("float32", "bfloat16"):

        def forward(part: Tensor, half: bool = precision == "bfloat16") -> None:
            with torch.no_grad(), torch.autocast(given.device, torch.bfloat16, enabled=half):
                net(CANVAS.normalise(part))

        works[f"forward, {precision}"] = forward
        works[f"deep, {precision}"] = DeepRecoder(
            net, key, steps=given.steps, margin=1000.0, chunk=given.batch,
            precision=precision,  # type: ignore[arg-type]
        )  # fmt: skip
    for name, work in works.items():

        def whole(work: Callable[[Tensor], object] = work) -> None:
            for part in windows.split(given.batch):
                work(part)

        work(windows[: given.batch])  # warm
        print(json.dumps({
            "what": name, "device": torch.cuda.get_device_name() if cuda else "cpu",
            "model": "ViT-Ti/16" if given.tiny else "ViT-B/16", "compiled": given.compile, "batch": given.batch,
            "steps": given.steps, "images/s": round(given.count / clock(whole, cuda), 2), "busy": busy(whole, cuda),
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
