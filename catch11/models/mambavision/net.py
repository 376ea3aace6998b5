"""The net: two stages of convolutions, then two whose windows pass Mamba mixers and attention.

Names of modules are those of the published checkpoints, which load strictly.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from catch11.errors import InvalidArgument
from catch11.models.mambavision.scan import selective_scan

STATE, REACH = 8, 3  # of every mixer: its hidden states a channel, the width of its convolutions
STAGES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A size of the net. dim: channels of the first stage, doubled at each next one. stem: channels
    inside the stem. windows: side of the windows, in places, of each stage; the first two use none.
    scale: of what a hybrid block adds, at the start of training; none where it is not scaled. drop:
    share of blocks left out in training, at the last one.
    """

    dim: int
    stem: int
    depths: Sequence[int]
    heads: Sequence[int] = (2, 4, 8, 16)
    windows: Sequence[int] = (8, 8, 14, 7)
    ratio: float = 4.0
    scale: float | None = None
    scale_convolution: float | None = None
    drop: float = 0.2

    def __post_init__(self) -> None:
        for name in ("depths", "heads", "windows"):
            if len(found := getattr(self, name)) != STAGES or min(found) < 1:
                raise InvalidArgument(name, expected=f"{STAGES} numbers above 0", found=found)
        if any(self.dim * 2**i % head for i, head in enumerate(self.heads) if i > 1):
            raise InvalidArgument("heads", expected="divisors of the channels", found=self.heads)


SHAPES = {
    "T": Shape(dim=80, stem=32, depths=(1, 3, 8, 4)),
    "T2": Shape(dim=80, stem=32, depths=(1, 3, 11, 4)),
    "S": Shape(dim=96, stem=64, depths=(3, 3, 7, 5)),
    "B": Shape(dim=128, stem=64, depths=(3, 3, 10, 5), scale=1e-5, drop=0.3),
}


class DropPath(nn.Module):
    """Leaves what a block adds out for a share of the inputs in training; does nothing otherwise."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        if not self.training or self.share <= 0.0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.share
        return x * kept / (1.0 - self.share)


class Stem(nn.Module):
    """Two convolutions of stride 2."""

    def __init__(self, channels: int, stem: int, dim: int) -> None:
        super().__init__()
        self.conv_down = nn.Sequential(
            nn.Conv2d(channels, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem, eps=1e-4), nn.ReLU(),
            nn.Conv2d(stem, dim, 3, 2, 1, bias=False), nn.BatchNorm2d(dim, eps=1e-4), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        return self.conv_down(x)


class ConvolutionBlock(nn.Module):
    """A residual block of the first two stages."""

    def __init__(self, dim: int, *, scale: float | None, drop: float) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim)
        self.act1 = nn.GELU(approximate="tanh")
        self.conv2, self.norm2 = nn.Conv2d(dim, dim, 3, padding=1), nn.BatchNorm2d(dim)
        self.gamma = None if scale is None else nn.Parameter(torch.full((dim,), float(scale)))
        self.drop_path = DropPath(drop)

    def forward(self, x: Float[Tensor, "b d p q"]) -> Float[Tensor, "b d p q"]:
        added = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        if self.gamma is not None:
            added = added * self.gamma[:, None, None]
        return x + self.drop_path(added)


class Mixer(nn.Module):
    """Half of the channels through a scan, half past it, both after a convolution that is not causal."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        half, self.rank = dim // 2, math.ceil(dim / 16)
        self.in_proj = nn.Linear(dim, dim, bias=False)
        self.x_proj = nn.Linear(half, self.rank + 2 * STATE, bias=False)
        self.dt_proj = nn.Linear(self.rank, half)
        self.A_log = nn.Parameter(torch.arange(1.0, STATE + 1).log().repeat(half, 1))
        self.D = nn.Parameter(torch.ones(half))
        self.out_proj = nn.Linear(dim, dim, bias=False)
        self.conv1d_x = nn.Conv1d(half, half, REACH, padding="same", groups=half, bias=False)
        self.conv1d_z = nn.Conv1d(half, half, REACH, padding="same", groups=half, bias=False)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        scanned, past = rearrange(self.in_proj(x), "b l d -> b d l").chunk(2, dim=1)
        scanned, past = F.silu(self.conv1d_x(scanned)), F.silu(self.conv1d_z(past))
        asked = self.x_proj(rearrange(scanned, "b d l -> b l d"))
        steps, write, read = asked.split([self.rank, STATE, STATE], dim=-1)
        # The reference adds this bias twice, in the projection and in the scan; its weights are so.
        steps = F.softplus(self.dt_proj(steps) + self.dt_proj.bias)
        write, read, steps = (rearrange(one, "b l d -> b d l") for one in (write, read, steps))
        made = selective_scan(scanned, steps, -self.A_log.exp(), write, read, self.D)
        return self.out_proj(rearrange(torch.cat([made, past], dim=1), "b d l -> b l d"))


class Attention(nn.Module):
    """Attention within a window."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        q, k, v = rearrange(self.qkv(x), "b l (three h d) -> three b h l d", three=3, h=self.heads)
        return self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "b h l d -> b l (h d)"))


class Perceptron(nn.Module):
    """Two linear layers."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        return self.fc2(F.gelu(self.fc1(x)))


class HybridBlock(nn.Module):
    """A block of the last two stages: a mixer or attention, then two linear layers."""

    def __init__(self, dim: int, mixer: nn.Module, *, ratio: float, scale: float | None, drop: float) -> None:  # fmt: skip
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mixer, self.mlp = mixer, Perceptron(dim, int(dim * ratio))
        self.gamma_1, self.gamma_2 = (
            None if scale is None else nn.Parameter(torch.full((dim,), float(scale)))
            for _ in range(2)
        )
        self.drop_path = DropPath(drop)

    def forward(self, x: Float[Tensor, "b l d"]) -> Float[Tensor, "b l d"]:
        for norm, run, gamma in (
            (self.norm1, self.mixer, self.gamma_1), (self.norm2, self.mlp, self.gamma_2),
        ):  # fmt: skip
            added = run(norm(x))
            x = x + self.drop_path(added if gamma is None else gamma * added)
        return x


class Downsample(nn.Module):
    """Half the side, twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Sequential(nn.Conv2d(dim, 2 * dim, 3, 2, 1, bias=False))

    def forward(self, x: Float[Tensor, "b d p q"]) -> Float[Tensor, "b e r s"]:
        return self.reduction(x)


class Stage(nn.Module):
    """Blocks of one size, in windows where they are hybrid; what does not fill a window is padded."""

    def __init__(self, blocks: Sequence[nn.Module], window: int | None, downsample: int) -> None:
        super().__init__()
        self.blocks, self.window = nn.ModuleList(blocks), window
        self.downsample = Downsample(downsample) if downsample else None

    def forward(self, x: Float[Tensor, "b d p q"]) -> Float[Tensor, "b e r s"]:
        height, width = x.shape[-2:]
        if self.window is not None:
            side = self.window
            x = F.pad(x, (0, -width % side, 0, -height % side))
            rows = x.shape[-2] // side
            x = rearrange(x, "b d (i p) (j q) -> (b i j) (p q) d", p=side, q=side)
        for block in self.blocks:
            x = block(x)
        if self.window is not None:
            columns = -(-width // side)
            x = rearrange(x, "(b i j) (p q) d -> b d (i p) (j q)", i=rows, j=columns, p=side)
            x = x[..., :height, :width].contiguous()
        return x if self.downsample is None else self.downsample(x)


class MambaVision(nn.Module):
    """The classifier of one size. Table 2 of the paper has its sizes, its §3 the blocks."""

    def __init__(self, shape: Shape, *, classes: int = 1000, channels: int = 3) -> None:
        super().__init__()
        self.patch_embed = Stem(channels, shape.stem, shape.dim)
        count = sum(shape.depths)
        drops = iter([shape.drop * block / max(1, count - 1) for block in range(count)])
        self.levels = nn.ModuleList(_stage(shape, stage, drops) for stage in range(STAGES))
        last = shape.dim * 2 ** (STAGES - 1)
        self.norm, self.avgpool = nn.BatchNorm2d(last), nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(last, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of normalised pictures, whose sides are multiples of 32 or are padded in windows."""
        x = self.patch_embed(pixel_values)
        for level in self.levels:
            x = level(x)
        return self.head(self.avgpool(self.norm(x)).flatten(1))


def _stage(shape: Shape, stage: int, drops: Iterator[float]) -> Stage:
    dim, depth = shape.dim * 2**stage, shape.depths[stage]
    downsample = dim if stage < STAGES - 1 else 0
    if stage < 2:
        scale = shape.scale_convolution
        found = [ConvolutionBlock(dim, scale=scale, drop=next(drops)) for _ in range(depth)]
        return Stage(found, None, downsample)
    blocks = [
        HybridBlock(
            dim,
            Mixer(dim) if block < -(-depth // 2) else Attention(dim, shape.heads[stage]),
            ratio=shape.ratio,
            scale=shape.scale,
            drop=next(drops),
        )
        for block in range(depth)
    ]
    return Stage(blocks, shape.windows[stage], downsample)
