"""Where torchvision is installed: vision-language models by their default processors, and videos."""

from importlib.util import find_spec

import pytest
import torch

if find_spec("torchvision") is None:
    pytest.skip(
        "torchvision has an environment of its own: tests/timm/run.sh", allow_module_level=True
    )

from catch11.keys.key import build_key
from catch11.models.vlm.load import ask, asking
from catch11.models.vlm.processor import chat, video_inputs
from catch11.models.vlm.sight import Patches
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.nets.tiny_vlm import Family
from tests.models.vlm.tiny import FAMILIES, pictures, tiny, to_picture, windows


@pytest.mark.parametrize("family", FAMILIES)
def test_the_default_processor_leaves_the_canvas_as_it_is(family: Family) -> None:
    model = tiny(family)
    assert type(asking(model).processor).__module__.startswith("transformers.")
    some = pictures(2)
    expected = model.canvas.normalise(windows(some))
    torch.testing.assert_close(model.preprocess(some), expected, rtol=0, atol=1e-5)


def test_a_thumbnail_is_nearly_the_default_processors() -> None:
    model = tiny("internvl", query="size=56x112")
    assert all("thumbnail differs" in note for note in model.notes)


def test_frames_stand_in_the_video_processors_order() -> None:
    model = tiny("qwen2_5_vl", query="size=112x112&video=1")
    module = asking(model)
    sight, film = module.tower.sight, pictures(4, height=112, width=112)
    assert isinstance(sight, Patches)
    made = video_inputs(
        module.processor, film, chat(module.processor, "What?", pictures=0, videos=1)
    )
    assert made["video_grid_thw"].tolist() == [[2, sight.rows, sight.columns]]
    meant = sight.flatten(model.canvas.normalise(windows(film))[None])
    torch.testing.assert_close(made["pixel_values_videos"], meant, rtol=0, atol=1e-5)


def test_a_film_of_released_frames_is_answered_in_the_same_words() -> None:
    model = tiny("qwen2_5_vl", query="size=112x112&video=1")
    twin = tiny("qwen2_5_vl", seed=1, query="size=112x112")
    recode = SpectralRecoder(build_key(model), psnr=14.0)
    kept = same = 0
    for start in range(3):
        clean = windows(pictures(6, height=112, width=112)[start : start + 4])
        films = [[to_picture(frame) for frame in some] for some in (clean, recode(clean).images)]
        for one in (model, twin):
            told = [ask(one, film, "What happens?", tokens=4, video=True) for film in films]
            kept += one is model and told[0] == told[1]
            same += one is twin and told[0] == told[1]
    assert kept >= 2
    assert same <= 1
