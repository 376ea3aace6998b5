"""Models that transcribe: connectionist (CTC) ones, and encoders with a decoder, as ones that answer
in words. What is held is the transcript, token by token."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from catch11.errors import ModelRefused
from catch11.fronts.find import first_tensor
from catch11.models.hub.transformers import up_to_end

TOKENS = 64  # of a transcript that a decoder may say


class CtcSpeech(nn.Module):
    """A net of windows whose answer is a token a frame: repeats and blanks fall away in the transcript.

    net: windows to (batch, frame, token) logits. names: of the tokens. blank: the token of nothing.
    """

    prompt = "a transcript"

    def __init__(self, net: nn.Module, *, names: Sequence[str], blank: int) -> None:
        super().__init__()
        self.net, self.names, self.blank = net, tuple(names), blank

    def forward(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch token"]:
        """Logits of the first frame."""
        return first_tensor(self.net(pixel_values))[:, 0]

    def words_of(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, "batch word"]:
        """The token of each frame, blanks among them."""
        with torch.no_grad():
            return first_tensor(self.net(values)).argmax(2)

    def recite(
        self, values: Float[Tensor, "batch channel height width"], words: Int[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word vocabulary"]:
        """Logits of each frame."""
        return first_tensor(self.net(values))

    def speak(self, values: Float[Tensor, "batch channel height width"]) -> list[tuple[str, ...]]:
        """The transcript of each window, as tokens."""
        found = []
        for row in self.words_of(values).tolist():
            kept = [now for before, now in zip([None, *row], row, strict=False) if now != before]
            found.append(tuple(self.names[i] for i in kept if i != self.blank))
        return found


class DecodedSpeech(nn.Module):
    """A Whisper-like model of features: its decoder says the transcript, greedily, after a prompt.

    net: windows (mel, 1, frame) are handed to it as (batch, mel, frame). start: the decoder's first
    tokens. never, never_first: tokens that its generation settings leave out, always or at first.
    """

    prompt = "a transcript"

    def __init__(
        self, net: Any, *, names: Sequence[str], start: Sequence[int], tokens: int = TOKENS
    ) -> None:
        super().__init__()
        self.net, self.names = net, tuple(names)
        self.start, self.tokens = tuple(start), tokens
        settings = net.generation_config
        self.never = tuple(settings.suppress_tokens or ())
        self.never_first = tuple(settings.begin_suppress_tokens or ())

    def forward(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch token"]:
        """Logits of the first word."""
        return self.recite(pixel_values, torch.zeros(len(pixel_values), 1, dtype=torch.long))[:, 0]

    def words_of(
        self, values: Float[Tensor, "batch channel height width"]
    ) -> Int[Tensor, "batch word"]:
        """What the stock greedy search says, up to its end mark; -1 behind it."""
        from transformers import GenerationMixin

        begun = torch.tensor([self.start]).repeat(len(values), 1).to(values.device)
        with torch.no_grad():
            # The plain search: Whisper's own cuts long recordings and guesses languages.
            made = GenerationMixin.generate(
                self.net, input_features=values[:, :, 0], decoder_input_ids=begun,
                do_sample=False, num_beams=1, max_new_tokens=self.tokens,
            )  # fmt: skip
        rows = up_to_end(made[:, len(self.start) :].tolist(), self.net.generation_config)
        return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=-1)

    def recite(
        self, values: Float[Tensor, "batch channel height width"], words: Int[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word vocabulary"]:
        """Logits of each word, those before it given, and never of what is left out."""
        begun = torch.tensor([self.start]).repeat(len(values), 1)
        given = torch.cat([begun, words[:, :-1].clamp_min(0).cpu()], 1).to(values.device)
        made = self.net(input_features=values[:, :, 0], decoder_input_ids=given, use_cache=False)
        logits = made.logits[:, len(self.start) - 1 :]
        out = torch.zeros(logits.shape[1:], dtype=torch.bool, device=logits.device)
        out[:, list(self.never)] = True
        out[0, list(self.never_first)] = True
        return logits.masked_fill(out, torch.finfo(logits.dtype).min)

    def speak(self, values: Float[Tensor, "batch channel height width"]) -> list[tuple[str, ...]]:
        """The transcript of each window, as tokens."""
        rows = self.words_of(values).tolist()
        return [tuple(self.names[i] for i in row if i >= 0) for row in rows]


def check_recital(
    spec: str,
    module: CtcSpeech | DecodedSpeech,
    values: Float[Tensor, "batch channel height width"],
) -> None:
    """Raises ModelRefused where the logits along an answer are not those that the answer came from."""
    words = module.words_of(values)
    with torch.no_grad():
        logits = module.recite(values, words)
    best = logits.gather(2, words.clamp_min(0)[..., None])[..., 0]
    behind = words < 0
    if bool(((logits.amax(2) - best).masked_fill(behind, 0.0) > 1e-3).any()):
        raise ModelRefused(
            spec, "its generation settings do more than a greedy search does",
            "take them out of generation_config.json",
        )  # fmt: skip


def decoder_start(spec: str, net: Any, facts: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that a transcript of the decoder begins with: its start mark and, of a model of
    several languages, the language ("language" in catch11.json, "en" unless given), the task, and
    no times. Raises ModelRefused."""
    settings = net.generation_config
    first = settings.decoder_start_token_id
    first = net.config.decoder_start_token_id if first is None else first
    if first is None:
        raise ModelRefused(spec, "it names no token that a transcript begins with")
    found = [int(first)]
    languages = getattr(settings, "lang_to_id", None) or {}
    if languages:
        name = f"<|{facts.get('language', 'en')}|>"
        if name not in languages:
            raise ModelRefused(spec, f"it knows no language {name}", 'write {"language": "en"}')
        found.append(int(languages[name]))
        found.append(int(settings.task_to_id["transcribe"]))
    times = getattr(settings, "no_timestamps_token_id", None)
    return (*found, *(() if times is None else (int(times),)))
