"""The paper's five families as configurations of transformers, small (sides below 128) and as published.

Small forms keep what matters here, the front: ResNet's overlapping 7x7 convolution; ViT's patches of
192 values seen by 128 features, which leave an exact null space; DeiT's of 192 seen by 192, which leave
none; SwinV2's 4x4x3 = 48 values seen by 48; MambaVision's two overlapping convolutions.
"""

from typing import Any, Literal, get_args

Family = Literal["resnet", "vit", "deit", "swinv2", "mambavision"]
FAMILIES: tuple[Family, ...] = get_args(Family)  # called as transformers calls them
_SMALL: dict[Family, dict[str, Any]] = {
    "resnet": {
        "embedding_size": 32, "hidden_sizes": [32, 64, 128], "depths": [2, 2, 2],
        "layer_type": "basic", "downsample_in_first_stage": False,
    },
    "vit": {
        "patch_size": 8, "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 512,
    },
    "deit": {
        "patch_size": 8, "hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 6,
        "intermediate_size": 384,
    },
    "swinv2": {
        "patch_size": 4, "embed_dim": 48, "depths": [2, 2], "num_heads": [3, 6], "window_size": 4,
    },
    "mambavision": {
        "dim": 32, "in_dim": 16, "depths": [1, 1, 2, 2], "num_heads": [1, 2, 4, 8],
        "window_size": [8, 4, 2, 1], "drop_path_rate": 0.1,
    },
}  # fmt: skip
# ResNet-50, ViT-S/16, DeiT-Ti/16, SwinV2-T, MambaVision-T.
_PUBLISHED: dict[Family, dict[str, Any]] = {
    "resnet": {
        "embedding_size": 64, "hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3],
        "layer_type": "bottleneck",
    },
    "vit": {
        "patch_size": 16, "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6,
        "intermediate_size": 1536,
    },
    "deit": {
        "patch_size": 16, "hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3,
        "intermediate_size": 768,
    },
    "swinv2": {
        "patch_size": 4, "embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24],
        "window_size": 7,
    },
    "mambavision": {},
}  # fmt: skip


def settings(family: Family, *, small: bool) -> dict[str, Any]:
    """Fields of the configuration, sides and classes aside."""
    return dict((_SMALL if small else _PUBLISHED)[family])
