"""The kind of data follows from the model, the key and the source; a wrong pairing is one sentence."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from catch11.errors import InvalidArgument
from catch11.keys.authorized import IMAGE
from catch11.modalities import frame as modality
from catch11.modalities.frame import (
    ROWS,
    Facts,
    Plug,
    Row,
    check_source,
    modality_of,
    plug,
    release_modality,
    take,
)


@pytest.mark.parametrize("spec", ["py:x:y", "timm:resnet18", "nowhere", "hf:", "torch:none.pt"])
def test_a_model_that_says_nothing_reads_images(spec: str) -> None:
    assert modality_of(spec) == IMAGE


def test_a_file_beside_the_weights_may_name_its_kind(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text('{"modality": "image"}')
    (tmp_path / "net.pt").write_bytes(b"")
    assert modality_of(f"torch:{tmp_path / 'net.pt'}") == IMAGE
    (tmp_path / "net.json").write_text('{"modality": "smell"}')
    with pytest.raises(InvalidArgument, match=r"modality: expected one of image.*found smell"):
        modality_of(f"torch:{tmp_path / 'net.pt'}")


@pytest.mark.parametrize("text", ["", "[", "[]", "\x00", "{" * 5000])
def test_a_damaged_configuration_names_no_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert modality_of(str(tmp_path)) == IMAGE


def test_a_source_of_another_kind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row(
        name="smell",
        models="a nose",
        sources="a folder of .nose files",
        suffixes=frozenset({".nose"}),
    )
    monkeypatch.setattr(modality, "ROWS", (row,))
    (tmp_path / "a.nose").write_bytes(b"")
    with pytest.raises(InvalidArgument, match=r"SRC: expected a folder of pictures.*found \.nose"):
        check_source(IMAGE, tmp_path)
    check_source("smell", tmp_path)
    (tmp_path / "b.png").write_bytes(b"")  # a mixed folder is read, and skipped in part
    check_source(IMAGE, tmp_path)
    (tmp_path / "c.unknown").write_bytes(b"")
    check_source("smell", tmp_path)


@pytest.mark.parametrize(
    ("line", "kind"),
    [("{}", IMAGE), ("no json", IMAGE), ("[]", IMAGE), (json.dumps({"modality": IMAGE}), IMAGE)],
)
def test_a_list_that_names_no_kind_is_of_images(tmp_path: Path, line: str, kind: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(line + "\n")
    assert release_modality(tmp_path) == kind


def test_options_of_another_kind_are_refused() -> None:
    assert take({"long": "refuse"}, ["long"], kind="text") == {"long": "refuse"}
    with pytest.raises(InvalidArgument, match="--look: expected no such option for text"):
        take({"look": "faint"}, ["long"], kind="text")


def test_a_plug_is_asked_whether_it_claims_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claims(facts: Facts) -> bool:
        return facts.get("model_type") == "nose"

    def never(*_: object) -> None:
        raise AssertionError

    row = Row(name="smell", models="a nose", sources="smells", suffixes=frozenset({".nose"}))
    made = Plug(claims=claims, key=never, recode=never, verify=never)  # type: ignore[arg-type]
    monkeypatch.setattr(modality, "ROWS", (row,))
    monkeypatch.setattr(modality, "plug", lambda name: made)
    (tmp_path / "config.json").write_text('{"model_type": "nose"}')
    assert modality_of(str(tmp_path)) == "smell"
    assert modality_of(f"hf:{tmp_path}") == "smell"
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert modality_of(str(tmp_path)) == IMAGE


FILES: tuple[Facts, ...] = (
    {"sample_rate": 16000, "samples": 16000, "classes": ["a"]},
    {"columns": [{"name": "age", "mean": 0.0, "std": 1.0}], "classes": ["a", "b"]},
    {
        "input_size": [3, 8, 8],
        "mean": [0.5],
        "std": [0.5],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
    },
)
KNOWN = ("vit", "swin", "resnet", "clip", "qwen2_5_vl", "internvl", "wav2vec2", "hubert", "whisper",
    "audio-spectrogram-transformer", "bert", "roberta", "distilbert", "modernbert", "llama", "t5")  # fmt: skip


def claiming(facts: Facts) -> list[str]:
    return [row.name for row in ROWS if plug(row.name).claims(facts)]


def test_a_model_is_claimed_once_at_most() -> None:
    assert [claiming(facts) for facts in FILES] == [["audio"], ["table"], []]
    for name in KNOWN:
        assert len(claiming(CONFIG_MAPPING[name]().to_dict())) <= 1, name


@pytest.mark.slow
def test_no_model_of_transformers_is_claimed_twice() -> None:
    for name in CONFIG_MAPPING:
        with suppress(ValueError, StrictDataclassError):  # a few have no default
            assert len(claiming(CONFIG_MAPPING[name]().to_dict())) <= 1, name
