"""Models of sounds: transformers' own classes from small configurations, files, functions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from catch11.canvas.frame import Canvas
from catch11.canvas.plain import sound_canvas
from catch11.data.sounds import Clip, fit_clip
from catch11.errors import InvalidArgument, ModelRefused
from catch11.keys.key import build_key
from catch11.modalities.audio.load import load_audio
from catch11.modalities.audio.model import AudioModel, sound_model, spectrogram_features
from catch11.modalities.audio.nets import Heard, Keywords, SpectrogramNet
from catch11.modalities.known import modality_of
from catch11.modalities.load import load_model
from tests.calls import run

RATE = 4000


def clip(seconds: float = 0.5, *, rate: int = RATE, seed: int = 0) -> Clip:
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.05 * draw.standard_normal(len(time))
    return Clip(samples=wave.astype(np.float32), rate=rate)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wav2Vec2ForSequenceClassification with random weights, as a folder of transformers' own."""
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(12, 12), conv_kernel=(10, 3), conv_stride=(5, 2),
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, classifier_proj_size=8,
        vocab_size=8, id2label={0: "yes", 1: "no", 2: "go"},
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("wav2vec2")
    Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True).save_pretrained(folder)
    (folder / "catch11.json").write_text('{"seconds": 0.5}')
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WhisperForAudioClassification with random weights; two seconds of 16 mel channels."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForAudioClassification,
    )

    torch.manual_seed(0)
    config = WhisperConfig(
        num_mel_bins=16, max_source_positions=100, d_model=16, encoder_layers=1,
        encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1, decoder_attention_heads=2,
        decoder_ffn_dim=16, vocab_size=20, id2label={0: "a", 1: "b", 2: "c"}, classifier_proj_size=8,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("whisper")
    WhisperForAudioClassification(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=2).save_pretrained(folder)
    return folder


def test_wav2vec2_is_heard_as_its_own_extractor_hears_it(wav2vec2: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    model = load_audio(f"hf:{wav2vec2}")
    assert model.labels == ("yes", "no", "go")
    assert model.canvas.shape == (1, 1, 2000)
    assert "variance 1" in model.notes[0]
    sound = clip()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(wav2vec2)
    own = Wav2Vec2ForSequenceClassification.from_pretrained(wav2vec2).eval()
    given = extractor(sound.samples, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.no_grad():
        expected = own(given).logits
    torch.testing.assert_close(
        model.logits(model.preprocess([sound])), expected, rtol=1e-3, atol=1e-4
    )


def test_wav2vec2_front_is_its_first_convolution_and_scale_does_not_matter(wav2vec2: Path) -> None:
    model = load_audio(f"hf:{wav2vec2}")
    front = model.front()
    assert front.geometry == "conv"
    assert (front.kernel, front.stride, front.outputs) == ((1, 10), (1, 5), 12)
    assert model.module is not None
    first = model.module.get_parameter("net.wav2vec2.feature_extractor.conv_layers.0.conv.weight")
    ratio = front.weight[:, :, 0] / first.double()
    torch.testing.assert_close(ratio, ratio[:1, :1, :1].expand_as(ratio), rtol=1e-4, atol=0.0)
    quiet, loud = clip(), Clip(samples=0.1 * clip().samples, rate=RATE)
    one, other = (model.logits(model.preprocess([c])) for c in (quiet, loud))
    torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_a_group_norm_behind_the_layer_undoes_a_quieter_input(wav2vec2: Path) -> None:
    """Noise that the layer does not see makes the rest quieter, once each utterance is normalised."""
    model = load_audio(f"hf:{wav2vec2}")
    assert model.module is not None
    values = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loud, quiet = (
            model.module.get_submodule("net")(values * scale).logits for scale in (1.0, 0.3)
        )
    torch.testing.assert_close(quiet, loud, rtol=1e-2, atol=2e-3)


def test_wav2vec2_gives_a_key_and_a_recoded_wave(wav2vec2: Path) -> None:
    from catch11.recoding.deep.recoder import DeepRecoder
    from catch11.recoding.spectral.recoder import SpectralRecoder

    model = load_audio(f"hf:{wav2vec2}")
    key = build_key(model, energy=0.05)
    windows = torch.from_numpy(fit_clip(clip(), model.canvas)).permute(2, 0, 1)[None]
    out = SpectralRecoder(key, psnr=30.0, noise="gaussian", format="wav16")(windows)
    assert out.psnr[0] == pytest.approx(30.0, abs=0.2)
    deep = DeepRecoder(model, key, format="wav16", margin=0.0, steps=40)(windows)
    if deep.reasons[0] is None:
        clean = model.logits(model.canvas.normalise(windows)).argmax(1)
        assert torch.equal(model.logits(model.canvas.normalise(deep.images)).argmax(1), clean)


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_inspect_measures_a_model_of_sounds(kind: str, request: pytest.FixtureRequest) -> None:
    status, text = run("inspect", request.getfixturevalue(kind))
    assert (status, "samples" in text, "verdict" in text) == (0, True, True), text


def test_whisper_releases_features_through_its_own_extractor(whisper: Path) -> None:
    from transformers import WhisperFeatureExtractor, WhisperForAudioClassification

    model = load_audio(f"hf:{whisper}")
    assert model.features
    assert model.canvas.shape == (16, 1, 200)
    sound = clip(1.5, rate=16000)
    extractor = WhisperFeatureExtractor.from_pretrained(whisper)
    own = WhisperForAudioClassification.from_pretrained(whisper).eval()
    given = extractor(sound.samples, sampling_rate=16000, return_tensors="pt").input_features
    with torch.no_grad():
        expected = own(given).logits
    torch.testing.assert_close(
        model.logits(model.preprocess([sound])), expected, rtol=1e-3, atol=1e-4
    )
    front = model.front()
    assert (front.kernel, front.outputs, front.shape) == ((1, 3), 16, (16, 1, 200))
    assert build_key(model, energy=0.05).subspace.dimension > 0


def test_ast_reads_a_spectrogram_as_a_picture(tmp_path: Path) -> None:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_length=64, num_mel_bins=32, id2label={0: "a", 1: "b", 2: "c"},
    )  # fmt: skip
    ASTForAudioClassification(config).save_pretrained(tmp_path)
    ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(tmp_path)
    model = load_audio(f"hf:{tmp_path}")
    assert model.canvas.shape == (1, 32, 64)
    front = model.front()
    assert (front.kernel, front.stride) == ((16, 16), (10, 10))


def test_a_folder_without_a_window_says_what_to_write(wav2vec2: Path, tmp_path: Path) -> None:
    for file in wav2vec2.iterdir():
        if file.name != "catch11.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelRefused, match=r'write \{"seconds": 2\}'):
        load_audio(f"hf:{tmp_path}")
    (tmp_path / "catch11.json").write_text('{"seconds": -1}')
    with pytest.raises(ModelRefused, match="no usable seconds"):
        load_audio(f"hf:{tmp_path}")


@pytest.mark.parametrize("framed", [False, True])
def test_a_file_of_tensors_is_recognised(tmp_path: Path, framed: bool) -> None:
    torch.manual_seed(0)
    net = Keywords(classes=4, first=6, kernel=20, wide=8, framed=framed)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    facts = {"sample_rate": RATE, "samples": 2000, "classes": ["a", "b", "c", "d"]}
    (tmp_path / "net.json").write_text(json.dumps(facts))
    spec = f"torch:{tmp_path / 'net.safetensors'}"
    assert modality_of(spec).name == "audio"
    model = load_audio(spec)
    assert model.labels == ("a", "b", "c", "d")
    assert model.front().geometry == ("patch" if framed else "conv")
    assert model.front().stride == (1, 20 if framed else 4)
    (tmp_path / "net.json").write_text(json.dumps({**facts, "samples": 0}))
    with pytest.raises(ModelRefused, match="samples is 0"):
        load_audio(spec)


def test_a_spectrogram_file_makes_its_own_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(SpectrogramNet(classes=3, wide=4).state_dict(), tmp_path / "net.safetensors")
    facts = {"sample_rate": RATE, "samples": 2000, "spectrogram": {"size": 128, "hop": 64}}
    (tmp_path / "net.json").write_text(json.dumps(facts))
    model = load_audio(f"torch:{tmp_path / 'net.safetensors'}")
    assert model.features
    assert model.canvas.shape == (1, 30, 65)
    assert model.preprocess([clip()]).shape == (1, 1, 30, 65)
    values = model.canvas.denormalise(model.preprocess([clip()]))
    assert 0.0 <= float(values.min()) <= float(values.max()) <= 1.0


def with_rate() -> tuple[nn.Module, Canvas]:
    torch.manual_seed(0)
    return Heard(Keywords(classes=3, first=4, kernel=20, wide=4)), sound_canvas(
        (1, 1, 2000), rate=RATE
    )


with_rate.modality = "audio"  # type: ignore[attr-defined]


def test_a_function_may_return_a_module_with_a_canvas_of_a_rate() -> None:
    spec = f"py:{__file__}:with_rate"
    assert modality_of(spec).name == "audio"
    model = load_audio(spec)
    assert isinstance(model, AudioModel)
    assert isinstance(load_model(spec), AudioModel)


def test_features_of_another_shape_are_refused() -> None:
    canvas, listen = spectrogram_features(rate=RATE, samples=2000, size=128, hop=64)
    model = sound_model(
        "x", nn.Sequential(SpectrogramNet(classes=3)), canvas, name="x", listen=listen
    )
    with pytest.raises(InvalidArgument, match=r"input of x: expected features of \(1, 30, 65\)"):
        model.preprocess([torch.zeros(1, 29, 65)])
    assert model.preprocess([]).shape == (0, 1, 30, 65)


def test_other_kinds_of_files_hold_no_sounds() -> None:
    with pytest.raises(ModelRefused, match="holds no model of sounds"):
        load_audio("onnx:net.onnx")
