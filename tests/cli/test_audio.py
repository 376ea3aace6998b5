"""The commands on sounds, end to end: a net from a file, hostile wave files, silence, pairings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from catch11.data.sounds import encode_clip, open_clip
from catch11.modalities.audio.nets import Keywords, SpectrogramNet
from catch11.releases.ledger import read_ledger
from tests.calls import run, said

RATE, SAMPLES = 4000, 1000
FACTS = {"sample_rate": RATE, "samples": SAMPLES, "classes": ["high", "low", "noise"]}


def save_net(path: Path, *, seed: int, framed: bool = True) -> str:
    torch.manual_seed(seed)
    save_file(Keywords(classes=3, first=6, kernel=20, wide=8, framed=framed).state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps(FACTS))
    return f"torch:{path}"


def tone(pitch: float, *, rate: int = RATE, seconds: float = 0.25) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)


def fill(folder: Path) -> None:
    """Five sounds that are read, and eight files that are not."""
    folder.mkdir()
    (folder / "low").mkdir()
    (folder / "low" / "plain.wav").write_bytes(encode_clip(tone(200), RATE))
    (folder / "low" / "short.wav").write_bytes(encode_clip(tone(150, seconds=0.1), RATE))
    (folder / "float.wav").write_bytes(encode_clip(tone(900, seconds=1.0), RATE, bits=32))
    soundfile.write(folder / "rate.flac", tone(440, rate=11025), 11025)
    (folder / "silent.wav").write_bytes(encode_clip(np.zeros(SAMPLES), RATE))
    good = encode_clip(tone(300), RATE)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "header.wav").write_bytes(good[:44])
    (folder / "cut.wav").write_bytes(good[:-77])
    (folder / "nan.wav").write_bytes(encode_clip(np.full(9, np.nan), RATE, bits=32))
    (folder / "text.wav").write_text("no sound")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    (folder / "loop.wav").symlink_to("loop.wav")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sounds")
    save_net(root / "net.safetensors", seed=0)
    save_net(root / "twin.safetensors", seed=1)
    fill(root / "src")
    status, text = run("key", root / "net.safetensors", "-o", root / "a.key")
    assert status == 0, text
    assert "700 of 1,000 directions unseen" in " ".join(text.split())
    return root


def test_hostile_files_are_skipped_and_silence_is_not(world: Path) -> None:
    status, text = run(
        "recode", world / "src", world / "out", "--key", world / "a.key", "--psnr", "12"
    )
    assert status == 0, text
    assert "5 written, 8 skipped as unreadable" in " ".join(text.split())
    rows = {row.source: row for row in read_ledger(Path(f"{world / 'out'}.ledger.jsonl"))}
    assert rows["cut.wav"].reason.startswith("it is cut short")
    assert rows["empty.wav"].reason == "it is empty"
    assert rows["nan.wav"].reason == "it holds samples that are no numbers"
    assert (
        rows["table.csv"].reason
        == rows["text.wav"].reason
        == "it is not a RIFF wave file, FLAC or Ogg"
    )
    assert rows["silent.wav"].outcome == "released"
    for name in ("low/plain.wav", "rate.flac", "silent.wav"):
        clip = open_clip((world / "out" / name).with_suffix(".wav"))
        assert (clip.rate, len(clip.samples)) == (RATE, SAMPLES)
        assert rows[name].psnr == pytest.approx(12.0, abs=0.5)


def test_verify_reads_the_files_as_any_pipeline_does(world: Path) -> None:
    run("recode", world / "src", world / "seen", "--key", world / "a.key")
    status, text = run(
        "verify", world / "seen", "--model", world / "net.safetensors", "--rival",
        world / "twin.safetensors", "--source", world / "src", "--key", world / "a.key", "--json", "-",
    )  # fmt: skip
    assert status == 0, text
    found = json.loads(text[text.index("{") :])
    shares = {(r["model"], r["condition"], r["metric"]): r["value"] for r in found["records"]}
    assert shares["net", "nte", "agreement"] == 1.0
    assert ("twin", "gaussian", "agreement") in shares
    assert not found["problems"]


@pytest.mark.parametrize("format", ["wav32", "tensor"])
def test_other_formats(world: Path, format: str) -> None:
    dst = world / format
    status, text = run("recode", world / "src", dst, "--key", world / "a.key", "--format", format)
    assert status == 0, text
    status, text = run(
        "verify", dst, "--model", world / "net.safetensors", "--source", world / "src"
    )
    assert status == 0, text


def test_deep_with_a_check(world: Path) -> None:
    """What is written is read as the source is: four of the five sounds at least have room for it."""
    dst, model = world / "deep", world / "net.safetensors"
    status, text = run(
        "recode", world / "src", dst, "--key", world / "a.key", "--method", "deep", "--model", model,
        "--margin", "0", "--check", "--json", "-",
    )  # fmt: skip
    assert status == 0, text
    done = json.loads(text[text.index("{") :])
    assert done["written"] == len(list(dst.rglob("*.wav"))) >= 4
    rows = read_ledger(Path(f"{dst}.ledger.jsonl"))
    assert sum(row.outcome == "released" for row in rows) == done["written"]
    status, text = run("verify", dst, "--model", model, "--source", world / "src", "--json", "-")
    assert status == 0, text
    found = json.loads(text[text.index("{") :])["records"]
    shares = {r["condition"]: r["value"] for r in found if r["metric"] == "agreement"}
    assert shares["nte"] == 1.0


def test_a_feature_model_releases_tensors(world: Path) -> None:
    torch.manual_seed(0)
    save_file(SpectrogramNet(classes=3, wide=4).state_dict(), world / "spec.safetensors")
    facts = {**FACTS, "spectrogram": {"size": 64, "hop": 32}}
    (world / "spec.json").write_text(json.dumps(facts))
    spec, key = world / "spec.safetensors", world / "spec.key"
    assert run("key", spec, "-o", key, "--energy", "0.05")[0] == 0
    sentence = said("recode", world / "src", world / "features", "--key", key)
    assert "--model: expected the model, which makes its features of sounds" in sentence
    words = ("recode", world / "src", world / "features", "--key", key, "--model", spec)
    assert "expected tensor for this model of sounds" in said(*words, "--format", "wav16")
    status, text = run(*words, "--check")
    assert status == 0, text
    status, text = run("verify", world / "features", "--model", spec, "--source", world / "src")
    assert status == 0, text
    sentence = said(
        "verify", world / "features", "--model", spec, "--rival", world / "net.safetensors"
    )
    assert "input of net: expected sounds, found (1, 30, 33)" in sentence


def test_wrong_pairings_are_one_sentence(world: Path, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"")
    key, dst = world / "a.key", tmp_path / "out"
    sentence = said("recode", tmp_path / "pictures", dst, "--key", key)
    assert "found .png files" in sentence
    sentence = said("recode", world / "src", dst, "--key", key, "--format", "png8")
    assert "expected wav16 or wav32 or tensor" in sentence
    sentence = said("recode", world / "src", dst, "--key", key, "--method", "deep")
    assert "--method deep: expected --model MODEL" in sentence
    sentence = said("recode", world / "src", dst, "--key", key, "--column", "a")
    assert "--column: expected none for a sound" in sentence
    twin = world / "twin.safetensors"
    sentence = said("recode", world / "src", dst, "--key", key, "--method", "deep", "--model", twin)
    assert "the key was built from another model" in sentence
    sentence = said("recode", world / "src", dst, "--key", key, "--radius", "wide", "--method", "deep",
                    "--model", world / "net.safetensors")  # fmt: skip
    assert "radius: expected auto, least or a number" in sentence
    assert not dst.exists()


def test_attack_filters_what_was_released(world: Path) -> None:
    run("recode", world / "src", world / "hit", "--key", world / "a.key", "--psnr", "12")
    words = (
        "attack", world / "hit", "--rival", world / "twin.safetensors", "--source", world / "src",
        "--model", world / "net.safetensors",
    )  # fmt: skip
    status, text = run(*words, "--public", world / "src", "--key", world / "a.key", "--json", "-")
    assert status == 0, text
    found = json.loads(text[text.index("{") :])["records"]
    assert {r["model"] for r in found} == {"net", "twin"}
    knows = {r["attack"]: tuple(r["knowledge"]) for r in found}
    assert knows[None] == knows["low-pass 1/2"] == ()
    assert knows["Wiener"] == ("public",)
    assert knows["front known"] == ("public", "front")
    # A front of frames sees nothing of the noise, so what is kept of it is all that the model read.
    own = [
        r["value"] for r in found if r["model"] == "net" and r["attack"] in (None, "front known")
    ]
    assert own[0] == 1.0
    status, text = run(*words, "--attack", "codec 6 dB")
    assert status == 0, text
    assert "codec 6 dB" in text
    assert "low-pass" not in text


def test_attack_says_what_is_missing(world: Path) -> None:
    run("recode", world / "src", world / "miss", "--key", world / "a.key")
    words: tuple[object, ...] = ("attack", world / "miss", "--source", world / "src")
    assert "--rival: expected at least one model, to attack sounds" in said(*words)
    words = ("attack", world / "miss", "--rival", world / "twin.safetensors")
    assert "--source: expected the originals, to attack sounds" in said(*words)
    words = (*words, "--source", world / "src")
    lacks = "attack Wiener: expected an attacker who holds public, released, found without public"
    assert lacks in said(*words, "--attack", "Wiener")
    assert "attack: expected one of none" in (known := said(*words, "--attack", "blur"))
    assert "low-pass 1/2" in known
    assert "nearest tokens" not in known
    assert "--learn: expected no such option for sounds" in said(*words, "--learn", world / "miss")
    (world / "none").mkdir(exist_ok=True)
    assert "--public: expected a folder of sounds" in said(*words, "--public", world / "none")


def test_verify_asks_for_the_passphrase_of_a_sealed_key(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATCH11_PASSPHRASE", "a b c d e f")
    status, text = run("key", world / "net.safetensors", "-o", world / "s.key", "--encrypt")
    assert status == 0, text
    dst = world / "sealed"
    assert run("recode", world / "src", dst, "--key", world / "s.key")[0] == 0
    words = ("verify", dst, "--model", world / "net.safetensors", "--source", world / "src")
    status, text = run(*words, "--key", world / "s.key")
    assert status == 0, text
    monkeypatch.setenv("CATCH11_PASSPHRASE", "another one")
    assert "passphrase" in said(*words, "--key", world / "s.key")
