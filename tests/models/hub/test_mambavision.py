"""MambaVision folders load without the code they name, as saved and as published."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ViTImageProcessor

import catch11
from catch11.errors import ModelRefused
from catch11.models.frame import Model
from catch11.models.hub.mambavision import (
    MambaVisionConfig,
    MambaVisionForImageClassification,
)

SIZES: dict[str, Any] = {"dim": 16, "in_dim": 8, "depths": [1, 1, 2, 2], "num_heads": [1, 1, 2, 4], "window_size": [8, 8, 14, 7]}  # fmt: skip
CODE = "raise SystemExit('the code of a model folder ran')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the published ones: remote code named in config.json, no processor beside."""
    torch.manual_seed(0)
    net = MambaVisionForImageClassification(MambaVisionConfig(**SIZES, num_labels=5))
    net.save_pretrained(tmp_path / "net")
    path = tmp_path / "net" / "config.json"
    facts = json.loads(path.read_text())
    facts |= {
        "architectures": ["MambaVisionModelForImageClassification"],
        "auto_map": {
            "AutoConfig": "configuration_mambavision.MambaVisionConfig",
            "AutoModelForImageClassification": "modeling_mambavision.MambaVisionModelForImageClassification",
        },
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 0.98,
    }  # fmt: skip
    path.write_text(json.dumps(facts))
    for name in ("configuration_mambavision.py", "modeling_mambavision.py"):
        (tmp_path / "net" / name).write_text(CODE)
    return tmp_path / "net"


@pytest.mark.parametrize("allow_code", [False, True])
def test_a_published_folder_loads_and_none_of_its_code_runs(folder: Path, allow_code: bool) -> None:
    model = catch11.load_model(f"hf:{folder}", allow_code=allow_code)
    assert isinstance(model, Model)
    assert (model.canvas.height, model.canvas.window_height) == (228, 224)  # ⌊224 / .98⌋
    net = MambaVisionForImageClassification.from_pretrained(folder).eval()
    picture = Image.linear_gradient("L").resize((228, 228)).convert("RGB")
    values = model.preprocess([picture])
    with torch.no_grad():
        assert torch.equal(model.logits(values), net(values).logits)


def test_it_is_keyed_and_recoded_for_as_a_convolution(folder: Path) -> None:
    model = catch11.load_model(f"hf:{folder}")
    key = catch11.build_key(model)
    assert key.front.outputs == 8
    pictures = torch.rand(1, *model.canvas.shape, generator=torch.Generator().manual_seed(1))
    made = catch11.SpectralRecoder(key, psnr=25.0)(pictures)
    assert float(made.front_shift[0]) < 0.2


def test_one_saved_with_a_processor_is_prepared_by_it(folder: Path) -> None:
    size = {"height": 224, "width": 224}
    ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(folder)
    canvas = catch11.load_model(f"hf:{folder}").canvas
    assert canvas.height == 224
    assert canvas.gain == pytest.approx((2.0, 2.0, 2.0))


def test_a_checkpoint_of_another_size_is_refused_by_its_first_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    held = load_file(path)
    held["model.levels.2.blocks.0.mixer.D"] = torch.ones(3)
    save_file(held, path, metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match=r"another shape.*first model\.levels\.2\.blocks\.0\.mixer\.D"):  # fmt: skip
        catch11.load_model(f"hf:{folder}")
    del held["model.levels.2.blocks.0.mixer.D"]
    save_file(held, path, metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match=r"1 of its weights are not in the files"):
        catch11.load_model(f"hf:{folder}")
