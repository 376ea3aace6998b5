"""Images a second of deep recoding on a ViT-B/16 with random weights, which cost what real ones cost.

A fixed number of steps is taken (4 is the median of a real DeiT-tiny). Prints a JSON line a precision:

    python benchmarks/deep_speed.py --device cuda --batch 64 --count 512
    python benchmarks/deep_speed.py --device cpu --batch 2 --count 2 --tiny
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification

from catch11 import DeepRecoder, build_key
from catch11.canvas.frame import Canvas, Fit
from catch11.errors import InvalidArgument

CANVAS = Canvas(
    height=224, width=224, top=0, left=0, window_height=224, window_width=224,
    gain=(2.0, 2.0, 2.0), offset=(-1.0, -1.0, -1.0),
    fit=Fit(resize="exact", height=224, width=224),
)  # fmt: skip


class Plain(nn.Module):
    """A transformers model that returns logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.net(pixel_values=pixel_values).logits


def seconds(work: Callable[[], object], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--batch", type=int, default=64)
    ask.add_argument("--count", type=int, default=256)
    ask.add_argument("--steps", type=int, default=4)
    ask.add_argument("--tiny", action="store_true", help="DeiT-tiny's size, to see that it runs.")
    ask.add_argument("--compile", action="store_true", help="torch.compile the model first.")
    given = ask.parse_args()
    if given.device != "cpu" and not torch.cuda.is_available():
        raise InvalidArgument("--device", expected="cpu where there is no GPU", found=given.device)
    torch.manual_seed(0)
    size = (
        {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
        if given.tiny
        else {}
    )
    net: nn.Module = Plain(ViTForImageClassification(ViTConfig(num_labels=1000, **size)))
    net = net.eval().requires_grad_(False)
    key = build_key(net, canvas=CANVAS, secret=bytes(32))
    net = net.to(given.device)
    windows = torch.rand(given.count, *CANVAS.shape)
    if given.compile:
        net.net.forward = torch.compile(net.net.forward)  # type: ignore[union-attr]
    for precision in ("float32", "bfloat16"):
        recoder = DeepRecoder(
            net, key, steps=given.steps, margin=1000.0, chunk=given.batch,
            precision=precision,  # type: ignore[arg-type]
        )  # fmt: skip

        def forward(precision: str = precision) -> None:
            half = torch.autocast(given.device, torch.bfloat16, enabled=precision == "bfloat16")
            with torch.no_grad(), half:
                for part in windows.split(given.batch):
                    net(CANVAS.normalise(part.to(given.device)))

        recoder(windows[: given.batch])  # warm
        forward()
        once, all_of_it = (
            seconds(forward, given.device),
            seconds(lambda r=recoder: r(windows), given.device),
        )  # type: ignore[misc]
        print(json.dumps({
            "device": torch.cuda.get_device_name() if given.device != "cpu" else "cpu",
            "model": "ViT-Ti/16" if given.tiny else "ViT-B/16", "precision": precision,
            "compiled": given.compile, "batch": given.batch, "steps": given.steps,
            "forward, images/s": round(given.count / once, 2),
            "deep, images/s": round(given.count / all_of_it, 2),
            "forwards an image": round(all_of_it / once, 1),
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
