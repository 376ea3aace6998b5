"""A vision-language model as a module: windows and one prompt to words, its vision side apart."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from catch11.canvas.frame import Canvas
from catch11.errors import InvalidArgument
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.models.hub.transformers import up_to_end
from catch11.models.vlm.canvas import Asked
from catch11.models.vlm.front import check_affordable, frames_front, plain_tiles_front, tiles_front
from catch11.models.vlm.processor import chat, picture_inputs
from catch11.models.vlm.sight import Sight, Tiles

_SEEN = ("pixel_values", "image_grid_thw")  # the inputs that come from pictures
_EYES = {"internvl": "vision_tower", "qwen2_5_vl": "visual"}


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
        with torch.no_grad():
            made = _apart(self.vlm).generate(**inputs, do_sample=False, max_new_tokens=tokens)
        said = made[:, inputs["input_ids"].shape[1] :].tolist()
        return up_to_end(said, self.vlm.generation_config)

    def _tokens(self, ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.processor.tokenizer.convert_ids_to_tokens(list(ids)))


def _apart(vlm: Any) -> Any:
    """The same model and weights, with attributes of its own: Qwen keeps the offset of its positions
    on the model between steps, and a release checks in threads."""
    apart = copy.copy(vlm)
    apart._modules = {**vlm._modules, "model": copy.copy(vlm.model)}
    return apart


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
