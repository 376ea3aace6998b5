"""embeds: safetensors with one document's embeddings and mask, and no token ids.

Tensors: `embeds` (token, feature), float32 or float16; `mask` (token), uint8, all ones; where two
texts were joined, `types` (token), uint8, which of them a token is of. They are what a transformers
encoder takes as inputs_embeds, attention_mask and token_type_ids, each with a batch axis before.
"""

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from catch11.canvas.frame import Canvas
from catch11.modalities.text.recoder import Passage
from catch11.releases.form import Form

_LONGEST = 1 << 16  # tokens; keeps a hostile file from asking for more than it holds


class Embeds(Form[Passage, Passage]):
    """A document's embeddings, float32 when read; a canvas is as wide as they are."""

    name, suffix, option = "embeds", ".safetensors", "tensor"

    def encode(self, meant: Passage, canvas: Canvas) -> bytes:
        tensors = {
            "embeds": meant.embeds.to(torch.float16 if meant.half else torch.float32).contiguous(),
            "mask": torch.ones(len(meant.embeds), dtype=torch.uint8),
        }
        if meant.types is not None:
            tensors["types"] = torch.tensor(meant.types, dtype=torch.uint8)
        return save(tensors)

    def decode(self, data: bytes, canvas: Canvas) -> Passage:
        try:
            tensors = load(data)
        except (SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"it is not a safetensors file ({str(error)[:80]})") from None
        if not {"embeds", "mask"} <= set(tensors) <= {"embeds", "mask", "types"}:
            raise ValueError("it does not hold embeds and mask")
        embeds, mask, width = tensors["embeds"], tensors["mask"], canvas.window_width
        if embeds.dtype not in (torch.float16, torch.float32) or embeds.dim() != 2:
            raise ValueError("its embeds are no matrix of floats")
        if not 0 < len(embeds) <= _LONGEST or embeds.shape[1] != width:
            raise ValueError(f"its embeds are {tuple(embeds.shape)}, expected (tokens, {width})")
        if not torch.isfinite(embeds).all():
            raise ValueError("its embeds are not finite")
        if mask.shape != embeds.shape[:1] or not bool((mask == 1).all()):
            raise ValueError("its mask is not all ones")
        types = tensors.get("types")
        if types is not None and (types.shape != mask.shape or not bool((types <= 1).all())):
            raise ValueError("its types are no row of 0 and 1")
        kinds = None if types is None else tuple(int(t) for t in types)
        return Passage(embeds=embeds.float(), types=kinds, half=embeds.dtype == torch.float16)

    def same(self, meant: Passage, read: Passage) -> bool:
        return meant.types == read.types and torch.equal(meant.embeds, read.embeds)


EMBEDS = Embeds()
