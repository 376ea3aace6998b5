"""Vision-language models: what their processors do, what their fronts are, and what they say."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.data.pictures import fit_picture
from catch11.errors import CanvasRefused, Catch11Error, InvalidArgument, MissingExtra, ModelRefused
from catch11.keys.key import build_key
from catch11.models.answer import indices
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import finish
from catch11.models.load import load_picture_model
from catch11.models.vlm.canvas import parse_asked, stock_inputs
from catch11.models.vlm.front import tiles_front
from catch11.models.vlm.load import ask, asking, with_prompt
from catch11.models.vlm.sight import Patches, Tiles, resize_matrix
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.nets.tiny_vlm import Family, write_tiny
from tests.models.vlm.tiny import FAMILIES, folder, pictures, tiny, to_picture, windows


class Look(NamedTuple):
    family: Family
    height: int
    width: int
    rest: str = ""

    @property
    def query(self) -> str:
        return f"size={self.height}x{self.width}&tokens=6{self.rest}"


LOOKS = (
    Look("internvl", 56, 56),
    Look("internvl", 56, 112),
    Look("internvl", 112, 112, "&fit=letterbox"),
    Look("qwen2_5_vl", 56, 56),
    Look("qwen2_5_vl", 56, 84),
    Look("qwen2_5_vl", 112, 28 * 3, "&fit=squash"),
    Look("qwen2_5_vl", 28, 28 * 5),
    Look("qwen2_5_vl", 84, 84, "&video=1"),
)


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_stock_processor_gives_exactly_the_pixels_in_memory(look: Look, tmp_path: Path) -> None:
    model = tiny(look.family, query=look.query)
    assert model.canvas.shape == (3, look.height, look.width)
    meant = pictures(2, height=look.height, width=look.width)
    for number, picture in enumerate(meant):
        picture.save(tmp_path / f"{number}.png")
    read = [Image.open(tmp_path / f"{number}.png") for number in range(2)]
    module = asking(model)
    stock = stock_inputs(module.processor, read)
    expected = model.canvas.normalise(windows(meant))
    seen = module.tower.sight.values(stock, 2)
    torch.testing.assert_close(seen, expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(model.preprocess(read), seen, rtol=0, atol=0)
    back = (model.canvas.denormalise(seen) * 255).round()
    assert torch.equal(back, (windows(meant) * 255).round())


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_sight_gives_back_what_the_processor_made(look: Look) -> None:
    model = tiny(look.family, query=look.query)
    module = asking(model)
    stock = stock_inputs(module.processor, pictures(3, height=look.height, width=look.width))
    sight = module.tower.sight
    made = sight.inputs(sight.values(stock, 3), model.canvas)
    for name, value in made.items():
        # A thumbnail is computed and normalised here; nothing else is computed at all.
        exact = not isinstance(sight, Tiles) or sight.count == 1
        torch.testing.assert_close(value, stock[name], rtol=0, atol=0 if exact else 2e-6)


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_module_computes_what_the_stock_model_computes(look: Look) -> None:
    model = tiny(look.family, query=look.query)
    module = asking(model)
    values = model.preprocess(pictures(2, height=70, width=90))
    inputs = {name: value.repeat(2, 1) for name, value in module.words.items()}
    inputs |= module.tower.sight.inputs(values, model.canvas)
    with torch.no_grad():
        stock = module.vlm(**inputs).logits[:, -1]
    torch.testing.assert_close(model.logits(values), stock, rtol=1e-4, atol=1e-5)


@contextmanager
def outputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """What a layer makes inside."""
    held: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, given, made: held.append(made))
    try:
        yield held
    finally:
        handle.remove()


def embedding(model: Any, values: Tensor) -> Tensor:
    """The real patch embedding's output on normalised windows, as it comes."""
    eyes = asking(model).tower.eyes
    kinds = nn.Conv2d | nn.Conv3d
    layer = next(part for part in eyes.modules() if isinstance(part, kinds))
    with outputs_of(layer) as held, torch.no_grad():
        asking(model).tower(values)
    return held[0].double()


def in_groups(image: Tensor, *, merge: int) -> Tensor:
    """(n, out, rows, columns) in Qwen's order of patches: an oracle in plain loops."""
    rows = []
    for one in image:
        for top in range(0, one.shape[1], merge):
            for left in range(0, one.shape[2], merge):
                for y in range(merge):
                    rows += [one[:, top + y, left + x] for x in range(merge)]
    return torch.stack(rows)


@pytest.mark.parametrize("look", [row for row in LOOKS if row.rest != "&video=1"], ids=str)
def test_the_front_is_the_real_patch_embedding(look: Look) -> None:
    model = tiny(look.family, query=look.query)
    front = model.front()
    held = windows(pictures(2, height=look.height, width=look.width))
    made = front.apply(front.centred(held.double()))
    real = embedding(model, model.canvas.normalise(held))
    sight = asking(model).tower.sight
    if isinstance(sight, Patches):
        assert front.geometry == "patch"
        made = in_groups(made + front.bias[:, None, None], merge=sight.merge)
        torch.testing.assert_close(made, real.flatten(1), rtol=0, atol=1e-4)
    elif isinstance(sight, Tiles) and sight.count == 1:
        assert front.geometry == "patch"
        torch.testing.assert_close(made + front.bias[:, None, None], real, rtol=0, atol=1e-4)


@pytest.mark.parametrize("query", ["size=56x112", "size=168x168"])
def test_tiles_and_thumbnail_stack_to_one_operator(query: str) -> None:
    model = tiny("internvl", query=query)
    sight = asking(model).tower.sight
    assert isinstance(sight, Tiles)
    front = tiles_front(asking(model).tower.eyes, sight, model.canvas)
    rows, columns = sight.rows, sight.columns
    held = windows(pictures(1, height=sight.window[0], width=sight.window[1]))
    made = front.apply(front.centred(held.double()))[0]
    assert front.geometry == "conv"
    assert len(made) == front.outputs == 32 * (rows * columns + 1)
    bias = next(
        p for n, p in asking(model).tower.eyes.named_parameters() if n.endswith("projection.bias")
    )
    real = embedding(model, model.canvas.normalise(held)) - bias.double()[:, None, None]
    # A patch of the thumbnail that no border touches; the 8-bit rounding of the thumbnail remains.
    inner = slice(1, made.shape[1] - 1) if rows > 1 else slice(None)
    across = slice(1, made.shape[2] - 1)
    small = real[-1][:, inner, across]
    assert (made[:32, inner, across] - small).norm() < 0.02 * small.norm()
    whole = real[:-1].reshape(rows, columns, 32, *real.shape[2:])
    whole = whole.permute(2, 0, 3, 1, 4).reshape(32, rows * real.shape[2], columns * real.shape[3])
    for y in range(rows):
        for x in range(columns):
            number = 1 + y * columns + x
            tile = made[32 * number : 32 * (number + 1)]
            torch.testing.assert_close(tile, whole[:, y::rows, x::columns], rtol=0, atol=1e-4)


def test_tiles_whose_operator_is_too_large_are_refused_and_can_do_without() -> None:
    with pytest.raises(
        InvalidArgument, match="GiB for 168 x 168 pixels; take one tile, or add stack=0"
    ):
        tiny("internvl", query="size=168x168").front()
    plain = tiny("internvl", query="size=168x168&stack=0")
    front = plain.front()
    assert (front.geometry, front.outputs, front.kernel) == ("patch", 32, (14, 14))
    held = windows(pictures(1, height=168, width=168))
    eyes = asking(plain).tower.eyes
    bias = next(p for n, p in eyes.named_parameters() if n.endswith("projection.bias"))
    real = embedding(plain, plain.canvas.normalise(held)) - bias.double()[:, None, None]
    first = front.apply(front.centred(held.double()))[0, :, :4, :4]
    torch.testing.assert_close(first, real[0], rtol=0, atol=1e-4)
    with pytest.raises(InvalidArgument, match="layer: expected eyes"):
        plain.front("lm_head")


def test_the_frames_of_a_pair_stack_to_one_operator() -> None:
    model = tiny("qwen2_5_vl", query="size=56x56&video=1")
    front, module = model.front(), asking(model)
    sight = module.tower.sight
    assert isinstance(sight, Patches)
    film = windows(pictures(2))
    grid = torch.tensor([[1, sight.rows, sight.columns]])
    layer = next(part for part in module.tower.eyes.modules() if isinstance(part, nn.Conv3d))
    with outputs_of(layer) as held, torch.no_grad():
        patches = sight.flatten(model.canvas.normalise(film)[None])
        module.vlm.get_image_features(patches, grid, return_dict=True)
    each = front.apply(front.centred(film.double()))
    both = each[:1, : front.outputs // 2] + each[1:, front.outputs // 2 :]
    real = held[0].double().flatten(1)
    torch.testing.assert_close(in_groups(both, merge=sight.merge), real, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(112, 56), (168, 56), (60, 20)])
def test_the_thumbnail_is_pillows_resize(size: tuple[int, int]) -> None:
    whole, side = size
    picture = pictures(1, height=whole, width=whole)[0]
    sight = Tiles(side=side, rows=whole // side, columns=whole // side)
    small = picture.resize((side, side), Image.Resampling.BICUBIC)
    off = (sight.thumbnail(windows([picture])) - windows([small])).abs() * 255
    assert off.max() < 1e-3
    assert resize_matrix(whole, side).sum(1).sub(1).abs().max() < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_released_picture_is_answered_in_the_same_words(family: Family, tmp_path: Path) -> None:
    model, twin = tiny(family), tiny(family, seed=1)
    held = windows(pictures(6))
    made = SpectralRecoder(build_key(model), psnr=12.0)(held)
    assert max(made.front_shift) < 0.02
    same = kept = 0
    for number, (window, released) in enumerate(zip(held, made.images, strict=True)):
        path = tmp_path / f"{number}.png"
        to_picture(released).save(path)
        asked = "What is in the picture?"
        with Image.open(path) as file:
            answers = [ask(one, [file], asked, tokens=6) for one in (model, twin)]
        clean = [ask(one, [to_picture(window)], asked, tokens=6) for one in (model, twin)]
        kept += answers[0] == clean[0]
        same += answers[1] == clean[1]
    assert kept >= 5
    assert same <= 1


@pytest.mark.parametrize(("owner", "rival"), [FAMILIES, FAMILIES[::-1]], ids=FAMILIES)
def test_either_family_is_authorized_against_the_other(owner: Family, rival: Family) -> None:
    model, other = tiny(owner), tiny(rival)
    held = windows(pictures(6))
    made = SpectralRecoder(build_key(model), psnr=10.0)(held).images
    own = model.answers(model.canvas.normalise(made)) == model.answers(model.canvas.normalise(held))
    read = [to_picture(one) for one in made], [to_picture(one) for one in held]
    theirs = [other.answers(other.preprocess(some)) for some in read]
    assert own.sum() >= 5
    assert (theirs[0] == theirs[1]).sum() <= 1


def test_words_in_memory_are_the_words_of_the_stock_pipeline() -> None:
    for family in FAMILIES:
        model = tiny(family)
        module, some = asking(model), pictures(2)
        spoken = module.speak(model.preprocess(some))
        for picture, words in zip(some, spoken, strict=True):
            ids = module.processor.tokenizer.convert_tokens_to_ids(list(words))
            text = module.processor.tokenizer.decode(ids, skip_special_tokens=True)
            assert text == ask(model, [picture], module.prompt, tokens=6)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_threads_ask_one_model_at_once(family: Family) -> None:
    """Answers of several lengths in positions: what one keeps between steps is not the other's."""
    module = asking(tiny(family))
    values = [tiny(family).preprocess(pictures(count)) for count in (1, 3)]
    alone = [module.speak(some) for some in values]
    kept = getattr(module.vlm.model, "rope_deltas", None)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(module.speak, values)) == alone
    assert getattr(module.vlm.model, "rope_deltas", None) is kept


@pytest.mark.parametrize("family", FAMILIES)
def test_several_pictures_in_one_prompt(family: Family) -> None:
    model = tiny(family)
    held = windows(pictures(4))
    made = SpectralRecoder(build_key(model), psnr=14.0)(held).images
    pairs = ((0, 1), (2, 3), (1, 3))
    kept = turned = 0
    for pair in pairs:
        clean, released = ([to_picture(some[i]) for i in pair] for some in (held, made))
        told = [ask(model, two, "What differs?", tokens=4) for two in (clean, released)]
        kept += told[0] == told[1]
        turned += told[0] != ask(model, clean[::-1], "What differs?", tokens=4)
    assert kept >= 2
    assert turned >= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_deep_brings_the_vision_side_to_the_clean_output(family: Family) -> None:
    model = tiny(family)
    held = windows(pictures(2))
    recode = DeepRecoder(
        model, build_key(model), at="tower.vision,tower", agreement="match<0.3", margin=0.0,
        radius=128.0, steps=60,
    )  # fmt: skip
    made = recode(held)
    tower = asking(model).tower
    with torch.no_grad():
        clean, start, found = (
            tower(model.canvas.normalise(some))
            for some in (held, torch.rand_like(held), made.images)
        )
    near = (found - clean).flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
    far = (start - clean).flatten(1).norm(dim=1) / clean.flatten(1).norm(dim=1)
    assert (near < 0.5 * far).all()
    assert max(made.psnr) < 12.0


def test_another_prompt_is_another_question() -> None:
    model = tiny("qwen2_5_vl")
    values = model.preprocess(pictures(4))
    other = with_prompt(model, "How many are there?", tokens=3)
    assert asking(other).prompt == "How many are there?"
    assert {len(words) for words in asking(other).speak(values)} == {3}
    assert not torch.equal(other.answers(values), model.answers(values))
    assert model.answers(values[:0]).shape == (0,)
    assert model.speaks
    assert model.labels == ()


def test_a_letterbox_keeps_the_aspect_and_the_rest_is_neutral() -> None:
    model = tiny("qwen2_5_vl", query="size=56x112&fit=letterbox")
    tall = Image.new("RGB", (40, 80), (255, 0, 0))
    pixels = fit_picture(tall, model.canvas)
    assert pixels.shape == (56, 112, 3)
    neutral = [round(255 * value) for value in model.canvas.neutral]
    assert pixels[0, 0].tolist() == neutral
    assert (pixels[:, 42:70] == [255, 0, 0]).all()
    assert (pixels[:, :40] == neutral).all()


class Bad(NamedTuple):
    family: Family
    query: str
    match: str


BAD = (
    Bad("internvl", "size=50x56", "50 x 56 pixels are no whole tiles of 56"),
    Bad("internvl", "size=56", "behind [?] prompt=TEXT"),
    Bad("internvl", "size=axb", "behind [?] prompt=TEXT"),
    Bad("internvl", "video=1", "video: expected a model with a patch of two frames"),
    Bad("internvl", "size=784x784", "its processor makes .* of 4 pictures"),
    Bad("qwen2_5_vl", "size=60x56", "60 x 56 pixels are no multiples of 28"),
    Bad("qwen2_5_vl", "size=28x28", "not within its budget of 3136 to 12544 pixels"),
    Bad("qwen2_5_vl", "size=280x280", "not within its budget"),
    Bad("qwen2_5_vl", "tokens=0", "tokens: expected 1 to 4096 words"),
    Bad("qwen2_5_vl", "prompt= ", "prompt: expected a question"),
    Bad("qwen2_5_vl", "fit=crop", "fit: expected squash or letterbox"),
    Bad("qwen2_5_vl", "colour=red", "found colour"),
    Bad("qwen2_5_vl", "tokens=3&tokens=4", "found tokens"),
)


@pytest.mark.parametrize("row", BAD, ids=lambda row: f"{row.family} {row.query}")
def test_what_cannot_be_looked_at_is_one_sentence(row: Bad) -> None:
    with pytest.raises(Catch11Error, match=row.match) as error:
        load_picture_model(f"hf:{folder(row.family)}?{row.query}")
    assert str(error.value).count("\n") == 0


def test_settings_are_read_from_the_spec() -> None:
    asked = parse_asked("prompt=What%20now%3F&tokens=3&size=56X84&video=0")
    assert (asked.prompt, asked.tokens, asked.size, asked.video) == (
        "What now?",
        3,
        (56, 84),
        False,
    )


def test_a_processor_that_does_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    whole = Qwen2VLImageProcessorPil.patchify

    def shuffled(self: Any, image: Any, *args: Any, **settings: Any) -> Any:
        patches, height, width = whole(self, image, *args, **settings)
        return patches[::-1].copy(), height, width

    monkeypatch.setattr(Qwen2VLImageProcessorPil, "patchify", shuffled)
    with pytest.raises(CanvasRefused, match="more than normalise"):
        load_picture_model(f"hf:{folder('qwen2_5_vl')}?size=56x56")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_damaged_folder_is_one_sentence(family: Family, tmp_path: Path) -> None:
    where = write_tiny(tmp_path / "model", family, seed=0)
    (where / "tokenizer.json").unlink()
    (where / "tokenizer_config.json").unlink()
    with pytest.raises(ModelRefused):
        load_picture_model(f"hf:{where}")
    where = write_tiny(tmp_path / "weights", family, seed=0)
    (where / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(ModelRefused):
        load_picture_model(f"hf:{where}")


def test_a_video_needs_torchvision_and_says_so() -> None:
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        pytest.skip("torchvision is here")
    with pytest.raises(MissingExtra, match=r"torchvision is needed here.*catch11\[video\]"):
        ask(tiny("qwen2_5_vl"), pictures(4), "What happens?", video=True)


def test_a_classifier_answers_in_classes() -> None:
    canvas = plain_canvas(8, 8)
    model = finish(
        spec="py:none", name="none", module=nn.Sequential(nn.Flatten(), nn.Linear(192, 3)),
        canvas=canvas, prepare=canvas_prepare(canvas), fingerprint="", labels=indices,
    )  # fmt: skip
    assert not model.speaks
    with pytest.raises(InvalidArgument, match="answers in words"):
        with_prompt(model, "What is it?")
    with pytest.raises(InvalidArgument, match="vision-language model"):
        ask(model, pictures(1), "What is it?")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_wide_embedding_has_no_null_space_and_takes_the_energy_rule(
    family: Family, tmp_path: Path
) -> None:
    wide = write_tiny(tmp_path / family, family, seed=0, width=608)
    model = load_picture_model(f"hf:{wide}?size=56x56&tokens=4")
    key = build_key(model)
    assert key.front.outputs == 608 > key.front.weight[0].numel() == 588
    assert key.rule.kind == "energy"
    assert key.rule.value == 1e-3
    assert 0 < key.subspace.dimension < 0.25 * key.subspace.ambient
    made = SpectralRecoder(key, psnr=20.0)(windows(pictures(2)))
    gaussian = windows(pictures(2)) + 0.1 * torch.randn(2, *model.canvas.shape)
    alone = key.front.relative_shift(gaussian, windows(pictures(2)))
    # Unseen but for a share of the energy: far less than noise of equal strength, and not nothing.
    assert 1e-3 < max(made.front_shift) < 0.5 * float(alone.min())
