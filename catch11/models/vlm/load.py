"""Vision-language models: InternVL3 and Qwen2.5-VL as authorized models and as rivals.

As a `Model` one of them is a canvas that its own processor leaves untouched, and a module that maps
normalised windows to the logits of the first word it would say to a prompt. Its vision side is the
submodule `tower`, whose output is everything of a picture that the language side is given.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from catch11.errors import InvalidArgument, ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.models.frame import Model, finish
from catch11.models.hub.transformers import check_complete, model_type, read_weights
from catch11.models.vlm.asking import Asking
from catch11.models.vlm.canvas import parse_asked, prove_sight, sight_of, vlm_canvas, vlm_prepare
from catch11.models.vlm.processor import (
    PROCESSORS,
    chat,
    load_vlm_processor,
    picture_inputs,
    video_inputs,
)
from catch11.models.weights import check_weights


def family_of(rest: str) -> str | None:
    """The family of a folder or id, from its config.json; None where it is not one known here."""
    kind = model_type(rest.partition("?")[0])
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
