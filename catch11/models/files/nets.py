"""The small networks a bare file of tensors is recognised as, in plain torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
Build = Callable[[Shapes], nn.Module | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A family of nets: `build` gives an empty net of the size the shapes ask for, or None."""

    name: str
    build: Build


ARCHITECTURES: dict[str, Architecture] = {}


def architecture(name: str) -> Callable[[Build], Build]:
    """Register a builder under `name`; a second one of that name is a programming error."""

    def register(build: Build) -> Build:
        if name in ARCHITECTURES:
            raise KeyError(f"architecture {name} is registered twice")
        ARCHITECTURES[name] = Architecture(name=name, build=build)
        return build

    return register


def recognise(shapes: Shapes) -> nn.Module | None:
    """An empty net whose state dict has exactly these names and shapes, or None."""
    for known in ARCHITECTURES.values():
        net = known.build(shapes)
        if net is not None and _fits(net, shapes):
            return net
    return None


class Fire(nn.Module):
    """SqueezeNet's squeeze (1x1) and its two expansions (1x1 and 3x3), concatenated."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features to features of twice `expand` channels."""
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))), dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 (Iandola et al. 1602.07360) with torchvision's parameter names."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        pool = nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(),
            pool,
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            pool,
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            pool,
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, classes, 1), nn.ReLU())

    def forward(
        self, pixel_values: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Normalised pictures to logits."""
        return self.classifier(self.features(pixel_values)).mean(dim=(2, 3))


class Block(nn.Module):
    """Two 3x3 convolutions and a parameter-free shortcut (option A: stride and zero channels)."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.widen = planes - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Features to features, halved where the stride is two."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        side = self.widen // 2
        short = F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, side, self.widen - side)
        )
        return F.relu(y + short)


class CifarResNet(nn.Module):
    """ResNet for 32x32 pictures (He et al. 1512.03385, section 4.2), 6 * blocks + 2 layers deep."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, classes)

    def forward(
        self, pixel_values: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Normalised pictures to logits."""
        x = F.relu(self.bn1(self.conv1(pixel_values)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def _stage(inputs: int, planes: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = Block(inputs, planes, stride)
    return nn.Sequential(first, *(Block(planes, planes, 1) for _ in range(blocks - 1)))


@architecture("squeezenet1_1")
def _squeezenet(shapes: Shapes) -> nn.Module | None:
    head = shapes.get("classifier.1.weight", ())
    if "features.12.expand3x3.weight" not in shapes or len(head) != 4:
        return None
    return SqueezeNet(classes=_at_most(head[0]))


@architecture("cifar_resnet20/32/44/56/110")
def _cifar_resnet(shapes: Shapes) -> nn.Module | None:
    found = [re.fullmatch(r"layer3\.(\d+)\.conv2\.weight", name) for name in shapes]
    blocks = sum(match is not None for match in found)
    head = shapes.get("linear.weight", ())
    if not 1 <= blocks <= 200 or len(head) != 2:
        return None
    return CifarResNet(blocks, classes=_at_most(head[0]))


def _at_most(classes: int) -> int:
    """A head size a file may ask for; beyond it the shapes will not match and the file is refused."""
    return min(classes, 1 << 20)


def _fits(net: nn.Module, shapes: Shapes) -> bool:
    """Whether names and shapes agree; the batch counter of a BatchNorm may be absent."""
    needed = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    counted = {name for name in needed if name.endswith("num_batches_tracked")}
    if set(shapes) - set(needed) or set(needed) - counted - set(shapes):
        return False
    return all(needed[name] == tuple(shape) for name, shape in shapes.items())
