"""Transformers folders: tiny models made here load, and what cannot be used is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from catch11.errors import CanvasRefused, ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.load import load_picture_model

CONFIG = ViTConfig(
    hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
    patch_size=4, id2label={0: "cat", 1: "dog", 2: "bird"}, label2id={"cat": 0, "dog": 1, "bird": 2},
)  # fmt: skip
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}, "do_resize": True,
    "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    ViTForImageClassification(CONFIG).save_pretrained(tmp_path)
    write(tmp_path, "preprocessor_config.json", PROCESSOR)
    return tmp_path


def write(folder: Path, name: str, facts: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(facts))


def edit(folder: Path, name: str, **facts: Any) -> None:
    write(folder, name, {**json.loads((folder / name).read_text()), **facts})


def test_a_folder_is_a_model(folder: Path) -> None:
    model = load_picture_model(str(folder))
    assert model.labels == ("cat", "dog", "bird")
    assert model.canvas.size == (3, 16, 16)
    assert model.module is not None
    assert model.fingerprint == module_fingerprint(
        ViTForImageClassification.from_pretrained(folder)
    )
    front = model.front()
    assert (front.geometry, front.layer) == ("patch", "vit.embeddings.patch_embeddings.projection")
    assert not model.module.training


def test_the_prefix_and_the_bare_folder_agree(folder: Path) -> None:
    assert (
        load_picture_model(f"hf:{folder}").fingerprint
        == load_picture_model(str(folder)).fingerprint
    )


def test_half_precision_weights_are_run_in_single(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name: value.half() for name, value in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    edit(folder, "config.json", dtype="float16")
    model = load_picture_model(str(folder))
    assert model.logits(torch.zeros(1, 3, 16, 16)).dtype == torch.float32


def test_a_model_without_a_head_is_refused(folder: Path) -> None:
    ViTModel(CONFIG).save_pretrained(folder)
    with pytest.raises(
        ModelRefused, match=r"not in the files, first classifier\.bias; it may have no"
    ):
        load_picture_model(str(folder))


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_a_head_whose_answer_is_no_class_is_refused(folder: Path, kind: str) -> None:
    edit(folder, "config.json", problem_type=kind)
    with pytest.raises(ModelRefused, match=f"its problem_type is {kind}, so its answer is not"):
        load_picture_model(str(folder))


def test_an_adapter_that_nothing_applies_is_refused(folder: Path) -> None:
    pytest.importorskip("transformers.utils.peft_utils")
    write(folder, "adapter_config.json", {"peft_type": "LORA", "target_modules": ["projection"]})
    with pytest.raises(ModelRefused, match=r"adapter_config\.json.*merge it into the weights, or"):
        load_picture_model(str(folder))


def test_weights_of_a_compiled_model_are_read(folder: Path) -> None:
    plain = load_picture_model(str(folder)).fingerprint
    tensors = load_file(folder / "model.safetensors")
    renamed = {f"_orig_mod.{name}": value for name, value in tensors.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    assert load_picture_model(str(folder)).fingerprint == plain


def test_a_head_of_another_size_is_refused(folder: Path) -> None:
    edit(folder, "config.json", id2label={"0": "a"}, label2id={"a": 0})
    with pytest.raises(
        ModelRefused, match=r"another shape than its config\.json says, first classifier"
    ):
        load_picture_model(str(folder))


def test_nan_weights_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ModelRefused, match=r"NaN or infinity in 1 of its weights, first in classifier\.weight"
    ):
        load_picture_model(str(folder))


def test_damaged_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 99)
    with pytest.raises(ModelRefused, match="cannot load the model") as caught:
        load_picture_model(str(folder))
    assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_with_code_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"classifier.weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelRefused, match="reading it would run code"):
        load_picture_model(str(folder))
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_code_of_the_repository_is_refused(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "theirs.py").write_text("from pathlib import Path\nPath('exploded').touch()\n")
    if name == "config.json":
        edit(folder, name, model_type="theirs", auto_map={
            "AutoConfig": "theirs.Config", "AutoModelForImageClassification": "theirs.Model"})  # fmt: skip
    else:
        edit(
            folder,
            name,
            image_processor_type="Theirs",
            auto_map={"AutoImageProcessor": "theirs.Theirs"},
        )
    with pytest.raises(
        ModelRefused, match="code of its own, which would run here; allow code only if"
    ):
        load_picture_model(str(folder))
    assert not (folder / "exploded").exists()


def test_a_missing_processor_is_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelRefused, match=r"it has no preprocessor_config\.json"):
        load_picture_model(str(folder))


def test_a_processor_without_a_canvas_is_refused(folder: Path) -> None:
    edit(folder, "preprocessor_config.json", do_resize=False)
    with pytest.raises(CanvasRefused, match="neither resizes nor crops"):
        load_picture_model(str(folder))


def test_a_processor_of_another_size_is_refused(folder: Path) -> None:
    edit(folder, "preprocessor_config.json", size={"height": 20, "width": 20})
    with pytest.raises(ModelRefused, match="does not run on its own input of 3 x 20 x 20"):
        load_picture_model(str(folder))


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    config = BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        vocab_size=20,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelRefused, match="it is not an image classifier"):
        load_picture_model(str(tmp_path))


def test_loading_leaves_the_progress_bars_as_they_were(folder: Path) -> None:
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    load_picture_model(str(folder))
    assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == before


def test_labels_fall_back_to_indices(folder: Path) -> None:
    model = load_picture_model(str(folder))
    assert model.labels == ("cat", "dog", "bird")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "cat", "1": "dog", "7": "bird"}
    write(folder, "config.json", config)
    assert load_picture_model(str(folder)).labels == ("0", "1", "2")
