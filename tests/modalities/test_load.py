"""A model of any kind by its spec: the kind it says, the key it gives, the functions it comes from."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from catch11.canvas.plain import sound_canvas
from catch11.errors import ModelRefused
from catch11.keys.authorized import Authorized
from catch11.keys.key import build_key
from catch11.modalities.audio.model import AudioModel, sound_model
from catch11.modalities.audio.nets import Heard, Keywords
from catch11.modalities.load import load_model
from catch11.modalities.table.model import Column, TableModel, table_model
from catch11.modalities.text.model import TextModel
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from tests.text_world import save_text_model

RATE = 8000


def picture(place: Path) -> str:
    return "py:catch11.studies.nets.digits:patch"


def sound(place: Path) -> str:
    save_file(
        Keywords(classes=2, first=6, kernel=20, wide=8).state_dict(), place / "net.safetensors"
    )
    facts = {"sample_rate": RATE, "samples": 2000, "classes": ["a", "b"]}
    (place / "net.json").write_text(json.dumps(facts))
    return f"torch:{place / 'net.safetensors'}"


def table(place: Path) -> str:
    sizes = {"layers.0.weight": torch.randn(3, 4), "layers.0.bias": torch.zeros(3)}
    save_file(sizes, place / "net.safetensors")
    columns = [{"name": name, "mean": 0.0, "std": 1.0} for name in "abcd"]
    (place / "net.json").write_text(json.dumps({"columns": columns}))
    return f"torch:{place / 'net.safetensors'}"


def text(place: Path) -> str:
    return str(save_text_model(place / "text"))


@pytest.mark.parametrize(
    ("write", "kind", "modality"),
    [
        (picture, Model, "image"),
        (sound, AudioModel, "audio"),
        (table, TableModel, "table"),
        (text, TextModel, "text"),
    ],
)
def test_every_kind_is_loaded_and_gives_its_key(
    write: Callable[[Path], str], kind: type, modality: str, tmp_path: Path
) -> None:
    model = load_model(write(tmp_path))
    assert type(model) is kind
    assert isinstance(model, Authorized)
    assert model.modality == build_key(model).modality == modality


def plain_sound() -> AudioModel:
    net = Heard(Keywords(classes=3, first=4, kernel=20, wide=4))
    return sound_model("x", net, sound_canvas((1, 1, 2000), rate=RATE), name="x")


def plain_table() -> TableModel:
    columns = [Column(name=name, mean=0.0, std=1.0) for name in "abc"]
    return table_model("x", nn.Linear(3, 2), columns, name="x")


def nothing() -> object:
    return None


def test_a_function_may_return_a_model_of_any_kind_and_say_nothing() -> None:
    assert type(load_model(f"py:{__file__}:plain_sound")) is AudioModel
    assert type(load_model(f"py:{__file__}:plain_table")) is TableModel
    with pytest.raises(ModelRefused, match="the function returned TableModel; return a Model"):
        load_picture_model(f"py:{__file__}:plain_table")
    with pytest.raises(ModelRefused, match="the function returned NoneType"):
        load_model(f"py:{__file__}:nothing")


def test_unknown_specs_are_refused_as_models_of_pictures_are() -> None:
    for spec in ("nothing-here", "onnx:"):
        with pytest.raises(ModelRefused) as one:
            load_model(spec)
        with pytest.raises(ModelRefused) as other:
            load_picture_model(spec)
        assert str(one.value) == str(other.value)
