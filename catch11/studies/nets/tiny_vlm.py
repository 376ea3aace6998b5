"""Tiny vision-language models of the real classes: random weights, real processors, on disk.

They stand in where model hubs are out of reach. Nothing about their answers is sensible; what they
are good for is that every step from the PNG to the generated tokens is the real one.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from catch11.errors import InvalidArgument
from catch11.models.hub.transformers import silent
from catch11.studies.tasks.mmbench import ABILITIES

Family = Literal["internvl", "qwen2_5_vl"]

WIDTH = 32
SIDE = 56  # two merged tokens a side: the least that has an order to get wrong
# Weights a dozen times larger than a fresh model's: with the usual 0.02 no picture moves an answer.
SPREAD = 0.25
_TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "initializer_range": SPREAD,
}  # fmt: skip
_INTERNVL = {
    "start_image_token": "<img>", "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
}  # fmt: skip
_QWEN = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>",
}  # fmt: skip
# As the real templates: a turn is opened and closed, an image is one mark, the text follows.
_TEMPLATE = (
    "{{% for message in messages %}}<|im_start|>{{{{ message['role'] }}}}\n"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% elif part['type'] == 'video' %}}{video}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}"
    "{{% endfor %}}<|im_end|>\n{{% endfor %}}"
    "{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
)


def write_tiny(
    folder: Path, family: Family, *, seed: int, side: int = SIDE, width: int = WIDTH
) -> Path:
    """Save a random model with its processor, as save_pretrained does; returns the folder.

    side: pixels a side of InternVL's tile, a multiple of 28. width: features of a patch; from 588 on,
    as in the published models, a patch embedding has no exact null space.
    """
    if family not in _MAKERS:
        raise InvalidArgument("family", expected=" or ".join(_MAKERS), found=family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, processor = _MAKERS[family](side, width)
        _shake(model)
    folder.mkdir(parents=True, exist_ok=True)
    with silent():
        model.save_pretrained(folder)
        for part in processor:
            part.save_pretrained(folder)
    if family == "internvl":
        facts = {"processor_class": "InternVLProcessor", "image_seq_length": (side // 28) ** 2}
        (folder / "processor_config.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _internvl(side: int, width: int) -> tuple[Any, tuple[Any, ...]]:
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    names = _tokenizer(_INTERNVL, image="<IMG_CONTEXT>\n", video="<video>\n")
    vision = {
        "hidden_size": width, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "image_size": [side, side], "initializer_range": SPREAD,
        "layer_scale_init_value": 1.0,
    }  # fmt: skip
    config = InternVLConfig(
        vision_config=vision, text_config=_TEXT | _ends(names) | {"model_type": "qwen2"},
        image_token_id=names.context_image_token_id, image_seq_length=(side // 28) ** 2,
    )  # fmt: skip
    size = {"height": side, "width": side}
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = _image_processor(
        "got_ocr2", "GotOcr2ImageProcessor", size=size, crop_to_patches=False,
        image_mean=list(mean), image_std=list(std),
    )  # fmt: skip
    return InternVLForConditionalGeneration(config), (images, names)


def _qwen(side: int, width: int) -> tuple[Any, tuple[Any, ...]]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    mark = "<|vision_start|>{}<|vision_end|>"
    names = _tokenizer(
        _QWEN, image=mark.format("<|image_pad|>"), video=mark.format("<|video_pad|>")
    )
    vision = {
        "depth": 2, "hidden_size": width, "intermediate_size": 64, "num_heads": 2,
        "out_hidden_size": 32, "window_size": 56, "fullatt_block_indexes": [1],
        "initializer_range": SPREAD,
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}
    config = Qwen2_5_VLConfig(
        vision_config=vision, text_config=_TEXT | _ends(names) | {"rope_parameters": rope},
        image_token_id=names.image_token_id, video_token_id=names.video_token_id,
        vision_start_token_id=names.vision_bos_token_id,
        vision_end_token_id=names.vision_eos_token_id,
    )  # fmt: skip
    size = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16}
    images = _image_processor("qwen2_vl", "Qwen2VLImageProcessor", size=size)
    return Qwen2_5_VLForConditionalGeneration(config), (images, names)


_MAKERS: Mapping[str, Callable[[int, int], tuple[Any, tuple[Any, ...]]]] = {
    "internvl": _internvl,
    "qwen2_5_vl": _qwen,
}


def _ends(names: Any) -> dict[str, Any]:
    # No token ends an answer: random models would end most at once, and empty answers agree.
    return {
        "vocab_size": len(names), "bos_token_id": None, "eos_token_id": None,
        "pad_token_id": names.pad_token_id,
    }  # fmt: skip


def _shake(model: Any) -> None:
    """Position embeddings start at zero and norms at one: give the first something to say."""
    for name, parameter in model.named_parameters():
        if "position_embeddings" in name or "cls_token" in name:
            parameter.data.normal_(std=SPREAD)


def _image_processor(package: str, name: str, **settings: Any) -> Any:
    """The processor of a family, by its PIL class where this release of transformers has one."""
    import importlib

    try:
        module = f"transformers.models.{package}.image_processing_pil_{package}"
        return getattr(importlib.import_module(module), f"{name}Pil")(**settings)
    except ImportError:
        import transformers

        return getattr(transformers, name)(**settings)


def _tokenizer(named: Mapping[str, str], *, image: str, video: str) -> Any:
    """Bytes as tokens, and the special ones of the family under their names."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>",
        extra_special_tokens=dict(named),
    )  # fmt: skip
    made.add_tokens(["<|im_start|>"], special_tokens=True)
    made.chat_template = _TEMPLATE.format(image=image, video=video)
    return made


def write_bench(path: Path, *, count: int, side: int = 64) -> Path:
    """A TSV in MMBench's layout: `count` questions about blobs of colour, abilities in turn."""
    import base64
    import csv
    from io import BytesIO

    import numpy as np
    from PIL import Image

    colours = ("red", "green", "blue", "grey")
    head = [
        "index",
        "question",
        "hint",
        "A",
        "B",
        "C",
        "D",
        "answer",
        "category",
        "l2-category",
        "image",
        "split",
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(head)
        for index in range(count):
            generator = np.random.default_rng(index)
            coarse = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((side + 16, side), Image.Resampling.BICUBIC)
            data = BytesIO()
            picture.save(data, format="PNG")
            ability = tuple(ABILITIES)[index % len(ABILITIES)]
            table.writerow([
                index, f"Which colour is spot {index}?", "Look closely." if index % 2 else "",
                *colours, "ABCD"[index % 4], "made up", ability,
                base64.b64encode(data.getvalue()).decode(), "dev",
            ])  # fmt: skip
    return path
