"""The names that people import do for every kind of data what the commands do."""

from pathlib import Path

import pytest

import catch11
from catch11.copies.personalize import CopySecret
from catch11.errors import InvalidArgument
from catch11.modalities.known import named
from catch11.modalities.open import readers
from catch11.modalities.options import Options
from tests.releases.worlds import WORLDS
from tests.world import build_world

KINDS = [kind for kind in WORLDS if kind != "pictures"]  # whose world has no whole model

SECRET = CopySecret(
    secret=bytes(range(32)), shape=(3, 32, 32), tile=(16, 16), across=False, inversion=True,
    original="a" * 64, copied="b" * 64,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_of_any_kind_is_scored_and_attacked(kind: str, tmp_path: Path) -> None:
    world = WORLDS[kind](tmp_path / "src")
    model = world.beside["check"]
    done = catch11.release(world.source, tmp_path / "out", world.recoder, **world.beside)
    assert done.written
    found = catch11.verify(tmp_path / "out", model, source=world.source)
    own = [one for one in found.records if one.condition == "nte"]
    assert own[0].role == "authorized"
    assert own[0].value == pytest.approx(1.0, abs=1e-4)  # a cosine, of texts
    with pytest.raises(InvalidArgument, match="copy: expected no such option for"):
        catch11.verify(tmp_path / "out", model, copy=SECRET)
    if kind == "texts":
        hit = catch11.attack(tmp_path / "out", model=model, source=world.source, training=0)
    else:
        hit = catch11.attack(tmp_path / "out", rivals=[model], source=world.source, limit=3)
    assert {one.attack for one in hit.records} > {None} or kind == "texts"
    with pytest.raises(InvalidArgument, match="learn: expected no such option for"):
        catch11.attack(tmp_path / "out", learn=tmp_path)


def test_a_release_of_pictures_is_scored_and_attacked(tmp_path: Path) -> None:
    world = build_world(tmp_path, count=8)
    found = catch11.verify(
        world.released, world.model, rivals=[world.rival], labels=world.labels, source=world.source
    )
    assert {one.model for one in found.records} == {"ours", "theirs"}
    hit = catch11.attack(
        world.released, rivals=[world.rival], attacks=["none"], labels=world.labels
    )
    assert [one.attack for one in hit.records] == ["none"]
    for given in ({"target": "class"}, {"prompt": ""}):
        with pytest.raises(InvalidArgument):
            catch11.verify(world.released, world.model, **given)  # type: ignore[arg-type]


def test_models_of_another_kind_are_refused_before_any_is_loaded(tmp_path: Path) -> None:
    world = WORLDS["tables"](tmp_path / "src")
    model = world.beside["check"]
    pairing = (
        "--model: expected a model of pictures, as the key is for image, found a model of tables"
    )
    with pytest.raises(InvalidArgument, match=pairing):
        readers(["py:nowhere:net", model], named("image"), Options(), what="the key")
    assert readers([model], named("table"), Options(), what="the key") == [model]
