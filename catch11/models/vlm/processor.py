"""The stock processor of a vision-language model, with or without torchvision, and its chat text."""

from collections.abc import Sequence
from typing import Any

from PIL import Image

from catch11.errors import MissingExtra, ModelRefused
from catch11.models.hub.transformers import call_loader, load_processor

# Families whose towers are known here: model type, processor class.
PROCESSORS = {"internvl": "InternVLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor"}


def load_vlm_processor(rest: str, family: str, settings: Any, *, allow_code: bool) -> Any:
    """The family's processor. Where torchvision is missing, its video part is left out, which no
    picture needs: the image part then runs on Pillow. Raises ModelRefused.
    """
    spec = f"hf:{rest}"
    import transformers

    if _has_torchvision():
        from transformers import AutoProcessor

        made = call_loader(spec, AutoProcessor.from_pretrained, rest, allow_code=allow_code)
        if not hasattr(made, "image_processor"):
            raise ModelRefused(spec, "its processor has no image processor")
        return made
    from transformers import AutoTokenizer

    images = load_processor(rest, allow_code=allow_code)
    words = call_loader(spec, AutoTokenizer.from_pretrained, rest, allow_code=allow_code)
    cls = _without_video(getattr(transformers, PROCESSORS[family]))
    more = {"image_seq_length": settings.image_seq_length} if family == "internvl" else {}
    template = getattr(words, "chat_template", None)
    try:
        return cls(
            image_processor=images, tokenizer=words, video_processor=None, chat_template=template, **more
        )  # fmt: skip
    except AttributeError as error:
        raise ModelRefused(spec, f"its tokenizer lacks a special token ({error})") from None


def _has_torchvision() -> bool:
    from transformers.utils import is_torchvision_available

    return bool(is_torchvision_available())


def _without_video(cls: type) -> type:
    """The processor class as it is, but content with having no video processor."""

    class Pictures(cls):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == "video_processor":
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    Pictures.__name__ = cls.__name__
    return Pictures


def chat(processor: Any, question: str, *, pictures: int = 1, videos: int = 0) -> str:
    """One user turn with pictures, then the question, as the model's own template writes it."""
    content = [{"type": "image"}] * pictures + [{"type": "video"}] * videos
    turn = [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]
    if getattr(processor, "chat_template", None):
        text = processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        return str(text)
    marks = [processor.image_token] * pictures + [processor.video_token] * videos
    return "\n".join([*marks, question, ""])


def picture_inputs(processor: Any, pictures: Sequence[Image.Image], text: str) -> dict[str, Any]:
    """The model's inputs for one conversation about some pictures, entirely by its own processor."""
    colour = [picture.convert("RGB") for picture in pictures]
    return dict(processor(images=colour, text=[text], return_tensors="pt"))


def video_inputs(processor: Any, frames: Sequence[Image.Image], text: str) -> dict[str, Any]:
    """The model's inputs for one conversation about a video. Raises MissingExtra."""
    if getattr(processor, "video_processor", None) is None:
        raise MissingExtra("torchvision", "video")
    import numpy as np

    film = np.stack([np.asarray(frame.convert("RGB")) for frame in frames])
    made = processor(
        videos=[film], text=[text], return_tensors="pt",
        video_metadata=[{"total_num_frames": len(frames), "fps": 2.0}], do_sample_frames=False,
    )  # fmt: skip
    return dict(made)
