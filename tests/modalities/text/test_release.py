"""Releases of documents: what is written, resumed, withheld and refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from catch11.canvas.plain import strip_canvas
from catch11.errors import ReleaseError
from catch11.keys.key import Key, build_key
from catch11.modalities.text.deep import DeepTokens
from catch11.modalities.text.embeds import EMBEDS
from catch11.modalities.text.file import load_text
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.recoder import NoiseTokens, Passage, SpectralTokens
from catch11.modalities.text.release import columns_of
from catch11.releases.engine import release
from catch11.releases.read import read_release
from tests.text_world import pairs_csv, save_text_model, sentence_transformer

BOTH = ("first", "second")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text(str(sentence_transformer(tmp_path_factory.mktemp("text"))))


@pytest.fixture(scope="module")
def key(model: TextModel) -> Key:
    return build_key(model, rank=8, secret=bytes(32))


def test_a_release_holds_no_ids_and_answers_alike(
    tmp_path: Path, model: TextModel, key: Key
) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    done = release(
        src, tmp_path / "out", DeepTokens(model, key), model=model, check=model, columns=BOTH
    )
    assert done.written == 12
    assert done.counts["unknown"] == 5  # cats, run; an, unheard, word
    held = read_release(tmp_path / "out")
    assert held.complete
    assert columns_of(held) == (BOTH, False)
    assert held.key == key.fingerprint
    for entry in held.entries:
        tensors = load((tmp_path / "out" / entry.file).read_bytes())
        assert set(tensors) == {"embeds", "mask"}
        assert entry.agreement is True
        assert held.item(entry).embeds.shape == tensors["embeds"].shape
    assert "row0000001/first.safetensors" in {e.file for e in held.entries}
    text = (tmp_path / "out" / "manifest.jsonl").read_text()
    assert "guitar" not in text
    assert json.loads(text.splitlines()[0])["modality"] == "text"


def test_a_stopped_release_goes_on_with_the_same_bytes(
    tmp_path: Path, model: TextModel, key: Key
) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    recoder = DeepTokens(model, key, chunk=5)

    def stop(done: int, total: int, what: str) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        release(src, tmp_path / "a", recoder, model=model, columns=BOTH, progress=stop)
    again = release(src, tmp_path / "a", recoder, model=model, columns=BOTH)
    whole = release(src, tmp_path / "b", recoder, model=model, columns=BOTH)
    assert (again.reused, again.written) == (5, 7)
    assert whole.written == 12
    first, second = (
        {e.file: e.sha256 for e in read_release(tmp_path / n).entries} for n in ("a", "b")
    )
    assert first == second


def test_another_strength_of_the_same_words_is_refused(
    tmp_path: Path, model: TextModel, key: Key
) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    ledger = tmp_path / "ledger.jsonl"
    for psnr, out in ((0.0, "a"), (-6.0, "b")):
        recoder = SpectralTokens(key, psnr=psnr)
        if out == "b":
            with pytest.raises(ReleaseError, match="the ledger knows its content"):
                release(src, tmp_path / out, recoder, model=model, columns=BOTH, ledger=ledger)
        else:
            release(src, tmp_path / out, recoder, model=model, columns=BOTH, ledger=ledger)


def test_empty_long_and_wordless_documents_are_skipped_with_a_reason(
    tmp_path: Path, model: TextModel, key: Key
) -> None:
    lines = ["a man", "", "a dog eats " * 30, "[PAD]", "zzz qqq"]
    (tmp_path / "s.txt").write_text("\n".join(lines))
    recoder = NoiseTokens(key, rms=model.rms)
    done = release(tmp_path / "s.txt", tmp_path / "a", recoder, model=model, long="refuse")
    assert done.written == 2
    assert done.skipped == 3
    assert done.counts["unknown"] == 2
    assert done.counts["cut"] == 0
    ledger = (tmp_path / "a.ledger.jsonl").read_text()
    for reason in (
        "it is empty",
        "it has 92 tokens and there is room for 16",
        "finds no word in it",
    ):
        assert reason in ledger
    cut = release(tmp_path / "s.txt", tmp_path / "b", recoder, model=model)
    assert cut.written == 3
    assert cut.counts["cut"] == 1


def test_what_the_model_answers_otherwise_is_withheld(
    tmp_path: Path, model: TextModel, key: Key
) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    noise = NoiseTokens(key, rms=model.rms)
    done = release(src, tmp_path / "a", noise, model=model, check=model, columns=BOTH)
    assert done.written == 0
    assert done.withheld == 12
    assert (
        "the authorized model answers otherwise: cosine>0.99"
        in (tmp_path / "a.ledger.jsonl").read_text()
    )


def test_pairs_of_a_classifier_keep_their_types(tmp_path: Path) -> None:
    model = load_text(str(save_text_model(tmp_path / "m", labels=2)))
    src = pairs_csv(tmp_path / "s.csv")
    recoder = DeepTokens(model, build_key(model), precise="float16", margin=0.1)
    done = release(src, tmp_path / "a", recoder, check=model, columns=BOTH, workers=2)
    assert done.written == 6
    held = read_release(tmp_path / "a")
    one = held.item(held.entries[0])
    assert columns_of(held) == (BOTH, True)
    assert one.types is not None
    assert set(one.types) == {0, 1}
    data = (tmp_path / "a" / held.entries[0].file).read_bytes()
    assert load(data)["embeds"].dtype == torch.float16


def test_names_may_say_nothing(tmp_path: Path, model: TextModel, key: Key) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    noise = NoiseTokens(key, rms=model.rms)
    release(src, tmp_path / "a", noise, model=model, columns=BOTH, names="opaque")
    assert not any("row" in e.file for e in read_release(tmp_path / "a").entries)


def test_a_changed_file_is_noticed(tmp_path: Path, model: TextModel, key: Key) -> None:
    src = pairs_csv(tmp_path / "s.csv")
    release(src, tmp_path / "a", NoiseTokens(key, rms=model.rms), model=model, columns=BOTH)
    held = read_release(tmp_path / "a")
    (tmp_path / "a" / held.entries[0].file).write_bytes(b"x")
    with pytest.raises(ReleaseError, match="its bytes are not the ones listed"):
        held.item(held.entries[0])


def test_refusals(tmp_path: Path, model: TextModel, key: Key) -> None:
    noise = NoiseTokens(key, rms=model.rms)
    (tmp_path / "s.txt").write_text("a man")
    with pytest.raises(ReleaseError, match="there is no such source"):
        release(tmp_path / "no.txt", tmp_path / "a", noise, model=model)
    with pytest.raises(ReleaseError, match="no manifest can be read"):
        read_release(tmp_path)


FOUR = strip_canvas(4)
GOOD = {"embeds": torch.zeros(3, 4), "mask": torch.ones(3, dtype=torch.uint8)}
HOSTILE = {
    "no file": b"x" * 40,
    "no mask": save({"embeds": GOOD["embeds"]}),
    "ids": save({**GOOD, "input_ids": torch.zeros(3, dtype=torch.long)}),
    "double": save({**GOOD, "embeds": torch.zeros(3, 4, dtype=torch.float64)}),
    "wide": save({**GOOD, "embeds": torch.zeros(3, 5)}),
    "flat": save({**GOOD, "embeds": torch.zeros(12)}),
    "empty": save({"embeds": torch.zeros(0, 4), "mask": torch.ones(0, dtype=torch.uint8)}),
    "nan": save({**GOOD, "embeds": torch.full((3, 4), float("inf"))}),
    "mask": save({**GOOD, "mask": torch.zeros(3, dtype=torch.uint8)}),
    "short mask": save({**GOOD, "mask": torch.ones(2, dtype=torch.uint8)}),
    "types": save({**GOOD, "types": torch.full((3,), 2, dtype=torch.uint8)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_clause(name: str) -> None:
    with pytest.raises(ValueError, match=r"^it(s| )"):
        EMBEDS.decode(HOSTILE[name], FOUR)


def test_a_passage_comes_back() -> None:
    passage = Passage(embeds=torch.randn(3, 4), types=(0, 1, 1))
    again = EMBEDS.decode(EMBEDS.encode(passage, FOUR), FOUR)
    assert torch.equal(again.embeds, passage.embeds)
    assert again.types == (0, 1, 1)
    half = EMBEDS.decode(EMBEDS.encode(replace(passage, half=True), FOUR), FOUR)
    assert torch.equal(half.embeds, passage.embeds.half().float())
