"""Deep recoding of models that answer in words: the whole answer is held, tile by tile, prompt by prompt."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from catch11.keys.key import build_key
from catch11.models.vlm.load import ask, asking, with_prompt
from catch11.recoding.deep.closing import Closing
from catch11.recoding.deep.descent import Schedule
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.studies.nets.tiny_vlm import Family
from tests.models.vlm.tiny import FAMILIES, pictures, tiny, to_picture, windows


@dataclass(frozen=True)
class Look:
    family: Family
    query: str
    height: int = 56
    width: int = 56


LOOKS = [
    Look("internvl", "size=56x56&tokens=6"),
    Look("internvl", "size=56x112&stack=0&tokens=6", width=112),
    Look("internvl", "size=112x112&stack=0&tokens=6", height=112, width=112),
    Look("qwen2_5_vl", "size=56x56&tokens=6"),
    Look("qwen2_5_vl", "size=56x84&tokens=6", width=84),
]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_recited_answer_is_the_generated_one(look: Look) -> None:
    model = tiny(look.family, query=look.query)
    values = model.canvas.normalise(windows(pictures(3, height=look.height, width=look.width)))
    module = asking(model)
    words = module.words_of(values)
    assert words.shape == (3, 6)
    assert torch.equal(module.recite(values, words).argmax(2), words)
    first = module(values)
    torch.testing.assert_close(module.recite(values, words)[:, 0], first, rtol=1e-4, atol=1e-4)
    assert torch.equal(module.recite(values, words[:, :2]).argmax(2), words[:, :2])


@pytest.mark.parametrize("look", [LOOKS[0], LOOKS[2], LOOKS[3]], ids=str)
def test_what_is_released_is_answered_in_the_same_words(look: Look, tmp_path: Path) -> None:
    model = tiny(look.family, query=look.query)
    twin = tiny(look.family, seed=1, query=look.query)
    held = windows(pictures(4, height=look.height, width=look.width))
    made = DeepRecoder(
        model, build_key(model), margin=0.05, radius=128.0, steps=250 if look.height == 56 else 120
    )(held)
    released = [i for i, reason in enumerate(made.reasons) if reason is None]
    assert released
    prompt, twins = asking(model).prompt, 0
    for number in released:
        path = tmp_path / f"{number}.png"
        to_picture(made.images[number]).save(path)
        with Image.open(path) as file:
            answers = [ask(one, [file], prompt, tokens=6) for one in (model, twin)]
        clean = [ask(one, [to_picture(held[number])], prompt, tokens=6) for one in (model, twin)]
        assert answers[0] == clean[0]
        twins += answers[1] == clean[1]
    assert twins < 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_close_match_serves_other_prompts_and_several_pictures(family: Family) -> None:
    model = tiny(family)
    held = windows(pictures(2))
    recode = DeepRecoder(
        model, build_key(model), at="tower.vision,tower", agreement="match<0.06", margin=0.05,
        radius=128.0, steps=250,
    )  # fmt: skip
    images = recode(held).images
    tower = asking(model).tower
    with torch.no_grad():
        clean, found = (tower(model.canvas.normalise(some)) for some in (held, images))
    off = (found - clean).flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
    assert off.max() < 0.15
    kept = []
    for pair in ((0, 1), (1, 0)):
        two = [[to_picture(some[i]) for i in pair] for some in (held, images)]
        told = [ask(model, shown, "What differs?", tokens=1) for shown in two]
        kept.append(told[0] == told[1])
    assert any(kept)


def test_maps_are_closed_in_on_and_answers_descended_to() -> None:
    model = tiny("qwen2_5_vl")
    key = build_key(model)
    near = DeepRecoder(model, key, keep="layer:tower", radius=128.0, steps=200).schedule
    assert isinstance(near, Closing)
    assert (near.last, near.steps) == (128.0, 200)
    assert isinstance(DeepRecoder(model, key).schedule, Schedule)


def test_further_prompts_are_further_models() -> None:
    model = tiny("qwen2_5_vl")
    other = with_prompt(model, "How many are there?")
    held = windows(pictures(3))
    made = DeepRecoder(model, build_key(model), also=[other], margin=0.05, radius=128.0, steps=250)(
        held
    )
    released = [i for i, reason in enumerate(made.reasons) if reason is None]
    for one in (model, other):
        answers = [
            one.answers(one.canvas.normalise(some[released])) for some in (held, made.images)
        ]
        assert torch.equal(*answers)
