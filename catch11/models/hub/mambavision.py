"""MambaVision as transformers knows a model: its configuration, its class, its own preparation.

The published folders (nvidia/MambaVision-T-1K and the like) name code of their own, which needs CUDA
kernels; here they load without it, under the published names of the weights.
"""

from functools import cache
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import ImageClassifierOutput

from catch11.models.mambavision.net import MambaVision, Shape

NAME = "mambavision"
# Where a folder states none: those of every published checkpoint.
_MEAN, _STD, _SIDE = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 224


class MambaVisionConfig(PretrainedConfig):
    """What config.json says, in the published words; T where it says nothing."""

    model_type: ClassVar[str] = NAME

    def __init__(
        self,
        depths: Any = (1, 3, 8, 4),
        num_heads: Any = (2, 4, 8, 16),
        window_size: Any = (8, 8, 14, 7),
        dim: int = 80,
        in_dim: int = 32,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.2,
        layer_scale: float | None = None,
        layer_scale_conv: float | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.depths, self.num_heads = list(depths), list(num_heads)
        self.window_size, self.dim, self.in_dim = list(window_size), dim, in_dim
        self.mlp_ratio, self.drop_path_rate = mlp_ratio, drop_path_rate
        self.layer_scale, self.layer_scale_conv = layer_scale, layer_scale_conv

    @property
    def shape(self) -> Shape:
        """The size of the net. Raises InvalidArgument."""
        return Shape(
            dim=self.dim,
            stem=self.in_dim,
            depths=self.depths,
            heads=self.num_heads,
            windows=self.window_size,
            ratio=self.mlp_ratio,
            scale=self.layer_scale,
            scale_convolution=self.layer_scale_conv,
            drop=self.drop_path_rate,
        )


class MambaVisionForImageClassification(PreTrainedModel):
    """The classifier, its net under `model` as published."""

    config_class = MambaVisionConfig
    base_model_prefix = "model"
    main_input_name = "pixel_values"

    def __init__(self, config: MambaVisionConfig) -> None:
        super().__init__(config)
        self.model = MambaVision(config.shape, classes=int(config.num_labels or 0))
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Nothing: the net draws its own as it is built."""

    def forward(
        self,
        pixel_values: Float[Tensor, "batch channel height width"],
        labels: Tensor | None = None,
        **_: Any,
    ) -> ImageClassifierOutput:
        """Logits, and the loss where labels are given."""
        logits = self.model(pixel_values)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)


@cache
def register() -> None:
    """Make transformers' Auto classes know it, once a process."""
    AutoConfig.register(NAME, MambaVisionConfig, exist_ok=True)
    AutoModelForImageClassification.register(
        MambaVisionConfig, MambaVisionForImageClassification, exist_ok=True
    )


def stated_preparation(config: MambaVisionConfig) -> dict[str, Any]:
    """How pictures are prepared where no processor lies beside: as the published cards do, with
    timm's evaluation transform, which brings the short side to ⌊side / crop_pct⌋, bilinear."""
    share = getattr(config, "crop_pct", None) or 1.0
    return {
        "input_size": [3, _SIDE, _SIDE],
        "mean": list(getattr(config, "mean", None) or _MEAN),
        "std": list(getattr(config, "std", None) or _STD),
        "interpolation": "bilinear",
        "resize": int(_SIDE / share),
    }
