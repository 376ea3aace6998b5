"""Recoders of table rows: exact strength, an unmoved front, ranges and whole numbers kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from catch11.attacks.frame import Material, attack_of
from catch11.errors import InvalidArgument, KeyMismatch
from catch11.keys.key import Key, build_key
from catch11.modalities.table.attacks import WholeRows
from catch11.modalities.table.deep import DeepRowRecoder
from catch11.modalities.table.model import Column, TableModel, table_model
from catch11.modalities.table.net import Perceptron
from catch11.modalities.table.recoder import SpectralRowRecoder

WIDTH = 12


def model(
    *,
    hidden: int = 5,
    change: Callable[[int, Column], Column] = lambda _, column: column,
    seed: int = 0,
) -> TableModel:
    torch.manual_seed(seed)
    columns = [
        change(i, Column(name=f"c{i}", mean=10.0 + i, std=1.0 + i / 4)) for i in range(WIDTH)
    ]
    return table_model("x", Perceptron([WIDTH, hidden, 16, 3]), columns, name="net")


def key_for(of: TableModel) -> Key:
    return build_key(of, secret=bytes(range(32)))


def rows(seed: int = 0, count: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, WIDTH, generator=generator, dtype=torch.float64)


PLAIN = model()
KEY = key_for(PLAIN)


@given(seed=st.integers(0, 999), psnr=st.floats(-40.0, 40.0))
@settings(max_examples=30, deadline=None)
def test_the_strength_is_exact_and_the_front_does_not_move(seed: int, psnr: float) -> None:
    given = rows(seed)
    out = SpectralRowRecoder(PLAIN, KEY, psnr=psnr)(given)
    assert out.psnr == pytest.approx((psnr,) * 6, abs=1e-6)
    assert max(out.front_shift) < 1e-9 * 10.0 ** (max(0.0, -psnr) / 20.0)
    torch.testing.assert_close(PLAIN.logits(out.items), PLAIN.logits(given), rtol=0.0, atol=5e-3)
    alone = SpectralRowRecoder(PLAIN, KEY, psnr=psnr)(given[3:4])
    torch.testing.assert_close(alone.items[0], out.items[3], rtol=1e-12, atol=1e-10)


def test_the_front_is_the_first_linear_layer() -> None:
    front = PLAIN.front()
    assert front.geometry == "dense"
    weight = PLAIN.module.layers[0].weight.double()  # type: ignore[index,union-attr]
    torch.testing.assert_close(front.weight, weight)
    assert KEY.subspace.dimension == WIDTH - 5


@pytest.mark.parametrize("change", ["psnr", "tag", "secret"])
def test_two_settings_share_no_noise(change: str) -> None:
    """Directions of two releases of the same rows are as far apart as chance puts them; those of one
    release, made again, are not."""
    given = rows(count=200)
    one = SpectralRowRecoder(PLAIN, KEY, psnr=0.0)
    changes: dict[str, dict[str, Any]] = {
        "psnr": {"psnr": -6.0},
        "tag": {"tag": "acme"},
        "secret": {"key": replace(KEY, secret=bytes(32))},
    }

    def direction(recoder: SpectralRowRecoder) -> Tensor:
        return nn.functional.normalize(recoder(given).items - given, dim=1)

    cosines = [
        (direction(one) * direction(other)).sum(1)
        for other in (replace(one), replace(one, **changes[change]))
    ]
    torch.testing.assert_close(cosines[0], torch.ones_like(cosines[0]))
    # In the seven dimensions of the subspace a cosine deviates by 7 ** -.5; the mean of 200, by .027.
    assert float(cosines[1].mean().abs()) < 0.1
    assert float(cosines[1].std()) == pytest.approx(7**-0.5, rel=0.2)


def test_ranges_are_kept() -> None:
    boxed = model(change=lambda _, c: replace(c, low=c.mean - 3 * c.std, high=c.mean + 3 * c.std))
    out = SpectralRowRecoder(boxed, key_for(boxed), psnr=-3.0)(rows().clamp(-2.5, 2.5))
    assert float(out.items.abs().max()) <= 3.0 + 1e-9
    assert max(out.front_shift) < 1e-3
    assert out.reasons == (None,) * 6
    told = SpectralRowRecoder(boxed, key_for(boxed))(torch.full((1, WIDTH), 3.5))
    assert told.reasons == ("a cell lies outside the range its column states",)


def test_whole_columns_stay_whole_and_others_make_up_for_it() -> None:
    mixed = model(change=lambda i, c: replace(c, whole=i < 3, mean=0.0, std=2.0))
    out = SpectralRowRecoder(mixed, key_for(mixed), psnr=-10.0)(rows())
    cells = mixed.restore(out.items)
    np.testing.assert_allclose(cells[:, :3], np.round(cells[:, :3]), atol=1e-9)
    assert max(out.front_shift) < 1e-9
    counts = model(change=lambda i, c: replace(c, whole=True, mean=0.0, std=50.0))
    out = SpectralRowRecoder(counts, key_for(counts), psnr=-10.0)(rows())
    cells = counts.restore(out.items)
    np.testing.assert_allclose(cells, np.round(cells), atol=1e-9)
    assert 0.0 < max(out.front_shift) < 0.05


@pytest.mark.parametrize("radius", ["auto", 1.5])
def test_deep_rows_answer_alike_within_their_ball(radius: float | str) -> None:
    recoder = DeepRowRecoder(PLAIN, KEY, radius=radius, margin=0.05)  # type: ignore[arg-type]
    given = rows(count=20)
    out = recoder(given)
    told = torch.tensor([reason is None for reason in out.reasons])
    assert int(told.sum()) >= 15
    same = PLAIN.logits(out.items).argmax(1) == PLAIN.logits(given).argmax(1)
    assert bool(same[told].all())
    starts = torch.stack([recoder.stream(row).normal((WIDTH,)) for row in given])
    assert float((out.items - starts).abs().max()) <= (2.0 if radius == "auto" else 1.5) + 1e-5
    short = DeepRowRecoder(PLAIN, KEY, steps=1, radius=0.01, margin=50.0)(given)
    assert "no agreement (top1, margin 50) within 0.01 standard deviations" in str(short.reasons[0])


def test_attacks_undo_the_spectral_noise() -> None:
    given, public = rows(0, 200), rows(1, 200)
    out = SpectralRowRecoder(PLAIN, KEY, psnr=-20.0)(given).items
    pairs = public, SpectralRowRecoder(PLAIN, KEY, psnr=-20.0)(public).items
    held = Material(
        canvas=PLAIN.canvas, released=out, public=public, front=PLAIN.front(), pairs=pairs,
        pieces=lambda size: WholeRows(),
    )  # fmt: skip
    made = {}
    for name in ("front known", "regression", "Wiener"):
        one = attack_of(name, "table")()
        (attempt,) = one.run(held.cut(one.knowledge), generator=torch.Generator())
        assert attempt.restored is not None
        made[name] = attempt.restored
    known = made.pop("front known")
    weight = PLAIN.front().weight
    torch.testing.assert_close(known @ weight.T, given @ weight.T, rtol=1e-4, atol=1e-4)
    for guess in made.values():
        assert float((guess - given).norm()) < 0.2 * float((out - given).norm())


BAD_COLUMNS = [
    ({"mean": float("nan")}, "finite mean"),
    ({"std": 0.0}, "std above 0"),
    ({"std": -1.0}, "std above 0"),
    ({"low": 3.0, "high": 2.0}, "min below max"),
    ({"low": float("nan")}, "min below max"),
    ({"name": ""}, "a name"),
]


@pytest.mark.parametrize(("change", "match"), BAD_COLUMNS, ids=lambda v: str(v)[:30])
def test_hostile_columns_are_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        replace(Column(name="a", mean=0.0, std=1.0), **change)  # type: ignore[arg-type]


def test_wrong_keys_cells_and_rows_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="key: expected one for SpectralRowRecoder"):
        SpectralRowRecoder(PLAIN, replace(KEY, modality="image"))
    with pytest.raises(InvalidArgument, match="psnr: expected -60 to 100 dB"):
        SpectralRowRecoder(PLAIN, KEY, psnr=-61.0)
    recoder = SpectralRowRecoder(PLAIN, KEY)
    for bad in (torch.zeros(2, 3), torch.full((1, WIDTH), float("nan")), torch.zeros(WIDTH)):
        with pytest.raises(InvalidArgument, match="finite rows of shape"):
            recoder(bad)
    assert recoder(torch.zeros(0, WIDTH)).psnr == ()
    narrow = table_model(
        "x", nn.Linear(3, 2), [Column(name=n, mean=0.0, std=1.0) for n in "abc"], name="n"
    )
    with pytest.raises(InvalidArgument, match="expected 12 columns"):
        SpectralRowRecoder(narrow, KEY)
    with pytest.raises(KeyMismatch, match="another model"):
        DeepRowRecoder(model(seed=5), KEY)
    for radius in (0.0, 9.0):
        with pytest.raises(InvalidArgument, match="radius"):
            DeepRowRecoder(PLAIN, KEY, radius=radius)
