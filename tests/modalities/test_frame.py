"""The kind of data follows from the model, the key and the source; a wrong pairing is one sentence."""

import inspect
import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from catch11.errors import InvalidArgument
from catch11.kinds import KINDS, Kind
from catch11.modalities.audio.modality import AUDIO
from catch11.modalities.frame import Action, Facts, Modality, options
from catch11.modalities.image.modality import IMAGE
from catch11.modalities.known import (
    check_source,
    modalities,
    modality_of,
    release_modality,
    stated_modality,
)
from catch11.modalities.options import (
    AttackOptions,
    KeyOptions,
    Options,
    VerifyOptions,
)
from catch11.modalities.public import attack


def never(*_: object) -> None:
    raise AssertionError


SMELL = Modality(
    name="smell",
    items="smells",
    models="a nose",
    sources="a folder of .nose files",
    peak="one whiff",
    suffixes=frozenset({".nose"}),
    claims=lambda facts: facts.get("model_type") == "nose",
    load=never,  # type: ignore[arg-type]
    verify=Action(run=never, takes=options("source")),  # type: ignore[arg-type]
    attack=Action(run=never, takes=options("rivals"), needs={"rivals": "somebody"}),
)
SMELLS = Kind(modality=f"{__name__}.SMELL", pipeline="", recoders={})


@pytest.mark.parametrize("spec", ["py:x:y", "timm:resnet18", "nowhere", "hf:", "torch:none.pt"])
def test_a_model_that_says_nothing_reads_images(spec: str) -> None:
    assert modality_of(spec) is IMAGE


def test_a_file_beside_the_weights_may_name_its_kind(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text('{"modality": "image"}')
    (tmp_path / "net.pt").write_bytes(b"")
    assert modality_of(f"torch:{tmp_path / 'net.pt'}") is IMAGE
    (tmp_path / "net.json").write_text('{"modality": "smell"}')
    with pytest.raises(
        InvalidArgument, match=r"modality: expected one of text, .*image, found smell"
    ):
        modality_of(f"torch:{tmp_path / 'net.pt'}")


@pytest.mark.parametrize("text", ["", "[", "[]", "\x00", "{" * 5000])
def test_a_damaged_configuration_names_no_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert modality_of(str(tmp_path)) is IMAGE


def test_a_source_of_another_kind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "smell", SMELLS)
    (tmp_path / "a.nose").write_bytes(b"")
    with pytest.raises(InvalidArgument, match=r"SRC: expected a folder of pictures.*found \.nose"):
        check_source(IMAGE, tmp_path)
    check_source(SMELL, tmp_path)
    (tmp_path / "b.png").write_bytes(b"")  # a mixed folder is read, and skipped in part
    check_source(IMAGE, tmp_path)
    (tmp_path / "c.unknown").write_bytes(b"")
    check_source(SMELL, tmp_path)


@pytest.mark.parametrize("line", ["{}", "no json", "[]", json.dumps({"modality": "image"})])
def test_a_list_that_names_no_kind_is_of_images(tmp_path: Path, line: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(line + "\n")
    assert release_modality(tmp_path) is IMAGE


def test_options_of_another_kind_are_refused_and_needed_ones_asked_for() -> None:
    given = VerifyOptions(source="here", device="cuda", allow_code=True)
    assert SMELL.verify.taken(given, kind="smells") == {"source": "here"}
    with pytest.raises(InvalidArgument, match="max_drop: expected no such option for smells"):
        SMELL.verify.taken(VerifyOptions(max_drop=0.0), kind="smells")
    with pytest.raises(InvalidArgument, match="rivals: expected somebody, found none"):
        SMELL.attack.taken(AttackOptions(), kind="smells")
    assert SMELL.attack.taken(AttackOptions(rivals=("a",)), kind="smells") == {"rivals": ("a",)}


@pytest.mark.parametrize("option", ["rivals", "source"])
def test_an_attack_needs_a_rival_and_the_originals(option: str) -> None:
    given = {"rivals": ("a",), "source": "b"}
    assert AUDIO.attack.taken(AttackOptions(**given), kind="sounds") == given  # type: ignore[arg-type]
    rest = AttackOptions(**{k: v for k, v in given.items() if k != option})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=f"{option}: expected .*to attack sounds"):
        AUDIO.attack.taken(rest, kind="sounds")


ACTIONS = {"key": KeyOptions, "verify": VerifyOptions, "attack": AttackOptions}


@pytest.mark.parametrize("kind", list(modalities()), ids=lambda kind: kind.name)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_a_kind_takes_is_an_option_and_its_function_knows_it(
    kind: Modality, action: str
) -> None:
    own = getattr(kind, action)
    names = {field.name for field in fields(ACTIONS[action])}
    assert own.takes <= names - {field.name for field in fields(Options)}
    assert set(own.needs) <= own.takes
    run = attack if action == "attack" else own.run
    known = set(inspect.signature(run).parameters)
    assert own.takes - {"prompt"} <= known, "a prompt is put to the models themselves"
    assert action == "key" or {"command", "progress"} <= known


def test_every_kind_has_a_name_of_its_own() -> None:
    assert [kind.name for kind in modalities()] == list(KINDS)
    assert list(KINDS)[-1] == IMAGE.name


def test_a_kind_is_asked_whether_it_claims_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "smell", SMELLS)
    (tmp_path / "config.json").write_text('{"model_type": "nose"}')
    assert modality_of(str(tmp_path)) is SMELL
    assert modality_of(f"hf:{tmp_path}") is SMELL
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert modality_of(str(tmp_path)) is IMAGE
    assert stated_modality("py:nowhere:none") is None


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
    return [kind.name for kind in modalities() if kind.claims(facts)]


def test_a_model_is_claimed_once_at_most() -> None:
    assert [claiming(facts) for facts in FILES] == [["audio"], ["table"], []]
    for name in KNOWN:
        assert len(claiming(CONFIG_MAPPING[name]().to_dict())) <= 1, name


@pytest.mark.slow
def test_no_model_of_transformers_is_claimed_twice() -> None:
    for name in CONFIG_MAPPING:
        with suppress(ValueError, StrictDataclassError):  # a few have no default
            assert len(claiming(CONFIG_MAPPING[name]().to_dict())) <= 1, name
