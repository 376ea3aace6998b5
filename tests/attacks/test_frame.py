from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, get_args

import pytest
import torch

import catch11.attacks
from catch11.attacks.frame import (
    Attack,
    Attempt,
    Knowledge,
    Material,
    attack_names,
    attack_of,
    register,
)
from catch11.canvas.frame import Canvas, Fit
from catch11.data.windows import as_pictures
from catch11.errors import InvalidArgument
from catch11.kinds import KINDS
from tests.attacks.conftest import Scene

_PLACES: dict[Knowledge, str] = {
    "released": "released",
    "others": "others",
    "public": "public",
    "front": "front",
    "labels": "labelled",
    "pairs": "pairs",
    "key-queries": "query",
    "table": "table",
    "weights": "weights",
}


def _spy(knowledge: frozenset[Knowledge], seen: list[Material]) -> Attack:
    class Spy(Attack):
        name = "spy"

        def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
            seen.append(material)
            yield Attempt(setting="x", restored=material.released)

    Spy.knowledge = knowledge
    return Spy()


@pytest.mark.parametrize("name", [name for name in get_args(Knowledge) if name != "released"])
def test_an_attack_sees_what_it_declares_and_nothing_else(scene: Scene, name: Knowledge) -> None:
    seen: list[Material] = []
    _spy(frozenset({"released", name}), seen)(scene.material, scene.jury)
    held = {kind for kind, place in _PLACES.items() if getattr(seen[0], place) is not None}
    assert held == {"released", name}
    assert (seen[0].subspace is not None) == (name == "front")


EVERY = [(kind, name) for kind in KINDS for name in attack_names(kind)]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_attack_of_every_kind_is_handed_what_it_declares(
    kind: str, name: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a material that holds everything there is."""
    seen: list[Material] = []
    variant = attack_of(name, kind)

    def run(self: Attack, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        seen.append(material)
        return iter(())

    monkeypatch.setattr(variant, "run", run)
    assert variant()(scene.material, scene.jury) == ()
    held = {one for one, place in _PLACES.items() if getattr(seen[0], place) is not None}
    assert held == variant.knowledge
    assert (seen[0].subspace is not None) == ("front" in variant.knowledge)


def test_every_attack_declares_known_knowledge() -> None:
    assert {kind for kind, _ in EVERY} == {"image", "audio", "table", "text"}
    assert len(attack_names()) >= 20
    for kind, name in EVERY:
        variant = attack_of(name, kind)
        assert "released" in variant.knowledge
        assert variant.knowledge <= set(get_args(Knowledge))
        assert variant.__doc__


def test_public_names_exist() -> None:
    assert all(hasattr(catch11.attacks, name) for name in catch11.attacks.__all__)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_missing_knowledge_is_refused(scene: Scene, kind: str, name: str) -> None:
    variant = attack_of(name, kind)
    for lost in variant.knowledge - {"released"}:
        without = scene.material.cut(frozenset(_PLACES) - {lost})
        with pytest.raises(InvalidArgument, match=f"attack {name}: .* without {lost}"):
            variant()(without, scene.jury)


class _Two(Attack):
    name = "two"
    knowledge = frozenset({"released"})

    def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
        yield Attempt(
            setting="noise", restored=torch.rand(material.released.shape, generator=generator)
        )
        yield Attempt(setting="released", restored=material.released)
        yield Attempt(setting="grey", restored=torch.full_like(material.released, 0.5))


def test_the_best_try_counts_and_tries_are_counted(scene: Scene) -> None:
    clean = replace(scene.material, released=scene.clean)
    (found,) = _Two()(clean, scene.jury)
    assert (found.setting, found.tries) == ("released", 3)
    assert sum(found.hits) > 0.6 * len(found.hits)
    assert found.psnr == pytest.approx(100.0)
    assert found.ssim == pytest.approx(1.0)
    assert _Two()(clean, scene.jury) == (found,)


def test_progress_names_the_settings(scene: Scene) -> None:
    seen: list[str] = []
    _Two()(scene.material, scene.jury, progress=seen.append)
    assert seen == ["noise", "released", "grey"]


def test_bad_attempts_are_refused(scene: Scene) -> None:
    with pytest.raises(InvalidArgument, match="attempt: expected restored items, a classifier"):
        Attempt(setting="none")

    class Small(_Two):
        def run(self, material: Material, *, generator: torch.Generator) -> Iterator[Attempt]:
            yield Attempt(setting="small", restored=material.released[:1])

    with pytest.raises(InvalidArgument, match="attack two: expected items"):
        Small()(scene.material, scene.jury)


def test_names_are_unique_and_known() -> None:
    with pytest.raises(AssertionError, match="two attacks are called none"):
        register(attack_of("none"))
    with pytest.raises(InvalidArgument, match="attack: expected one of none, codec"):
        attack_of("nonsense")


class Place(NamedTuple):
    top: int
    left: int


@pytest.mark.parametrize("place", [Place(0, 0), Place(2, 5)], ids=repr)
def test_pictures_hold_the_window_where_the_model_looks(place: Place) -> None:
    canvas = Canvas(
        height=20, width=24, top=place.top, left=place.left, window_height=12, window_width=16,
        gain=(1.0,) * 3, offset=(0.0,) * 3, fit=Fit(resize="exact", height=20, width=24),
    )  # fmt: skip
    windows = torch.randint(256, (2, 3, 12, 16)).float() / 255
    for window, picture in zip(windows, as_pictures(windows, canvas), strict=True):
        assert picture.size == (24, 20)
        inner = picture.crop((place.left, place.top, place.left + 16, place.top + 12))
        values = torch.tensor(list(inner.tobytes())).reshape(12, 16, 3).permute(2, 0, 1) / 255
        assert torch.equal(values, window)
