"""Recoders of token embeddings: laws of each, on tiny encoders."""

import math
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.file import key_bytes, key_from_bytes
from catch11.keys.key import Key, build_key
from catch11.modalities.text.deep import (
    DeepTokens,
    agreement_of,
    drawn,
    levelled,
    movable,
    principal,
)
from catch11.modalities.text.file import load_text
from catch11.modalities.text.model import NORMALISED, TextModel
from catch11.modalities.text.read_back import nearest_tokens
from catch11.modalities.text.recoder import (
    NoiseTokens,
    Passages,
    SpectralTokens,
    passages,
)
from catch11.recoding.frame import Recoded, Recoder
from tests.text_world import save_text_model, sentence_transformer

TEXTS = ("a man plays the guitar .", "the dog eats", "two old cat in the house with a red dog")
SECRET = bytes(range(32))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text(str(sentence_transformer(tmp_path_factory.mktemp("text"))))


@pytest.fixture(scope="module")
def key(model: TextModel) -> Key:
    return build_key(model, rank=8, secret=SECRET)


@pytest.fixture(scope="module")
def rows(model: TextModel) -> list[torch.Tensor]:
    return [model.embed(model.encode(text)) for text in TEXTS]


def embeds(made: Recoded[Passages]) -> list[torch.Tensor]:
    return [passage.embeds for passage in made.items]


def decibels(strength: float) -> float:
    return -20.0 * math.log10(strength) if strength else math.inf


def ratio(made: Recoded[Passages]) -> tuple[float, ...]:
    """‖x̃ − x‖ / ‖x‖ of each document."""
    return tuple(10.0 ** (-psnr / 20.0) for psnr in made.psnr)


class Row(NamedTuple):
    """A recoder by name."""

    name: str

    def make(self, key: Key, model: TextModel, **settings: object) -> Recoder[Passages]:
        if self.name == "deep":
            return DeepTokens(model, key, **settings)  # type: ignore[arg-type]
        if self.name == "spectral":
            return SpectralTokens(key, **settings)  # type: ignore[arg-type]
        return NoiseTokens(key, rms=model.rms, **settings)  # type: ignore[arg-type]


ROWS = [Row("deep"), Row("spectral"), Row("noise")]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_shapes_stay_and_the_same_again(
    row: Row, key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    made = row.make(key, model)(passages(rows))
    again = row.make(key, model)(passages(rows))
    assert [p.shape for p in embeds(made)] == [r.shape for r in rows]
    assert all(torch.equal(a, b) for a, b in zip(embeds(made), embeds(again), strict=True))
    assert not torch.equal(made.items[0].embeds, rows[0])
    assert len(made.reasons) == len(rows)


@pytest.mark.parametrize("row", [r for r in ROWS if r.name != "deep"], ids=repr)
def test_a_document_does_not_depend_on_its_batch(
    row: Row, key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    recoder = row.make(key, model)
    assert torch.equal(embeds(recoder(passages(rows)))[1], embeds(recoder(passages(rows[1:2])))[0])


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_half_precision_is_what_the_file_holds(
    row: Row, key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    made = row.make(key, model, precise="float16")(passages(rows))
    assert all(torch.equal(p, p.half().float()) for p in embeds(made))
    assert made.reasons == (None, None, None)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_another_secret_makes_other_files(
    row: Row, key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    other = build_key(model, rank=8, secret=bytes(32))
    assert not torch.equal(
        row.make(key, model)(passages(rows)).items[0].embeds,
        row.make(other, model)(passages(rows)).items[0].embeds,
    )


def test_deep_documents_are_answered_alike(
    key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    made = DeepTokens(model, key)(passages(rows))
    near = torch.nn.functional.cosine_similarity(model.answers(rows), model.answers(embeds(made)))
    assert made.reasons == (None,) * 3
    assert bool((near > 0.99).all())


def _noise(recoder: DeepTokens, rows: list[torch.Tensor]) -> list[torch.Tensor]:
    """Where the search for each document began."""
    items = passages(rows)
    return [
        4.0 * recoder.model.rms * recoder.stream(v).normal(tuple(v.embeds.shape)) for v in items
    ]


@pytest.mark.parametrize("radius", [0.3, 4.0])
def test_deep_stays_off_the_words_directions(
    radius: float, key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    recoder = DeepTokens(model, key, aside=0.5, radius=radius, steps=20)
    words = principal(model.table, model.width // 2)
    for made, start in zip(embeds(recoder(passages(rows))), _noise(recoder, rows), strict=True):
        change = made - start
        assert float((change @ words).norm()) < 1e-4 * float(change.norm())
        assert bool((change.norm(dim=1) <= radius * start.norm(dim=1) * (1 + 1e-5)).all())


def test_deep_leaves_the_first_row_and_the_sum_of_rows(
    key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    recoder = DeepTokens(model, key)
    for made, start in zip(embeds(recoder(passages(rows))), _noise(recoder, rows), strict=True):
        change = made - start
        assert float(change[1:].norm()) > 0.1 * float(start.norm())
        assert torch.equal(made[0], start[0]) is (len(made) >= 6)
        level = float(change.sum(0).abs().max()) < 1e-4 * float(start.norm())
        assert level is (len(made) >= 6)


@pytest.mark.parametrize(
    ("rows", "count"), [(1, 384), (5, 384), (6, 288), (8, 192), (14, 96), (15, 96), (500, 96)]
)
def test_short_documents_are_searched_in_more_directions(rows: int, count: int) -> None:
    assert drawn(rows, 384) == count


def test_each_document_is_searched_in_directions_of_its_own(key: Key, model: TextModel) -> None:
    """Changes of a document fill as many directions as are drawn for it, and none but those."""
    text = " ".join(["the dog eats a man in the house with a red cat"] * 3)
    rows = [model.embed(model.encode(text)), model.embed(model.encode(f"two {text}"))]
    recoder = DeepTokens(model, key)
    count = drawn(len(rows[0]), model.width)
    assert count < model.width - round(0.25 * model.width)
    spans = []
    for made, start in zip(embeds(recoder(passages(rows))), _noise(recoder, rows), strict=True):
        sizes = torch.linalg.svd((made - start).double())
        assert float(sizes.S[count:].max()) < 1e-4 * float(sizes.S[0])
        assert float(sizes.S[count - 1]) > 1e-4 * float(sizes.S[0])
        spans.append(sizes.Vh[:count])
    assert float((spans[0] @ spans[1].T).norm() ** 2) < 0.9 * count


def test_where_rows_are_few_all_of_them_move_freely() -> None:
    mask = torch.tensor([[1] * 7, [1] * 6 + [0], [1] * 5 + [0] * 2, [1] + [0] * 6]) > 0
    moving = movable(mask)
    assert moving.int().tolist() == [
        [0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]
    ]  # fmt: skip
    change = torch.randn(4, 7, 3, generator=torch.Generator().manual_seed(0))
    level = levelled(change, moving)
    assert torch.allclose(level[:2].sum(1), torch.zeros(2, 3), atol=1e-6)
    assert not level[~moving].any()
    assert torch.equal(level[2:], change[2:] * moving[2:, :, None])
    # The nearest one: what was taken off is the same in every row that moves.
    taken = (change - level)[0, 1:]
    assert torch.allclose(taken, taken[:1].expand_as(taken), atol=1e-6)


def test_deep_keeps_a_classifiers_answer(tmp_path: Path, rows: list[torch.Tensor]) -> None:
    model = load_text(str(save_text_model(tmp_path, labels=3)))
    clean = [model.embed(model.encode(text)) for text in TEXTS]
    made = DeepTokens(model, build_key(model), margin=0.2)(passages(clean))
    assert made.reasons == (None,) * 3
    assert torch.equal(model.answers(clean).argmax(1), model.answers(embeds(made)).argmax(1))


def test_deep_says_what_it_could_not_find(
    key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    made = DeepTokens(model, key, steps=1, radius=0.01)(passages(rows))
    for reason, distance in zip(made.reasons, made.distances, strict=True):
        assert distance is not None
        assert distance > 0.3
        told = f"its distance from what was to be kept is {distance:.3g} (features within 0.141)"
        assert reason == told


def test_spectral_noise_moves_the_front_least(
    key: Key, model: TextModel, rows: list[torch.Tensor]
) -> None:
    made = SpectralTokens(key, psnr=decibels(2.0))(passages(rows))
    noise = NoiseTokens(key, rms=model.rms)(passages(rows))
    assert ratio(made) == pytest.approx((2.0,) * 3, rel=1e-5)
    per_size = [s / r for s, r in zip(made.front_shift, ratio(made), strict=True)]
    other = [s / r for s, r in zip(noise.front_shift, ratio(noise), strict=True)]
    assert max(per_size) < 0.7 * min(other)
    change = (made.items[0].embeds - rows[0])[:, None, None]
    assert bool(key.subspace.contains(change).all())


def test_a_shift_is_the_normalised_fronts_null_space(model: TextModel) -> None:
    space = build_key(model, layer=NORMALISED, rank=1).subspace
    assert space.dimension == 1
    ones = torch.ones(1, 1, 1, model.width)
    assert bool(space.contains(ones).all())


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 9), seed=st.integers(0, 1000), strength=st.floats(0.0, 10.0))
def test_any_document_keeps_its_shape_and_strength(
    length: int, seed: int, strength: float, key: Key, model: TextModel
) -> None:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(length, model.width, generator=generator)
    made = SpectralTokens(key, psnr=decibels(strength))(passages([clean]))
    assert made.items[0].embeds.shape == clean.shape
    assert ratio(made)[0] == pytest.approx(strength, rel=1e-3, abs=1e-6)


BAD = {
    "empty": torch.zeros(0, 32),
    "narrow": torch.zeros(3, 31),
    "whole": torch.zeros(3, 32, dtype=torch.long),
    "nan": torch.full((3, 32), float("nan")),
    "batch": torch.zeros(1, 3, 32),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_document_is_refused(name: str, key: Key) -> None:
    with pytest.raises(InvalidArgument, match="passages: expected"):
        SpectralTokens(key)(passages([BAD[name]]))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"steps": 0}, "steps"), ({"radius": 0.0}, "radius"), ({"aside": 1.0}, "aside"),
        ({"chunk": 0}, "chunk"), ({"agreement": "top1"}, "agreement"),
        ({"agreement": "cosine>2"}, "agreement"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(
    settings_: dict[str, object], message: str, key: Key, model: TextModel
) -> None:
    with pytest.raises(InvalidArgument, match=message):
        DeepTokens(model, key, **settings_)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["cosine>0.9", "match<0.1", "nonsense"])
def test_a_classifier_is_held_to_its_classes(text: str) -> None:
    with pytest.raises(InvalidArgument, match="agreement: expected"):
        agreement_of(text, margin=0.5, classes=2)


def test_another_models_key_is_refused(tmp_path: Path, key: Key) -> None:
    other = load_text(str(save_text_model(tmp_path, seed=5)))
    with pytest.raises(KeyMismatch):
        DeepTokens(other, key)


def test_a_text_key_comes_back_from_its_file(key: Key) -> None:
    again = key_from_bytes(key_bytes(key))
    assert again.modality == "text"
    assert again.fingerprint == key.fingerprint
    assert again.front.geometry == "tokens"
    assert torch.allclose(again.subspace.project(torch.ones(1, 1, 1, 32)), key.subspace.project(torch.ones(1, 1, 1, 32)))  # fmt: skip


def test_noise_gives_no_word_back(key: Key, model: TextModel) -> None:
    """And clean embeddings give all of them."""
    ids = list(range(5, 30)) * 4
    clean = model.table[ids].detach()
    noise = NoiseTokens(key, rms=model.rms)(passages([clean])).items[0].embeds
    table, words = model.table.detach(), torch.tensor(ids)
    assert bool((nearest_tokens(clean[None], table)[0] == words).all())
    hits = int((nearest_tokens(noise[None], table)[0] == words).sum())
    assert hits <= 20  # 100 draws among 30 words: 3.3 expected
