"""Vision-language models: InternVL3 and Qwen2.5-VL as authorized models and as rivals.

As a `Model` one of them is a canvas that its own processor leaves untouched, and a module that maps
normalised windows to the logits of the first word it would say to a prompt. Its vision side is the
submodule `tower`, whose output is everything of a picture that the language side is given.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from catch11.canvas import Canvas
from catch11.errors import InvalidArgument, ModelRefused
from catch11.find import find_front
from catch11.fingerprint import module_fingerprint
from catch11.front import Front
from catch11.models.frame import Model, finish
from catch11.models.hub import check_complete, read_weights, silent
from catch11.models.vlm_canvas import (
    Asked,
    parse_asked,
    prove_sight,
    sight_of,
    vlm_canvas,
    vlm_prepare,
)
from catch11.models.vlm_front import (
    check_affordable,
    frames_front,
    plain_tiles_front,
    tiles_front,
)
from catch11.models.vlm_processor import (
    PROCESSORS,
    chat,
    load_vlm_processor,
    picture_inputs,
    video_inputs,
)
from catch11.models.vlm_sight import Sight, Tiles
from catch11.models.weights import check_weights

# Qwen keeps the offset of its positions on the model between steps; a release checks in threads.
_ONE_SPEAKER = threading.Lock()
_SEEN = ("pixel_values", "image_grid_thw")  # the inputs that come from pictures
_EYES = {"internvl": "vision_tower", "qwen2_5_vl": "visual"}


def family_of(rest: str) -> str | None:
    """The family of a folder or id, from its config.json; None where it is not one known here."""
    folder = Path(rest.partition("?")[0]).expanduser()
    if folder.is_dir():
        path = folder / "config.json"
    else:
        from transformers.utils import cached_file

        try:
            with silent():
                path = Path(cached_file(rest.partition("?")[0], "config.json") or "")
        except (OSError, ValueError):
            return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    kind = facts.get("model_type") if isinstance(facts, dict) else None
    return kind if kind in PROCESSORS else None


def load_vlm(rest: str, family: str, *, device: str, allow_code: bool) -> Model:
    """Load ID_OR_DIR or ID_OR_DIR?prompt=…&size=…; see `Asked`. Raises ModelRefused, CanvasRefused."""
    rest, _, query = rest.partition("?")
    asked, spec = parse_asked(query), f"hf:{rest}"
    from transformers import AutoModelForImageTextToText

    loader = AutoModelForImageTextToText.from_pretrained
    vlm, info = read_weights(spec, loader, rest, allow_code=allow_code)
    check_complete(spec, info)
    check_weights(spec, vlm)
    processor = load_vlm_processor(rest, family, vlm.config, allow_code=allow_code)
    mark = processor.tokenizer(processor.image_token, add_special_tokens=False)["input_ids"]
    if list(mark) != [vlm.config.image_token_id]:
        raise ModelRefused(spec, "its tokenizer does not know the mark of a picture")
    sight = sight_of(processor, family, asked)
    canvas = vlm_canvas(processor, sight, asked)
    notes = prove_sight(processor, sight, canvas)
    fingerprint = module_fingerprint(vlm)
    module = Asking(vlm.eval().to(device), processor, sight, canvas, asked, family=family)
    return finish(
        spec=spec + (f"?{query}" if query else ""),
        name=Path(rest).name or rest,
        module=module,
        canvas=canvas,
        prepare=vlm_prepare(processor, sight, canvas),
        fingerprint=fingerprint,
        labels=lambda count: (),  # it answers in words
        device=device,
        notes=notes,
    )


class Tower(nn.Module):
    """Normalised windows to the tokens that the language side is given in place of a picture.

    `vision` passes on what stands before the projection to those tokens: a finer match of the two,
    since the projection is narrow and many pictures look alike behind it.
    """

    def __init__(self, vlm: Any, sight: Sight, canvas: Canvas, *, eyes: str) -> None:
        super().__init__()
        self.vision = nn.Identity()
        self.eyes = getattr(vlm.model, eyes)
        # Not as a submodule: it would hold the language side too, which is no part of the tower.
        self._whole = (vlm,)
        self.sight, self.canvas = sight, canvas

    def forward(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch token feature"]:
        inputs = self.sight.inputs(values, self.canvas)
        made = self._whole[0].get_image_features(**inputs, return_dict=True)
        self.vision(made.last_hidden_state.reshape(len(values), -1))
        return self.sight.tokens(made, len(values))


class Asking(nn.Module):
    """A vision-language model with one prompt: normalised windows to the logits of its first word.

    `tower` is its vision side. It computes what the stock model computes, with the language side's
    inputs taken from a stock run and only the picture's tokens put in anew.
    """

    prompt_ids: Tensor
    attention: Tensor
    places: Tensor
    positions: Tensor | None

    def __init__(
        self, vlm: Any, processor: Any, sight: Sight, canvas: Canvas, asked: Asked, *, family: str
    ) -> None:
        super().__init__()
        self.vlm, self.processor, self.asked, self.family = vlm, processor, asked, family
        self.tower = Tower(vlm, sight, canvas, eyes=_EYES[family])
        blank = Image.new("RGB", (canvas.width, canvas.height))
        inputs = picture_inputs(processor, [blank], chat(processor, asked.prompt))
        self.words = {name: value for name, value in inputs.items() if name not in _SEEN}
        for name, value in (
            ("prompt_ids", inputs["input_ids"]),
            ("attention", inputs["attention_mask"]),
            ("places", inputs["input_ids"] == vlm.config.image_token_id),
            ("positions", _positions(vlm, inputs)),
        ):
            self.register_buffer(name, value, persistent=False)

    @property
    def prompt(self) -> str:
        """What it is asked about each window."""
        return self.asked.prompt

    def forward(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch word"]:
        """Logits of the first word of the answer, differentiable in the windows."""
        return self.recite(values, torch.zeros(len(values), 1, dtype=torch.long))[:, 0]

    def words_of(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, "batch word"]:
        """The stock `generate`'s answer to each window, as tokens; -1 behind its end."""
        return pad_sequence(
            [torch.tensor(ids) for ids in self._said(values)], batch_first=True, padding_value=-1
        )

    def recite(
        self, values: Float[Tensor, "batch channel height width"], words: Int[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word vocabulary"]:
        """Logits of each word of an answer, those before it given; differentiable in the windows."""
        seen, count = self.tower(values), len(values)
        ids, more = self.prompt_ids.expand(count, -1), words.shape[1] - 1
        given = words[:, :more].clamp_min(0).to(ids)
        embeds = self.vlm.get_input_embeddings()(torch.cat([ids, given], 1))
        place = F.pad(self.places.expand(count, -1), (0, more))[..., None].to(embeds.device)
        embeds = embeds.masked_scatter(place, seen.to(embeds))
        positions = self.positions
        if positions is not None:
            ahead = positions[..., -1:] + torch.arange(1, more + 1).to(positions)
            positions = torch.cat([positions, ahead], -1).repeat_interleave(count, dim=-2)
        made = self.vlm(
            inputs_embeds=embeds, position_ids=positions, use_cache=False,
            attention_mask=F.pad(self.attention.expand(count, -1), (0, more), value=1),
        )  # fmt: skip
        return made.logits[:, -1 - more :]

    def own_front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """The patch embedding in pixel units, found in the tower alone."""
        sight = self.tower.sight
        if self.asked.video:
            stacked = frames_front(self.tower.eyes, canvas)
        elif isinstance(sight, Tiles) and sight.count > 1:
            if self.asked.stack:
                stacked = tiles_front(self.tower.eyes, sight, canvas)
                check_affordable(stacked)
            else:
                stacked = plain_tiles_front(self.tower.eyes, canvas)
        else:
            return find_front(self.tower, canvas, layer=layer)
        if layer not in (None, stacked.layer):
            raise InvalidArgument("layer", expected=stacked.layer, found=layer)
        return stacked

    def speak(self, values: Float[Tensor, "batch channel height width"]) -> list[tuple[str, ...]]:
        """What the stock `generate` says, greedily, to each window and the prompt, as tokens."""
        return [self._tokens(ids) for ids in self._said(values)]

    def _said(self, values: Tensor) -> list[list[int]]:
        words = {name: value.repeat(len(values), 1) for name, value in self.words.items()}
        inputs = words | self.tower.sight.inputs(values, self.tower.canvas)
        return self.generate(inputs, self.asked.tokens)

    def generate(self, inputs: dict[str, Tensor], tokens: int) -> list[list[int]]:
        """The stock model's greedy answer to a processor's output, up to its end mark."""
        inputs = {name: value.to(self.vlm.device) for name, value in inputs.items()}
        with _ONE_SPEAKER, torch.no_grad():
            made = self.vlm.generate(**inputs, do_sample=False, max_new_tokens=tokens)
        ends = self.vlm.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [] if ends is None else [ends])
        return [_until(row, ends) for row in made[:, inputs["input_ids"].shape[1] :].tolist()]

    def _tokens(self, ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.processor.tokenizer.convert_ids_to_tokens(list(ids)))


def with_prompt(model: Model, prompt: str, *, tokens: int | None = None) -> Model:
    """The same model, asked something else. Raises InvalidArgument for one that answers in classes."""
    old = asking(model)
    asked = replace(old.asked, prompt=prompt, tokens=tokens or old.asked.tokens)
    canvas, sight = old.tower.canvas, old.tower.sight
    new = Asking(old.vlm, old.processor, sight, canvas, asked, family=old.family)
    return replace(model, module=new.to(model.device).eval())


def ask(
    model: Model,
    pictures: Sequence[Image.Image],
    question: str,
    *,
    tokens: int = 16,
    video: bool = False,
) -> str:
    """What a model says about pictures, or about the frames of a video, by its stock pipeline alone:
    its processor reads them in whatever size they have.

    Raises InvalidArgument for a classifier, and MissingExtra for a video without torchvision.
    """
    module = asking(model)
    processor = module.processor
    if video:
        inputs = video_inputs(processor, pictures, chat(processor, question, pictures=0, videos=1))
    else:
        text = chat(processor, question, pictures=len(pictures))
        inputs = picture_inputs(processor, pictures, text)
    (ids,) = module.generate(inputs, tokens)
    return str(processor.tokenizer.decode(ids, skip_special_tokens=True))


def asking(model: Model) -> Asking:
    """The module of a vision-language model; raises InvalidArgument for any other model."""
    if not isinstance(model.module, Asking):
        raise InvalidArgument(
            "model", expected="a vision-language model, which answers in words",
            found=f"{model.name}, which answers in classes",
        )  # fmt: skip
    return model.module


def _until(ids: list[int], ends: set[int]) -> list[int]:
    for place, one in enumerate(ids):
        if one in ends:
            return ids[: place + 1]
    return ids


def _positions(vlm: Any, inputs: dict[str, Any]) -> Tensor | None:
    """The positions that a stock run gives the language side: rows of text, or time, row, column."""
    held: list[Tensor | None] = []

    def note(module: nn.Module, args: tuple[Any, ...], facts: dict[str, Any]) -> None:
        held.append(facts.get("position_ids"))

    handle = vlm.model.language_model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.no_grad():
            vlm(**{name: value.to(vlm.device) for name, value in inputs.items()})
    finally:
        handle.remove()
    return held[0]
