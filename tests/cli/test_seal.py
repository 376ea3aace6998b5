"""catch11 seal from end to end on digits: the owner seals and recodes, the licensee verifies."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from catch11.copies.seal import SealSecret
from catch11.copies.secretfile import load_secret
from catch11.errors import ModelRefused
from catch11.models.files.sidecar import seal_named
from catch11.models.load import load_picture_model
from catch11.studies.nets import digits
from tests.cli.test_commands import DENSE, PATCH, run

COUNT = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("owner")
    digits.write_pictures(digits.load_digits(), folder / "source", count=COUNT)
    done = run("seal", PATCH, "-o", folder / "copy.onnx", "--secret", folder / "a.secret")
    assert done.status == 0, done.err
    assert run("key", PATCH, "-o", folder / "my.key").status == 0
    done = _recode(folder, folder / "out")
    assert done.status == 0, done.err
    assert f"{COUNT} written" in done.out
    assert "the sealed copy reads these files, and whoever has it" in " ".join(
        done.out.replace("\\\n", " ").split()
    )
    assert f"catch11 verify {folder / 'out'} --model COPY" in " ".join(
        done.out.replace("\\\n", " ").split()
    )
    assert (
        run("personalize", PATCH, "-o", folder / "p", "--secret", folder / "p.secret").status == 0
    )
    return folder


def _recode(place: Path, out: Path, *more: object, source: str = "source"):
    return run(
        "recode", place / source, out, "--key", place / "my.key", "--secret", place / "a.secret",
        "--model", PATCH, "--check", "--psnr", 8, *more,
    )  # fmt: skip


def _copy(place: Path) -> str:
    return f"onnx:{place / 'copy.onnx'}"


def _secret(place: Path) -> SealSecret:
    secret = load_secret(place / "a.secret")
    assert isinstance(secret, SealSecret)
    return secret


def test_files(place: Path) -> None:
    secret = _secret(place)
    assert (place / "a.secret").stat().st_mode & 0o777 == 0o600
    assert (place / "copy.onnx").stat().st_mode & 0o777 == 0o600
    facts = json.loads((place / "copy.json").read_text())
    header = json.loads((place / "out" / "manifest.jsonl").read_text().splitlines()[0])
    assert facts["sealed"] == header["sealed"] == secret.fingerprint
    public = (place / "copy.json").read_text() + (place / "out" / "manifest.jsonl").read_text()
    for hidden in (secret.secret, secret.opener.key):
        assert hidden.hex() not in public + (place / "out.ledger.jsonl").read_text()


def test_the_copy_holds_the_models_weights(place: Path) -> None:
    import onnx

    graph = onnx.load(place / "copy.onnx").graph
    held = {onnx.numpy_helper.to_array(one).tobytes() for one in graph.initializer}
    module = load_picture_model(PATCH).module
    assert module is not None
    for name, value in module.state_dict().items():
        turned = value.transpose(0, -1).contiguous()  # as a product of matrices takes it
        assert {value.numpy().tobytes(), turned.numpy().tobytes()} & held, name


def test_the_licensee_verifies_without_the_secret(place: Path) -> None:
    labels = place / "labels.csv"
    names = [str(p.relative_to(place / "source")) for p in (place / "source").glob("**/*.png")]
    model = load_picture_model(PATCH)
    pictures = [Image.open(place / "source" / name) for name in names]
    said = model.answers(model.preprocess(pictures)).tolist()
    rows = [f"{name},{label}" for name, label in zip(names, said, strict=True)]
    labels.write_text("\n".join(["file,label", *rows]) + "\n")
    done = run("verify", place / "out", "--model", _copy(place), "--labels", labels, "--json")
    assert done.status == 0, done.err
    (record,) = (r for r in done.json["records"] if r["metric"] == "accuracy")
    assert (record["value"], record["n"]) == (1.0, COUNT)
    assert done.json["problems"] == []


def test_the_owner_verifies_with_it(place: Path) -> None:
    done = run(
        "verify", place / "out", "--model", _copy(place), "--source", place / "source", "--secret",
        place / "a.secret", "--key", place / "my.key", "--rival", PATCH, "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    found = {(r["model"], r["condition"]): r["value"] for r in done.json["records"] if r["metric"] == "agreement"}  # fmt: skip
    assert found["copy", "nte"] == 1.0
    assert found["copy", "control"] >= 0.95  # 96 of 192 values lose their lowest bit
    assert found["patch", "nte"] < 0.5
    assert done.json["problems"] == []


@pytest.mark.parametrize("keep", ["answer", "scores", "features"])
def test_what_was_kept_is_measured_through_the_copy(
    keep: str, crowded: Path, tmp_path: Path
) -> None:
    """Scores take no gradient; features cannot be read in a graph, and that is said: whoever has the
    secret reads them with the model that was sealed, which is told the same of the rest."""
    out, place = tmp_path / "out", crowded
    done = _recode(
        place, out, "--method", "deep", "--radius", 64, "--keep", keep,
        *(("--steps", 400, "--tolerance", 0.3) if keep != "answer" else ()), source="flat",
    )  # fmt: skip
    assert done.status == 0, done.err
    done = run(
        "verify", out, "--model", _copy(place), "--source", place / "flat", "--secret",
        place / "a.secret", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    found = {r["metric"]: r for r in done.json["records"] if r["condition"] == "nte"}
    kept = found["KL, nats"]
    assert kept["n"] == found["agreement"]["n"] > 0
    assert found["agreement"]["value"] == 1.0
    assert kept["value"] < 0.3 if keep == "scores" else kept["value"] > 0
    said = " ".join(done.json["warnings"])
    assert ("whether features within 0.3 is kept was not measured" in said) == (keep == "features")
    words = ("verify", out, "--model", PATCH, "--source", place / "flat", "--secret", place / "a.secret")  # fmt: skip
    done = run(*words, "--json")
    assert done.status == 0, done.err
    again = {r["metric"]: r for r in done.json["records"] if r["condition"] == "nte"}
    assert again["agreement"]["value"] == 1.0
    assert again["KL, nats"]["value"] == pytest.approx(kept["value"], rel=1e-3)
    assert "was not measured" not in " ".join(done.json["warnings"])
    assert (again["distance of features"]["value"] < 0.3) == (keep == "features")
    done = run(*words, "--keep", "features", "--tolerance", 0.3, "--json")
    assert done.status == (keep != "features")
    assert len(done.json["problems"]) == (0 if keep == "features" else kept["n"])
    assert all(why.endswith("asked was features within 0.3") for _, why in done.json["problems"])
    assert {r["settings"]["asked"] for r in done.json["records"]} == {"features within 0.3"}


def test_the_first_layers_response_is_measured_where_all_is_asked_for(
    place: Path, crowded: Path, tmp_path: Path
) -> None:
    words = ("--model", PATCH, "--keep", "all", "--json", "--source")
    for release, more in ((crowded / "plain", ()), (place / "out", ("--secret", place / "a.secret"))):  # fmt: skip
        done = run("verify", release, *words, place / "source", *more)
        assert done.status == 0, done.err
        (shift,) = (r for r in done.json["records"] if r["metric"] == "front shift")
        assert 0 < shift["value"] < 0.1
    done = run("recode", crowded / "flat", tmp_path / "deep", "--key", place / "my.key", "--model", PATCH, "--method", "deep", "--radius", 64)  # fmt: skip
    assert done.status == 0, done.err
    done = run("verify", tmp_path / "deep", *words, crowded / "flat")
    assert done.status == 1
    assert done.json["problems"][0][1].endswith("(all within 0.1); asked was all within 0.1")


def test_third_parties_attack_what_lies_there_and_the_licensee_what_its_copy_opens(
    place: Path, tmp_path: Path
) -> None:
    words = (
        "attack", place / "out", "--model", PATCH, "--rival", DENSE, "--source", place / "source",
        "--secret", place / "a.secret", "--limit", COUNT,
    )  # fmt: skip
    done = run(*words, "--key", place / "my.key", "--public", place / "source", "--attack",
               "project-inpaint", "--records", tmp_path / "r.jsonl", "--json")  # fmt: skip
    assert done.status == 0, done.err
    rows = [r for r in done.json["records"] if r["attack"] and r["model"] == "dense"]
    found = {r["settings"]["read"]: r for r in rows}
    assert set(found) == {"sealed", "opened"}
    assert found["sealed"]["psnr"] + 5 < found["opened"]["psnr"]
    assert found["sealed"]["value"] + 0.3 < found["opened"]["value"]
    assert [("weights" in found[read]["knowledge"]) for read in ("sealed", "opened")] == [False, True]  # fmt: skip
    plain = {(r["model"], r["condition"]): r["value"] for r in done.json["records"] if r["attack"] is None and r["metric"] == "agreement"}  # fmt: skip
    assert plain["patch", "nte"] == 1.0
    assert plain["dense", "nte"] < 0.5
    again = run(*words, "--key", place / "my.key", "--public", place / "source", "--attack",
                "project-inpaint", "--records", tmp_path / "r.jsonl", "--json")  # fmt: skip
    assert again.json["records"] == done.json["records"]
    done = run(*words[:-1], 10, "--training", 10, "--question", "bright", "--quick", "--json")
    assert done.status == 0, done.err
    licensed = [r for r in done.json["records"] if "weights" in r["knowledge"]]
    assert {(r["attack"], r["settings"]["read"]) for r in licensed} == {("licensee-head", "opened")}


def test_a_bare_file_says_whose_it_is(place: Path, crowded: Path) -> None:
    file = sorted((place / "out").glob("**/*.png"))[0]
    words = ("seal", file, "--check", "--secret", crowded / "b.secret")
    done = run(*words, "--secret", place / "a.secret", "--json")
    assert done.status == 0, done.err
    assert (done.json["secret"], done.json["seal"]) == (str(place / "a.secret"), _secret(place).fingerprint)  # fmt: skip
    done = run(*words)
    assert done.status == 1
    assert "sealed under none of these secrets, or changed after it was sealed" in done.out
    plain = next((crowded / "plain").glob("**/*.png"))
    assert run("seal", plain, "--check", "--secret", place / "a.secret").status == 1


def test_files_that_nobody_signed_are_counted(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "out", tmp_path / "out")
    shutil.copy(next((place / "source").glob("**/*.png")), tmp_path / "out" / "mine.png")
    done = run("verify", tmp_path / "out", "--model", _copy(place), "--json")
    assert done.status == 0, done.err
    assert "1 file is in the folder and not in the signed list, and not judged: mine.png" in done.json["warnings"]  # fmt: skip


def test_the_same_run_writes_the_same_bytes(place: Path, tmp_path: Path) -> None:
    assert _recode(place, tmp_path / "again", "--workers", 2).status == 0
    one, other = (sorted(p.read_bytes() for p in folder.glob("**/*.png")) for folder in (place / "out", tmp_path / "again"))  # fmt: skip
    assert one == other
    assert len(set(one)) == COUNT


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _resized(path: Path) -> None:
    with Image.open(path) as picture:
        picture.resize((16, 16)).save(path)


def _recompressed(path: Path) -> None:
    with Image.open(path) as picture:
        picture.save(path.with_suffix(".jpg"), quality=95)
    with Image.open(path.with_suffix(".jpg")) as picture:
        picture.save(path)
    path.with_suffix(".jpg").unlink()


def _touched(path: Path) -> None:
    """One bit of one value, as likely of the nonce as not."""
    with Image.open(path) as picture:
        pixels = np.array(picture)
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("harm", [_cut, _resized, _recompressed, _touched])
def test_a_harmed_file_is_named(harm: Callable[[Path], None], place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "out", tmp_path / "out")
    file = sorted((tmp_path / "out").glob("**/*.png"))[3]
    harm(file)
    done = run("verify", tmp_path / "out", "--model", _copy(place), "--json")
    assert done.status == 1
    ((name, reason),) = done.json["problems"]
    assert name == file.relative_to(tmp_path / "out").as_posix()
    assert "its bytes are not the ones listed" in reason


def test_a_file_that_was_sealed_otherwise_is_named(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the list says what the file is: its nonce is that of no window."""
    with monkeypatch.context() as patch:
        patch.setattr(SealSecret, "_nonce", lambda self, levels: bytes(12))
        assert _recode(place, tmp_path / "out").status == 0
    words = (
        "verify",
        tmp_path / "out",
        "--model",
        _copy(place),
        "--source",
        place / "source",
        "--json",
    )
    done = run(*words, "--secret", place / "a.secret")
    assert done.status == 1
    assert len(done.json["problems"]) == COUNT
    assert {reason for _, reason in done.json["problems"]} == {"it was changed after it was sealed"}


def test_what_the_copy_answers_otherwise_is_withheld(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SealSecret, "opened", lambda self, windows: torch.zeros_like(windows))
    done = _recode(place, tmp_path / "out")
    assert "withheld" in done.out
    assert "the authorized model answers" in done.out


class Bad(NamedTuple):
    """Words after `catch11`, with {} for the folder, and what the one sentence says."""

    words: str
    said: str


BAD = (
    Bad("seal PATCH -o {}/x.safetensors --secret {}/n.secret", "a file that ends in .onnx or .pt2, found x.safetensors"),
    Bad("seal PATCH -o {}/copy.onnx --secret {}/n.secret", "expected a new file, found"),
    Bad("seal PATCH -o {}/nowhere/x.onnx --secret {}/n.secret", "expected a file in a folder that exists, found"),
    Bad("seal PATCH -o {}/x.onnx --secret {}/p.secret", "the secret of a sealed copy, or a new file, found that of a personalised one"),
    Bad("seal DENSE -o {}/x.onnx --secret {}/a.secret", "the secret of this model's copy, or a new file, found that of another model's"),
    Bad("seal onnx:{}/copy.onnx -o {}/x.onnx --secret {}/n.secret", "a model of pictures that is no copy, found a sealed copy"),
    Bad("seal PATCH@{}/p/patch.safetensors -o {}/x.onnx --secret {}/n.secret", "that is no copy, found a personalised copy"),
    Bad("personalize PATCH -o {}/x --secret {}/a.secret", "the secret of a personalised copy, found that of a sealed one"),
    Bad("key onnx:{}/copy.onnx -o {}/x.key", "the model that the copy was sealed from"),
    Bad("recode {}/source {}/x --key {}/my.key --secret {}/a.secret --model onnx:{}/copy.onnx --check", "the model that the copy was sealed from"),
    Bad("recode {}/source {}/x --key {}/dense.key --secret {}/a.secret", "--secret: expected the secret of a sealed copy of the key's model, found that of another copy"),
    Bad("recode {}/source {}/x --key {}/my.key --secret {}/a.secret --format tensor", "png8 for a sealed copy, which opens 8-bit values, found tensor"),
    Bad("recode {}/source {}/x --key {}/my.key --secret {}/a.secret --format png16", "png8 for a sealed copy, which opens 8-bit values, found png16"),
    Bad("recode {}/source {}/x --key {}/my.key --format png16", "format: expected one of png8, tensor, wav16, wav32, found png16"),
    Bad("recode {}/source {}/x --key {}/my.key --secret {}/a.secret --method scramble", "of a personalised copy for method scramble, found that of a sealed one"),
    Bad("verify {}/out --model PATCH", "which opens it, found py:catch11.studies.nets.digits:patch"),
    Bad("verify {}/plain --model onnx:{}/copy.onnx", "expected no sealed copy, found onnx:"),
    Bad("verify {}/out --model onnx:{}/copy.onnx --source {}/source", "--secret: expected the secret of the sealed copy, with a source, found none"),
    Bad("verify {}/out --model onnx:{}/copy.onnx --secret {}/b.secret", "found that of another copy"),
    Bad("attack {}/out --model PATCH --rival DENSE --source {}/source", "which opens it, found py:catch11.studies.nets.digits:patch"),
    Bad("attack {}/plain --model onnx:{}/copy.onnx --rival DENSE --source {}/source", "expected no sealed copy, found onnx:"),
    Bad("attack {}/out --model onnx:{}/copy.onnx --rival DENSE --source {}/source --public {}/source --attack licensee-decoder", "give --secret with the model that was sealed"),
    Bad("attack {}/flat-out --model onnx:{}/copy.onnx --rival DENSE --source {}/flat", "labels: expected them, to judge a sealed copy by, found none"),
    Bad("attack {}/out --model PATCH --rival DENSE --source {}/source --attack licensee-inversion", "whoever has its --secret may give the model that was sealed"),
    Bad("attack {}/out --rival DENSE --source {}/source --attack licensee-inversion", "give --secret with the model that was sealed"),
    Bad("attack {}/out --rival DENSE --source {}/source --secret {}/a.secret", "--model: expected the model that was sealed, beside the secret of its copy, found none"),
    Bad("attack {}/out --model onnx:{}/copy.onnx --rival DENSE --source {}/source --secret {}/a.secret", "beside the secret of its copy, found onnx:"),
    Bad("attack {}/out --model DENSE --rival PATCH --source {}/source --secret {}/a.secret", "found one with another first layer"),
    Bad("attack {}/out --model PATCH --rival DENSE --source {}/source --secret {}/b.secret", "--secret: expected that of the sealed copy"),
    Bad("attack {}/out --model PATCH --rival DENSE --source {}/source --secret {}/p.secret", "--secret: expected that of a sealed copy, found that of a personalised one"),
    Bad("attack {}/plain --model PATCH --rival DENSE --source {}/source --secret {}/a.secret", "--secret: expected none of a sealed copy, found that of another copy"),
    Bad("attack {}/out --model PATCH --rival DENSE --source {}/source --secret {}/my.key", "my.key: not a usable secret file: it holds no secret of a copy"),
    Bad("verify {}/out --model DENSE --secret {}/a.secret", "found one with another first layer"),
    Bad("verify {}/plain --model PATCH --source {}/source --keep feature", "found 'feature'; nearest: features"),
    Bad("verify {}/plain --model PATCH --source {}/source --keep layer:9", "--keep: expected logits, features or a module's name (below 0, 1, 2, 3, 4, 5), found 9"),
    Bad("verify {}/plain --model PATCH --keep features", "--keep: expected the sources (--source), to measure it by, found none"),
    Bad("verify {}/plain --model PATCH --source {}/source --tolerance 0.1", "--tolerance: expected --keep beside it, found no --keep"),
    Bad("verify {}/out --model onnx:{}/copy.onnx --source {}/source --secret {}/a.secret --keep features", "found features; give --secret with the model that was sealed"),
    Bad("seal PATCH --secret {}/n.secret", "seal: expected --output FILE and one --secret, found no --output"),
    Bad("seal PATCH -o {}/x.onnx --secret {}/n.secret --secret {}/a.secret", "expected --output FILE and one --secret, found 2 secrets"),
    Bad("seal {}/my.key --check --secret {}/a.secret", "my.key: not a usable picture"),
    Bad("seal {}/out/no.png --check --secret {}/a.secret", "no.png: not a usable picture"),
    Bad("seal {}/my.key --check --secret {}/p.secret", "expected secrets of sealed copies, found that of a personalised one"),
    Bad("seal {}/my.key --check --secret {}/a.secret -o {}/x.onnx", "--check: expected no --output beside it"),
    Bad("verify {}/plain --model PATCH --secret {}/a.secret", "expected none of a sealed copy, found that of another copy"),
)  # fmt: skip


@pytest.fixture(scope="module")
def crowded(place: Path) -> Path:
    """The owner's folder with what belongs to others: another model's key and licensee, a plain release."""
    from catch11.copies.seal import seal_secret
    from catch11.copies.secretfile import save_secret

    save_secret(seal_secret(load_picture_model(PATCH), secret=bytes(32)), place / "b.secret")
    assert run("key", DENSE, "-o", place / "dense.key").status == 0
    assert run("recode", place / "source", place / "plain", "--key", place / "my.key").status == 0
    (place / "flat").mkdir()
    for number, path in enumerate(sorted((place / "source").glob("**/*.png"))[:6]):
        shutil.copy(path, place / "flat" / f"{number}.png")
    words = ("--key", place / "my.key", "--secret", place / "a.secret")
    assert run("recode", place / "flat", place / "flat-out", *words).status == 0
    return place


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.said[:60])
def test_bad_input_is_one_sentence(bad: Bad, crowded: Path) -> None:
    words = bad.words.replace("PATCH", PATCH).replace("DENSE", DENSE).replace("{}", str(crowded))
    before = sorted(crowded.iterdir())
    done = run(*words.split())
    assert done.status == 2
    assert bad.said in done.err
    assert len(done.err.strip().splitlines()) == 1
    after = sorted(crowded.iterdir())
    assert not [one for one in before if one not in after]
    assert not [one.name for one in after if one not in before and not one.name.startswith("x.ledger")]  # fmt: skip


@pytest.mark.slow
def test_a_program_of_torch_reads_them_too(place: Path, tmp_path: Path) -> None:
    """The same secret, another format, beside the first, with the same JSON; loading a program is by
    leave."""
    for name in ("copy.onnx", "copy.json"):
        shutil.copy(place / name, tmp_path)
    done = run("seal", PATCH, "-o", tmp_path / "copy.pt2", "--secret", tmp_path / "other.secret")
    assert done.status == 2
    assert "copy.json, which says otherwise" in done.err
    done = run("seal", PATCH, "-o", tmp_path / "copy.pt2", "--secret", place / "a.secret", "--json")
    assert done.status == 0, done.err
    assert not done.json["new"]
    copy = f"torch:{tmp_path / 'copy.pt2'}"
    assert run("verify", place / "out", "--model", copy).status == 2
    done = run(
        "verify", place / "out", "--model", copy, "--source", place / "source", "--secret",
        place / "a.secret", "--allow-code", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    found = {r["condition"]: r["value"] for r in done.json["records"] if r["metric"] == "agreement"}
    assert found["nte"] == 1.0
    facts = json.loads((tmp_path / "copy.json").read_text())
    (tmp_path / "copy.json").write_text(json.dumps(facts | {"sealed": "b" * 32}))
    with pytest.raises(ModelRefused, match="the JSON beside it says seal bbbbbbbbbbbbbbbb;"):
        seal_named(copy, str(tmp_path / "copy.pt2"), None)
