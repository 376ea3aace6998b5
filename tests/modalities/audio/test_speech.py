"""Models that transcribe, by transformers' own classes from small configurations with random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from catch11.cli import app
from catch11.data.sounds import Clip, encode_clip, open_clip
from catch11.errors import ModelRefused
from catch11.keys.key import build_key
from catch11.modalities.audio.load import load_audio
from catch11.modalities.audio.model import AudioModel
from catch11.modalities.audio.speech import CtcSpeech, DecodedSpeech, check_recital
from catch11.recoding.deep.recoder import DeepRecoder

RATE = 4000


def save_ctc(folder: Path, *, seed: int) -> Path:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    torch.manual_seed(seed)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(12, 12), conv_kernel=(20, 4), conv_stride=(20, 4), num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, vocab_size=8, pad_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=False).save_pretrained(folder)
    (folder / "catch11.json").write_text('{"seconds": 0.25}')
    return folder


def save_whisper(folder: Path, *, seed: int, **settings: Any) -> Path:
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    torch.manual_seed(seed)
    config = WhisperConfig(
        num_mel_bins=16, max_source_positions=50, d_model=16, encoder_layers=1,
        encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1, decoder_attention_heads=2,
        decoder_ffn_dim=16, vocab_size=20, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, max_target_positions=80, init_std=0.5,
    )  # fmt: skip
    net = WhisperForConditionalGeneration(config)
    facts: dict[str, Any] = {
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
        "suppress_tokens": [5], "begin_suppress_tokens": [2, 6],
    }  # fmt: skip
    net.generation_config = GenerationConfig(**(facts | settings))
    net.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ctc(tmp_path_factory.mktemp("ctc"), seed=0)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("whisper"), seed=0)


def clip(seed: int, *, rate: int = RATE, seconds: float = 0.25) -> Clip:
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * draw.uniform(80, 900) * time)
    wave += 0.1 * draw.standard_normal(len(time))
    return Clip(samples=wave.clip(-0.99, 0.99).astype(np.float32), rate=rate)


def windows(model: AudioModel, count: int, *, rate: int, seconds: float) -> torch.Tensor:
    clips = [clip(seed, rate=rate, seconds=seconds) for seed in range(count)]
    return model.canvas.denormalise(model.preprocess(clips)).clamp(0, 1)


def speech(model: AudioModel) -> CtcSpeech | DecodedSpeech:
    assert isinstance(model.module, CtcSpeech | DecodedSpeech)
    return model.module


def decoder(model: AudioModel) -> DecodedSpeech:
    assert isinstance(model.module, DecodedSpeech)
    return model.module


def test_a_ctc_transcript_drops_repeats_and_blanks(ctc: Path) -> None:
    from transformers import Wav2Vec2ForCTC

    model = load_audio(f"hf:{ctc}")
    assert model.speaks
    assert model.labels == ()
    own = Wav2Vec2ForCTC.from_pretrained(ctc).eval()
    values = model.preprocess([clip(0), clip(1)])
    with torch.no_grad():
        best = own(values[:, 0, 0]).logits.argmax(2)
    assert torch.equal(speech(model).words_of(values), best)
    said = speech(model).speak(values)
    for row, words in zip(best.tolist(), said, strict=True):
        merged = [b for a, b in zip([-1, *row[:-1]], row, strict=True) if a != b]
        assert words == tuple(str(i) for i in merged if i)


class Fixed(torch.nn.Module):
    """Frames of which the best tokens are 0 1 1 0 1 2 2, blank 0."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        row = torch.nn.functional.one_hot(torch.tensor([0, 1, 1, 0, 1, 2, 2]), 3).float()
        return row.expand(len(values), -1, -1)


def test_a_transcript_by_hand() -> None:
    speech = CtcSpeech(Fixed(), names="-ab", blank=0)
    assert speech.speak(torch.zeros(2, 1, 1, 4)) == [("a", "a", "b")] * 2
    check_recital("x", speech, torch.zeros(1, 1, 1, 4))


def test_a_decoder_is_heard_as_its_own_class_decodes(whisper: Path) -> None:
    model = load_audio(f"hf:{whisper}")
    assert model.speaks
    assert model.features
    values = model.preprocess([clip(seed, rate=16000, seconds=1.0) for seed in range(3)])
    words = speech(model).words_of(values)
    assert words.max() < 20
    assert not (words == 5).any()
    assert not torch.isin(words[:, 0], torch.tensor([2, 6])).any()
    said = decoder(model).recite(values, words).argmax(2)
    assert torch.equal(said[words >= 0], words[words >= 0])
    check_recital("x", speech(model), values)


@pytest.mark.parametrize("kind", ["ctc", "whisper"])
def test_what_is_released_is_transcribed_alike(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = load_audio(f"hf:{request.getfixturevalue(kind)}")
    save = save_ctc if kind == "ctc" else save_whisper
    twin = load_audio(f"hf:{save(tmp_path, seed=1)}")
    rate, seconds = (RATE, 0.25) if kind == "ctc" else (16000, 1.0)
    held = windows(model, 4, rate=rate, seconds=seconds)
    made = DeepRecoder(
        model, build_key(model), format="wav16" if kind == "ctc" else "tensor", radius=64.0,
        steps=150, margin=0.02,
    )(held)  # fmt: skip
    kept = [i for i, reason in enumerate(made.reasons) if reason is None]
    assert kept
    clean, after = (model.canvas.normalise(some[kept]) for some in (held, made.images))
    assert speech(model).speak(after) == speech(model).speak(clean)
    assert max(made.psnr) < 30.0
    assert len(speech(twin).speak(after)) == len(kept)


def test_the_commands_hold_a_transcript(ctc: Path, tmp_path: Path) -> None:
    runner, source = CliRunner(), tmp_path / "src"
    source.mkdir()
    for seed in range(3):
        (source / f"{seed}.wav").write_bytes(encode_clip(clip(seed).samples, RATE))
    twin = save_ctc(tmp_path / "twin", seed=1)

    def run(*words: object) -> str:
        done = runner.invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    key, out = tmp_path / "a.key", tmp_path / "out"
    run("key", f"hf:{ctc}", "-o", key)
    run("recode", source, out, "--key", key, "--model", f"hf:{ctc}", "--method", "deep", "--steps", 150,
        "--radius", 64, "--margin", "0.02", "--check")  # fmt: skip
    text = run("verify", out, "--model", f"hf:{ctc}", "--rival", f"hf:{twin}", "--source", source,
               "--json", "-")  # fmt: skip
    found = json.loads(text[text.index("{") :])
    shares = {
        (r["role"], r["condition"]): r["value"]
        for r in found["records"]
        if r["metric"] == "agreement"
    }
    assert shares["authorized", "nte"] == 1.0
    model = load_audio(f"hf:{ctc}")
    for path in out.glob("*.wav"):
        before, after = (
            speech(model).speak(model.preprocess([open_clip(p)]))
            for p in (source / path.name, path)
        )
        assert before == after


def test_what_cannot_be_held_is_one_sentence(tmp_path: Path) -> None:
    folder = save_whisper(tmp_path / "languages", seed=0)
    path = folder / "generation_config.json"
    facts = json.loads(path.read_text())
    facts |= {"lang_to_id": {"<|en|>": 7}, "task_to_id": {"transcribe": 8}}
    path.write_text(json.dumps(facts | {"no_timestamps_token_id": 9}))
    model = load_audio(f"hf:{folder}")
    assert decoder(model).start == (1, 7, 8, 9)
    (folder / "catch11.json").write_text('{"language": "xx"}')
    with pytest.raises(ModelRefused, match=r"it knows no language <\|xx\|>"):
        load_audio(f"hf:{folder}")
    folder = save_whisper(tmp_path / "penalty", seed=0, no_repeat_ngram_size=1)
    with pytest.raises(ModelRefused, match="do more than a greedy search"):
        load_audio(f"hf:{folder}")
    folder = save_ctc(tmp_path / "ctc", seed=0)
    (folder / "catch11.json").unlink()
    with pytest.raises(ModelRefused, match="its window is unknown"):
        load_audio(f"hf:{folder}")
