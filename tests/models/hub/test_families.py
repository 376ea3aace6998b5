"""Families of transformers' picture classifiers, tiny and with random weights: what is released is read
by transformers alone as the sources were. A few run always, all of them with CATCH11_LONG=1."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from catch11.keys.key import build_key
from catch11.models.load import load_picture_model
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from tests.models.vlm.tiny import pictures

COUNT = 16
SQUARE = {"size": {"height": 64, "width": 64}}
CROP = {"height": 64, "width": 64}
FOUR = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}
HEADED = {**FOUR, "num_attention_heads": [1, 2, 2, 4]}
VIT = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
TOWER = {"vision_config": {**VIT, "image_size": 64, "patch_size": 16},
         "text_config": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 99,
                         "bos_token_id": 1, "eos_token_id": 2}}  # fmt: skip
PATCHES = {**VIT, "image_size": 64, "patch_size": 16}
DINO = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 70,
    "patch_size": 14,
}
SHORT = {"size": {"shortest_edge": 72}, "crop_size": CROP}
STAGES = {"embed_dim": 16, "image_size": 64, "depths": [1, 1, 1, 1]}


class Row(NamedTuple):
    name: str
    settings: dict[str, Any]
    processor: str
    prepared: dict[str, Any]
    geometry: str = "patch"
    always: bool = False


ROWS = (
    Row("Beit", PATCHES, "Beit", SQUARE),
    Row("Bit", {"embedding_size": 16, "num_groups": 4, **FOUR}, "Bit", SHORT, "conv"),
    Row("CLIP", TOWER, "CLIP", SHORT),
    Row("ConvNext", FOUR, "ConvNext", {"size": {"shortest_edge": 64}}),
    Row("ConvNextV2", FOUR, "ConvNext", {"size": {"shortest_edge": 64}, "crop_pct": 0.95}, always=True),
    Row("Data2VecVision", PATCHES, "Beit", SQUARE),
    Row("Dinov2", DINO, "Bit", {"size": {"shortest_edge": 80}, "crop_size": {"height": 70, "width": 70}}, always=True),
    Row("Dinov2WithRegisters", DINO, "Bit", {"size": {"shortest_edge": 80}, "crop_size": {"height": 75, "width": 75}}),
    Row("EfficientNet", {"image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320}, "EfficientNet", SQUARE, "conv"),
    Row("FocalNet", {**STAGES, "focal_levels": [1] * 4, "focal_windows": [3] * 4}, "Bit", SHORT),
    Row("Hiera", {**STAGES, "image_size": [64, 64], "num_heads": [1, 1, 2, 2]}, "Bit", SHORT, "conv", always=True),
    Row("IJepa", PATCHES, "ViT", SQUARE),
    Row("Levit", {"hidden_sizes": [16, 24, 32], "num_attention_heads": [1, 2, 2], "depths": [1, 1, 1], "key_dim": [8] * 3, "image_size": 64}, "Levit", SHORT, "conv"),
    Row("MobileNetV1", {"depth_multiplier": 0.25, "image_size": 64}, "MobileNetV1", SHORT, "conv"),
    Row("MobileViT", {"image_size": 64, "hidden_sizes": [16] * 3, "neck_hidden_sizes": [8, 8, 16, 16, 16, 16, 32]}, "MobileViT", SHORT, "conv"),
    Row("MobileViTV2", {"image_size": 64, "width_multiplier": 0.25, "base_attn_unit_dims": [16] * 3}, "MobileViT", SHORT, "conv"),
    Row("PoolFormer", FOUR, "PoolFormer", {**SHORT, "size": {"shortest_edge": 64}, "crop_pct": 0.9}, "conv"),
    Row("PvtV2", {"image_size": 64, **HEADED}, "Pvt", SQUARE, "conv"),
    Row("RegNet", {"embedding_size": 8, "groups_width": 8, **FOUR}, "ConvNext", {"size": {"shortest_edge": 64}}, "conv"),
    Row("ResNet", {"embedding_size": 16, **FOUR}, "ConvNext", {"size": {"shortest_edge": 64}}, "conv"),
    Row("Segformer", HEADED, "Segformer", SQUARE, "conv"),
    Row("Siglip", TOWER, "Siglip", SQUARE),
    Row("SwiftFormer", {"image_size": 64, "embed_dims": [16, 24, 32, 48], "depths": [1] * 4}, "ViT", SQUARE, "conv"),
    Row("Swinv2", {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "image_size": 64, "window_size": 4}, "ViT", SQUARE),
    Row("ViTMSN", PATCHES, "ViT", {**SQUARE, "resample": 1, "rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}),
)  # fmt: skip
SOME = [row for row in ROWS if row.always or os.environ.get("CATCH11_LONG")]


def save(row: Row, folder: Path) -> None:
    """The net with its processor, its norms and its head as pictures are, so that answers differ."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{row.name}Config")(
        **row.settings, id2label=dict(enumerate("abcdef"))
    )
    net = getattr(transformers, f"{row.name}ForImageClassification")(config)
    own = getattr(transformers, f"{row.processor}ImageProcessorPil")(**row.prepared)
    values = torch.cat([own(images=[one], return_tensors="pt")["pixel_values"] for one in drawn()])
    head = [
        part for part in net.modules() if isinstance(part, nn.Linear) and part.out_features == 6
    ][-1]
    seen: list[Tensor] = []
    for norm in (
        part for part in net.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
    ):
        norm.momentum = None  # the mean over what it is given
        norm.reset_running_stats()
    with torch.no_grad():
        net.train()(values)
        hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(1)))
        net.eval()(values)
        hook.remove()
        _, sizes, rows = torch.linalg.svd(seen[0] - seen[0].mean(0), full_matrices=False)
        mix = torch.randn(6, 5, generator=torch.Generator().manual_seed(3))
        head.weight.copy_(4 * mix @ (rows[:5] / sizes[:5, None]))
        if head.bias is not None:
            head.bias.copy_(-head.weight @ seen[0].mean(0))
    net.save_pretrained(folder)
    own.save_pretrained(folder)


def drawn() -> list[Image.Image]:
    return pictures(COUNT, height=100, width=130)


def answers(folder: Path, files: list[Path]) -> list[int]:
    """By transformers alone."""
    net = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    own = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        values = [
            own(images=[Image.open(one)], return_tensors="pt")["pixel_values"] for one in files
        ]
        return [int(net(pixel_values=one).logits.argmax()) for one in values]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", SOME, ids=lambda row: row.name)
def test_a_family_is_released_for(row: Row, tmp_path: Path) -> None:
    folder, source = tmp_path / "net", tmp_path / "source"
    save(row, folder)
    source.mkdir()
    for number, one in enumerate(drawn()):
        one.save(source / f"{number:02}.png")
    model = load_picture_model(str(folder))
    key = build_key(model)
    assert key.front.geometry == row.geometry
    kept = {}
    for name, recoder in (
        ("spectral", SpectralRecoder(key, psnr=8.0)),
        ("deep", DeepRecoder(model, key)),
    ):
        release(source, tmp_path / name, recoder)
        files = sorted((tmp_path / name).glob("*.png"))
        pairs = zip(
            answers(folder, files),
            answers(folder, [source / one.name for one in files]),
            strict=True,
        )
        kept[name] = sum(a == b for a, b in pairs), len(files)
    print(f"\n{row.name}: {key.front.geometry}, spectral {kept['spectral']}, deep {kept['deep']}")
    assert kept["deep"][0] == kept["deep"][1] > 0
    assert row.geometry == "conv" or kept["spectral"][0] >= COUNT - 1
