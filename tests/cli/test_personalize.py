"""catch11 personalize from end to end, on digits and on a transformers folder, as a person runs it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import ViTConfig, ViTForImageClassification

from catch11.copies.personalize import CopySecret, make_copy
from catch11.copies.secretfile import load_secret
from catch11.errors import InvalidArgument
from catch11.keys.file import load_key
from catch11.keys.key import build_joint_key, build_key
from catch11.models.files.sidecar import MARK
from catch11.models.load import load_picture_model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.studies.nets import digits
from tests.cli.test_commands import PATCH, run

COUNT = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owner")
    digits.write_pictures(digits.load_digits(), folder / "source", count=COUNT)
    done = run("personalize", PATCH, "-o", folder / "copy", "--secret", folder / "a.secret")
    assert done.status == 0, done.err
    assert "48 values of each tile of 4 x 4 pixels permuted, half of them inverted" in done.out
    assert run("key", copied(folder), "-o", folder / "copy.key").status == 0
    return folder


def copied(folder: Path) -> str:
    return f"{PATCH}@{folder / 'copy' / 'patch.safetensors'}"


def test_files(place: Path) -> None:
    secret = load_secret(place / "a.secret")
    assert isinstance(secret, CopySecret)
    assert (place / "a.secret").stat().st_mode & 0o777 == 0o600
    mark = json.loads((place / "copy" / MARK).read_text())
    assert mark["copy"] == secret.copied
    assert secret.secret.hex() not in (place / "copy" / MARK).read_text()


def test_keys_in_python_know_copies_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy from its file, in memory and beside another; its original is none, wherever one stands."""
    copy, original = load_picture_model(copied(place)), load_picture_model(PATCH)
    assert build_key(copy).private
    assert load_key(place / "copy.key").private
    assert build_key(make_copy(original, secret=bytes(32)).model).private
    assert build_joint_key([original, copy]).private
    assert not build_key(copy, private=False).private
    monkeypatch.chdir(place / "copy")
    assert not build_key(load_picture_model(PATCH)).private


def test_a_release_in_python_wants_the_secret_too(place: Path, tmp_path: Path) -> None:
    """Without it the copy would be given pictures it cannot read, and nothing would say so."""
    key, secret = load_key(place / "copy.key"), load_secret(place / "a.secret")
    with pytest.raises(InvalidArgument, match="the secret of the personalised copy"):
        release(place / "source", tmp_path / "out", SpectralRecoder(key, psnr=14.0))
    assert not (tmp_path / "out").exists()
    done = release(place / "source", tmp_path / "out", SpectralRecoder(key, psnr=14.0, copy=secret))
    assert done.written == COUNT


@pytest.mark.parametrize("method", ["scramble", "spectral --psnr 14"])
def test_the_copy_reads_the_release_and_the_original_does_not(place: Path, tmp_path: Path, method: str) -> None:  # fmt: skip
    out, secret, key = tmp_path / "out", place / "a.secret", place / "copy.key"
    done = run("recode", place / "source", out, "--method", *method.split(), "--secret", secret, "--key", key)  # fmt: skip
    assert done.status == 0, done.err
    facts = run(
        "verify", out, "--model", copied(place), "--secret", secret, "--source", place / "source",
        "--key", key, "--rival", PATCH, "--json",
    ).json  # fmt: skip
    assert facts["problems"] == []
    value = {(r["role"], r["condition"]): r["value"] for r in facts["records"] if r["metric"] == "accuracy"}  # fmt: skip
    assert value["authorized", "clean"] > 0.8
    assert value["authorized", "nte"] >= value["authorized", "clean"] - 0.1
    assert value["ta", "clean"] == value["authorized", "clean"]
    assert value["ta", "nte"] < 0.5


def test_checking(place: Path, tmp_path: Path) -> None:
    secret = place / "a.secret"
    assert (
        "bit for bit" in run("personalize", PATCH, "--check", copied(place), "--secret", secret).out
    )
    done = run("personalize", PATCH, "--check", PATCH, "--secret", secret)
    assert done.status == 1
    assert "not this secret's copy" in done.out
    tensors = load_file(place / "copy" / "patch.safetensors")
    from safetensors.torch import save_file

    tuned = {name: value + 1e-3 * torch.randn_like(value) for name, value in tensors.items()}
    save_file(tuned, tmp_path / "tuned.safetensors")
    done = run("personalize", PATCH, "--check", f"{PATCH}@{tmp_path / 'tuned.safetensors'}", "--secret", secret)  # fmt: skip
    assert done.status == 0
    assert "a descendant of this secret's copy" in done.out


def test_the_same_secret_makes_the_same_copy(place: Path, tmp_path: Path) -> None:
    before = (place / "a.secret").read_bytes()
    done = run("personalize", PATCH, "-o", tmp_path / "again", "--secret", place / "a.secret")
    assert done.status == 0, done.err
    assert (place / "a.secret").read_bytes() == before
    one, two = (load_picture_model(f"{PATCH}@{f / 'patch.safetensors'}") for f in (place / "copy", tmp_path / "again"))  # fmt: skip
    assert one.fingerprint == two.fingerprint


def test_what_is_refused(place: Path, tmp_path: Path) -> None:
    secret, key, source = place / "a.secret", place / "copy.key", place / "source"
    plain = tmp_path / "plain.key"
    assert run("key", PATCH, "-o", plain).status == 0
    other = "py:catch11.studies.nets.digits:patch_twin"
    rows = [
        (("personalize", PATCH, "--secret", secret), "--output DIR or --check COPY"),
        (("personalize", PATCH, "-o", place / "copy", "--secret", secret), "a new or empty folder"),
        (("personalize", other, "-o", tmp_path / "x", "--secret", secret), "belongs to another copy"),
        (("personalize", "py:catch11.studies.nets.digits:convolution", "-o", tmp_path / "x", "--secret", tmp_path / "s"), "48 keys"),
        (("personalize", PATCH, "-o", tmp_path / "x", "--secret", key), "no secret of a copy"),
        (("recode", source, tmp_path / "x", "--method", "scramble", "--key", plain), "--secret FILE beside it"),
        (("recode", source, tmp_path / "x", "--key", key), "the personalised copy that the key is of"),
        (("recode", source, tmp_path / "x", "--method", "deep", "--key", key, "--model", copied(place)), "a copy reads scrambled pictures only"),
        (("verify", tmp_path, "--model", copied(place), "--source", source), "a copy reads scrambled pictures only"),
    ]  # fmt: skip
    for words, why in rows:
        done = run(*words)
        assert done.status == 2, words
        assert why in done.err, done.err
    assert not (tmp_path / "s").exists()


def test_a_sealed_secret(place: Path, tmp_path: Path) -> None:
    env = {"CATCH11_PASSPHRASE": "of a client"}
    secret = tmp_path / "sealed"
    done = run(
        "personalize", PATCH, "-o", tmp_path / "copy", "--secret", secret, "--encrypt", env=env
    )
    assert done.status == 0, done.err
    assert secret.read_bytes().startswith(b"catch11 sealed key 1\n")
    assert (
        run("personalize", PATCH, "--check", copied(tmp_path), "--secret", secret, env=env).status
        == 0
    )
    wrong = run("personalize", PATCH, "--check", copied(tmp_path), "--secret", secret, env={"CATCH11_PASSPHRASE": "x"})  # fmt: skip
    assert "the passphrase is wrong" in wrong.err


def test_a_transformers_folder_stays_one(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16,
        patch_size=4,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path / "public")
    processor = {
        "image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}, "do_resize": True,
        "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3,
    }  # fmt: skip
    (tmp_path / "public" / "preprocessor_config.json").write_text(json.dumps(processor))
    done = run("personalize", f"hf:{tmp_path / 'public'}", "-o", tmp_path / "copy", "--secret", tmp_path / "s")  # fmt: skip
    assert done.status == 0, done.err
    public, private = (load_picture_model(f"hf:{tmp_path / name}") for name in ("public", "copy"))
    secret = load_secret(tmp_path / "s")
    assert isinstance(secret, CopySecret)
    x = torch.rand(3, 3, 16, 16)
    meant = public.logits(public.canvas.normalise(x))
    found = private.logits(private.canvas.normalise(secret.as_read(x)))
    torch.testing.assert_close(found, meant, atol=1e-5, rtol=1e-4)
    assert ViTForImageClassification.from_pretrained(tmp_path / "copy").num_labels == 2
