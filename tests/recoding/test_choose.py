"""The recoder for a key: which class, with which defaults, and what is said of what there is not."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from catch11 import DeepRecoder, ScrambleRecoder, SpectralRecoder, recoder_for
from catch11.canvas.plain import sound_canvas
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key, build_key
from catch11.modalities.table.deep import DeepRowRecoder
from catch11.modalities.table.recoder import SpectralRowRecoder
from catch11.modalities.text.deep import DeepTokens
from catch11.modalities.text.file import load_text
from catch11.modalities.text.recoder import SpectralTokens
from catch11.recoding.choose import options_of
from tests.modalities.table import test_recoder as tables
from tests.recoding import test_scramble as copies
from tests.recoding.deep.test_deep import CANVAS, small_net
from tests.text_world import save_text_model

SECRET = bytes(32)
Owner = tuple[Any, Key]


class Frames(nn.Module):
    """A waveform in frames of 20 samples, or features of it in one row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frames, self.head = nn.Conv1d(1, 6, 20, 20), nn.Linear(6 * (width // 20), 4)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.head(self.frames(windows.flatten(1)[:, None]).tanh().flatten(1))


def sounds(shape: tuple[int, int, int]) -> Owner:
    torch.manual_seed(0)
    net = Frames(shape[1] * shape[2]).eval()
    layer = nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], 6)).eval()
    chosen = net if shape[1] == 1 else layer
    return chosen, build_key(chosen, canvas=sound_canvas(shape, rate=4000), secret=SECRET)


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Owner]:
    """A model of each kind of data and its key."""
    net, words = small_net(), load_text(str(save_text_model(tmp_path_factory.mktemp("m"))))
    return {
        "pictures": (net, build_key(net, canvas=CANVAS, secret=SECRET)),
        "sounds": sounds((1, 1, 400)),
        "features": sounds((1, 6, 10)),
        "tables": (tables.PLAIN, tables.KEY),
        "texts": (words, build_key(words, rank=8, secret=SECRET)),
        "copy": (copies.COPY.model, copies.KEY),
    }


class Row(NamedTuple):
    owner: str
    method: str | None
    options: dict[str, Any]
    made: type
    settings: dict[str, Any]


ROWS = [
    Row("pictures", None, {}, SpectralRecoder, {"psnr": 6.0, "noise": "content", "format": "png8"}),
    Row("pictures", "spectral", {"psnr": 7.0, "tag": "a"}, SpectralRecoder, {"psnr": 7.0, "tag": "a"}),
    Row("pictures", "deep", {"radius": "least"}, DeepRecoder, {"radius": "least", "steps": 60}),
    Row("sounds", None, {}, SpectralRecoder, {"psnr": 20.0, "noise": "gaussian", "format": "wav16"}),
    Row("sounds", "deep", {"format": "wav32"}, DeepRecoder, {"radius": 48.0, "format": "wav32"}),
    Row("features", None, {"psnr": 9.0}, SpectralRecoder, {"psnr": 9.0, "format": "tensor"}),
    Row("tables", None, {}, SpectralRowRecoder, {"psnr": -30.0}),
    Row("tables", "deep", {"margin": 0.1}, DeepRowRecoder, {"radius": "auto", "margin": 0.1}),
    Row("texts", None, {}, DeepTokens, {"agreement": "cosine>0.99", "radius": 8.0}),
    Row("texts", "spectral", {"psnr": 20.0}, SpectralTokens, {"strength": 0.1}),
    Row("copy", "scramble", {}, ScrambleRecoder, {"method": "scramble", "format": "png8"}),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.owner} {row.method}")
def test_each_kind_of_data_has_its_own(row: Row, owners: dict[str, Owner]) -> None:
    model, key = owners[row.owner]
    secret = copies.COPY.secret if row.owner == "copy" else None
    made = recoder_for(key, method=row.method, model=model, copy=secret, **row.options)
    assert type(made) is row.made
    assert row.settings.items() <= made.settings.items()


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("pictures", {"method": "magic"}, "method: expected spectral or deep or scramble for image, found 'magic'"),
    ("texts", {"method": "scramble"}, "method: expected deep or spectral for text, found 'scramble'"),
    ("pictures", {"method": "deep"}, "--method deep: expected --model MODEL beside it"),
    ("copy", {"method": "scramble"}, "--method scramble: expected --secret FILE beside it"),
    ("tables", {}, "--method spectral: expected --model MODEL beside it"),
    ("pictures", {"steps": 3}, "option: expected one of format, psnr, noise, tag, shared, the options of method spectral"),
    ("texts", {"method": "spectral", "copy": copies.COPY.secret}, "copy: expected none, for text"),
    ("sounds", {"format": "png8"}, "format: expected wav16 or wav32 or tensor for this model of sounds"),
    ("features", {"format": "wav16"}, "format: expected tensor for this model of sounds"),
    ("pictures", {"format": "wav16"}, "format: expected png8 or tensor for this model of pictures"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "asked", "sentence"), REFUSED, ids=[r[2][:60] for r in REFUSED])
def test_what_there_is_not(
    owner: str, asked: dict[str, Any], sentence: str, owners: dict[str, Owner]
) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        recoder_for(owners[owner][1], **asked)


@pytest.mark.parametrize("owner", ["tables", "texts"])
def test_a_key_of_another_kind_is_pointed_at_its_own(owner: str, owners: dict[str, Owner]) -> None:
    with pytest.raises(InvalidArgument, match="finds the recoder of any key"):
        SpectralRecoder(owners[owner][1])


def test_another_model_is_refused_whatever_the_kind(owners: dict[str, Owner], tmp_path: Path) -> None:  # fmt: skip
    others = {
        "pictures": small_net(3),
        "tables": tables.model(seed=5),
        "texts": load_text(str(save_text_model(tmp_path, seed=5))),
    }
    for owner, other in others.items():
        with pytest.raises(KeyMismatch, match="another model"):
            recoder_for(owners[owner][1], method="deep", model=other)


def test_options_of_a_command_have_the_recoders_names_and_types() -> None:
    asked = {"client": "acme", "half": True, "radius": "16", "psnr": 3.0}
    meant = {"tag": "acme", "precise": "float16", "radius": 16.0, "psnr": 3.0}
    assert options_of(asked) == meant
    assert options_of({"radius": "auto"}) == {"radius": "auto"}
    assert options_of({"half": False}) == {"precise": "float32"}
    with pytest.raises(InvalidArgument, match="radius: expected auto, least or a number"):
        options_of({"radius": "wide"})
