"""Models of sounds as transformers keeps them: classifiers, and those that transcribe."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from catch11.canvas.frame import RATE, Canvas
from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import Clip, heard
from catch11.errors import ModelRefused
from catch11.fronts.fingerprint import module_fingerprint
from catch11.modalities.audio import nets as sound_nets
from catch11.modalities.audio import speech
from catch11.modalities.audio.model import (
    FEATURES,
    LOG_MEL,
    WINDOW,
    AudioModel,
    Listen,
    sound_facts,
    sound_model,
    whole_up_to,
)
from catch11.models.answer import indices, named_labels
from catch11.models.hub.transformers import (
    call_loader,
    check_complete,
    check_one_class,
    read_weights,
)

_HEADS = (
    "ForCTC",
    "ForConditionalGeneration",
    "ForSequenceClassification",
    "ForAudioClassification",
)


def from_hub(rest: str, *, device: str, allow_code: bool) -> AudioModel:
    import transformers

    spec = f"hf:{rest}"
    config = call_loader(spec, transformers.AutoConfig.from_pretrained, rest, allow_code=allow_code)
    named = " ".join(config.architectures or ())
    ctc, decoded = "ForCTC" in named, "ForConditionalGeneration" in named
    if named and not named.endswith(_HEADS):
        reason = f"its config.json names {named}, which gives no class or transcript of a sound"
        raise ModelRefused(spec, reason, "give a classifier, or a model with a CTC head")
    auto = (
        transformers.AutoModelForCTC if ctc
        else transformers.AutoModelForSpeechSeq2Seq if decoded
        else transformers.AutoModelForAudioClassification
    )  # fmt: skip
    net, info = read_weights(spec, auto.from_pretrained, rest, allow_code=allow_code)
    check_complete(spec, info)
    if not (ctc or decoded):
        check_one_class(spec, net.config)
    extractor = call_loader(
        spec, transformers.AutoFeatureExtractor.from_pretrained, rest, allow_code=allow_code
    )
    rate = whole_up_to(spec, "sampling_rate", getattr(extractor, "sampling_rate", None), RATE)
    beside = Path(rest).expanduser() / WINDOW
    if net.config.model_type in FEATURES:
        canvas, listen, layout = _hub_features(extractor, rate)
        module: nn.Module = sound_nets.Features(net, layout=layout)
        normalised = False
        if decoded:
            facts = sound_facts(spec, beside) if beside.is_file() else {}
            start = speech.decoder_start(spec, net, facts)
            module = speech.DecodedSpeech(net.eval(), names=_tokens(rest, net), start=start)
    elif decoded:
        raise ModelRefused(spec, f"no decoder of {net.config.model_type} models is known here")
    else:
        canvas, listen = _hub_window(spec, beside, rate), None
        normalised = bool(getattr(extractor, "do_normalize", False))
        module = sound_nets.Heard(net, flat=True, normalised=normalised)
        if ctc:
            blank = net.config.pad_token_id
            if blank is None:
                raise ModelRefused(spec, "it names no blank (pad_token_id)")
            module = speech.CtcSpeech(module.eval(), names=_tokens(rest, net), blank=int(blank))
    made = sound_model(
        spec, module, canvas, name=Path(rest).name or rest, listen=listen, device=device,
        notes=(_NORMALISED,) if normalised else (),
        labels=(lambda count: ()) if ctc or decoded else partial(named_labels, spec, net.config.id2label),
        fingerprint=module_fingerprint(net),
    )  # fmt: skip
    if isinstance(made.module, speech.CtcSpeech | speech.DecodedSpeech):
        noise = torch.rand(1, *canvas.shape, generator=torch.Generator().manual_seed(0))
        speech.check_recital(spec, made.module, canvas.normalise(noise).to(device))
    return made


def _hub_window(spec: str, beside: Path, rate: int) -> Canvas:
    """The canvas of a window of samples, as long as the file beside the model says."""
    seconds = sound_facts(spec, beside).get("seconds")
    if not isinstance(seconds, int | float) or not 0 < seconds * rate <= 1 << 20:
        raise ModelRefused(spec, f"{WINDOW} states no usable seconds", 'write {"seconds": 2}')
    return sound_canvas((1, 1, round(seconds * rate)), rate=rate)


def _tokens(rest: str, net: Any) -> tuple[str, ...]:
    """The names of a transcriber's tokens; their numbers where no tokenizer lies beside it."""
    from transformers import AutoTokenizer

    count = int(net.config.vocab_size)
    try:
        tokenizer = AutoTokenizer.from_pretrained(rest)
        names = tokenizer.convert_ids_to_tokens(list(range(count)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return indices(count)
    return tuple(str(index) if name is None else str(name) for index, name in enumerate(names))


_NORMALISED = (
    "each utterance is brought to variance 1 before the first layer, so noise that the layer does "
    "not see still makes what it sees quieter; a group norm behind the layer undoes that, a bias "
    "in it does not"
)


def _hub_features(extractor: Any, rate: int) -> tuple[Canvas, Listen, sound_nets.Layout]:
    """The canvas of a transformers feature extractor, found by running it, and what runs it."""
    silence = np.zeros(rate, dtype=np.float32)
    name = extractor.model_input_names[0]
    first = extractor(silence, sampling_rate=rate, return_tensors="np")[name]
    # (mel, frame) of Whisper, whose first layer mixes mels; (frame, mel) of AST, which reads tiles.
    layout: sound_nets.Layout = "channels" if name == "input_features" else "frames"
    rows, columns = first.shape[1:]
    shape = (rows, 1, columns) if layout == "channels" else (1, columns, rows)

    def listen(clips: Sequence[Clip]) -> Tensor:
        made = []
        for clip in clips:
            longest = max(1, round(len(clip.samples) * rate / clip.rate))
            wave = heard(clip, rate=rate, samples=min(longest, 60 * rate))
            found = extractor(wave, sampling_rate=rate, return_tensors="pt")[name].float()
            made.append(found[:, :, None] if layout == "channels" else found.mT[:, None])
        return torch.cat(made)

    gain, offset = LOG_MEL
    return sound_canvas(shape, rate=rate, gain=gain, offset=offset), listen, layout
