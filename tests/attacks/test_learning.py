"""Attackers who train: small networks, one loop, no trace outside."""

import copy
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import nn

from catch11.attacks.adaptation import (
    FineTune,
    LearnedFront,
    Reader,
    Sweep,
    TileFront,
    trainable,
    unsettled,
)
from catch11.attacks.frame import Attack, Attempt
from catch11.attacks.nets import Clock, SRResNet, Training, UNet, seeded, train_restorer
from catch11.attacks.optimisation import Preprocessor, TunedPreprocessor, Tuning
from catch11.attacks.reconstruction import PairsNetwork
from catch11.attacks.restoration import (
    Learned,
    NoiseToClean,
    NoiseToNoise,
    WhiteBoxRestoration,
    likely_psnr,
)
from catch11.attacks.training_use import TrainingUse
from catch11.canvas.grid import psnr
from catch11.errors import InvalidArgument, Unsuited
from catch11.models.frame import Model
from tests.attacks.conftest import Scene, classes

torch.set_num_threads(1)
SHORT = Training(steps=60, batch=8, width=8, rate=5e-3)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("attack", [NoiseToClean, NoiseToNoise, WhiteBoxRestoration, PairsNetwork])
def test_restorers_restore(scene: Scene, attack: type[Learned]) -> None:
    before = float(psnr(scene.material.released, scene.clean).mean())
    (found,) = attack(replace(SHORT, steps=90))(scene.material, scene.jury)
    assert found.psnr is not None
    assert found.psnr > before + 2.5
    assert found.tries == len(attack.kinds)


@pytest.mark.parametrize("attack", [FineTune, LearnedFront, TunedPreprocessor, TrainingUse])
def test_labels_teach_only_rivals_that_have_their_classes(
    scene: Scene, attack: type[Attack]
) -> None:
    given = replace(scene.material, classes=("cat", "dog", "owl", "bat"))
    theirs = given.rivals["theirs"]
    given = replace(given, rivals={"theirs": replace(theirs, labels=("bus", "car", "van", "cab"))})
    with pytest.raises(Unsuited, match="no rival that can be trained has the classes"):
        next(iter(attack().run(given.cut(attack.knowledge), generator=_seeded())))
    assert trainable(replace(given, labelled=None))


@pytest.mark.parametrize("attack", [NoiseToClean, NoiseToNoise, WhiteBoxRestoration])
def test_both_nets_are_trained_either_way(scene: Scene, attack: type[Learned]) -> None:
    once = Training(steps=1, batch=2, width=4)
    given = scene.material.cut(attack.knowledge)
    found = [attempt.setting for attempt in attack(once).run(given, generator=_seeded())]
    assert [setting.split(",")[0] for setting in found] == ["srresnet", "unet"]


@pytest.mark.parametrize("kind", ["unet", "srresnet"])
def test_training_repeats_and_leaves_the_global_generator_alone(scene: Scene, kind: str) -> None:
    clean, released = scene.material.pairs or (scene.clean, scene.clean)
    state = torch.get_rng_state()
    short = Training(steps=3, batch=4, width=4)
    one, other = (
        train_restorer(released, clean, kind=kind, training=short, generator=_seeded())[0]  # type: ignore[arg-type]
        for _ in range(2)
    )
    assert torch.equal(one(released), other(released))
    assert torch.equal(torch.get_rng_state(), state)


def test_training_stops_in_time(scene: Scene) -> None:
    clean, released = scene.material.pairs or (scene.clean, scene.clean)
    endless = Training(steps=100_000, batch=4, width=4, seconds=0.2)
    restore, clock = train_restorer(
        released, clean, kind="unet", training=endless, generator=_seeded()
    )
    assert restore(released).shape == released.shape
    assert clock.cut
    assert 0 < clock.ran < clock.asked == 100_000


@pytest.mark.parametrize("net", [UNet(3, 4), SRResNet(3, 4)], ids=["unet", "srresnet"])
@pytest.mark.parametrize("size", [(32, 32), (30, 37)], ids=repr)
def test_nets_keep_any_size(net: nn.Module, size: tuple[int, int]) -> None:
    assert net(torch.zeros(2, 3, *size)).shape == (2, 3, *size)


def test_strength_is_guessed(scene: Scene) -> None:
    assert likely_psnr(scene.material) == pytest.approx(10.0, abs=2.5)


SWEEP = Sweep(rates=(3e-3,), epochs=(12,), starts=("pretrained",))


@pytest.mark.parametrize("attack", [FineTune(SWEEP), LearnedFront(SWEEP)], ids=["tune", "front"])
def test_adapted_rivals_learn(scene: Scene, attack: FineTune | LearnedFront) -> None:
    """Judged on the pictures they were trained on, they must know them; the rival stays as it was."""
    assert scene.material.labelled is not None
    windows, labels = scene.material.labelled
    assert scene.rival.module is not None
    before = [value.clone() for value in scene.rival.module.state_dict().values()]
    jury = replace(scene.jury, released=windows, truth={"theirs": labels})
    attempts = list(attack.run(scene.material, generator=_seeded()))
    plain = sum(jury.hits("theirs", Attempt(setting="none", restored=windows)))
    assert max(sum(jury.hits("theirs", attempt)) for attempt in attempts) > plain + 6
    after = scene.rival.module.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def _unsteady(rival: Model, *layers: nn.Module) -> Model:
    """The rival with further layers that training mode moves."""
    assert isinstance(rival.module, nn.Sequential)
    module = nn.Sequential(*layers, *copy.deepcopy(rival.module)).eval().requires_grad_(False)
    return replace(rival, module=module)


def test_a_frozen_rival_stays_as_it_was(scene: Scene) -> None:
    """With a batch norm and dropout: frozen, nothing of it moves; adapting, its statistics do."""
    rival = _unsteady(scene.rival, nn.BatchNorm2d(3), nn.Dropout(0.2))
    assert rival.module is not None
    before = rival.module.state_dict()
    material = replace(scene.material, rivals={"theirs": rival})
    sweep = Sweep(rates=(1e-3,), epochs=(1,), starts=("pretrained",))
    frozen, moved = 0, 0
    for attempt in LearnedFront(sweep).run(material, generator=_seeded()):
        assert isinstance(attempt.classify, Reader)
        after = attempt.classify.body.state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        if attempt.setting.startswith("rival frozen"):
            assert changed == set()
            frozen += 1
        else:
            assert attempt.setting.startswith("weights frozen, statistics adapt, dropout on")
            assert {name.split(".")[-1] for name in changed} == {
                "running_mean", "running_var", "num_batches_tracked",
            }  # fmt: skip
            moved += 1
    assert frozen == moved == 2  # tiles of 8 and of 16


def test_a_steady_rival_is_tried_once(scene: Scene) -> None:
    """Without batch norm or dropout training mode changes nothing."""
    sweep = Sweep(rates=(1e-3,), epochs=(1,), starts=("pretrained",))
    attempts = list(LearnedFront(sweep).run(scene.material, generator=_seeded()))
    assert [attempt.setting.split(",")[0] for attempt in attempts] == ["rival frozen"] * 2
    assert list(LearnedFront(sweep, ("adapting",)).run(scene.material, generator=_seeded())) == []


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.BatchNorm2d(3), ("statistics adapt",)),
        (nn.BatchNorm2d(3, track_running_stats=False), ()),
        (nn.Dropout(0.5), ("dropout on",)),
        (nn.Dropout(0.0), ()),
        (nn.Sequential(nn.Dropout2d(0.1), nn.BatchNorm1d(3)), ("statistics adapt", "dropout on")),
        (nn.LayerNorm(3), ()),
    ],
    ids=repr,
)
def test_what_training_mode_moves(layer: nn.Module, words: tuple[str, ...]) -> None:
    assert unsettled(nn.Sequential(nn.Conv2d(3, 3, 1), layer)) == words


def test_training_use_is_judged_on_clean_pictures(scene: Scene) -> None:
    """Each net's own predictions on the clean pictures are what counts, and the best net is found."""
    sweep = Sweep(rates=(3e-3,), epochs=(4, 8), starts=("scratch",))
    right = classes(scene.clean)
    tried = []
    for attempt in TrainingUse(sweep).run(scene.material, generator=_seeded()):
        assert isinstance(attempt.classify, Reader)
        with torch.no_grad():
            tried.append((attempt.classify(scene.clean).argmax(1) == right).tolist())
    (found,) = TrainingUse(sweep)(scene.material, scene.jury)
    assert len(tried) == found.tries == 2
    assert found.hits == tuple(max(tried, key=sum))


def test_a_thief_learns_from_clean_pictures_and_not_from_labels_by_chance(scene: Scene) -> None:
    sweep = Sweep(rates=(3e-3,), epochs=(30,), starts=("scratch",))
    public = scene.material.public
    assert public is not None
    right = classes(public)
    order = torch.randperm(len(right), generator=_seeded())
    taught, misled = (
        TrainingUse(sweep)(replace(scene.material, labelled=(public, labels)), scene.jury)[0]
        for labels in (right, right[order])
    )
    assert sum(taught.hits) > 40  # of 60, 15 by chance
    assert sum(misled.hits) < sum(taught.hits) - 15


def test_training_use_needs_the_clean_pictures(scene: Scene) -> None:
    sweep = Sweep(rates=(3e-3,), epochs=(1,), starts=("scratch",))
    with pytest.raises(InvalidArgument, match="source: expected the clean pictures"):
        TrainingUse(sweep)(scene.material, replace(scene.jury, clean=None))


def test_a_tuned_preprocessor_beats_none(scene: Scene) -> None:
    (found,) = TunedPreprocessor(Tuning(steps=30))(scene.material, scene.jury)
    plain = sum(
        scene.jury.hits("theirs", Attempt(setting="none", restored=scene.material.released))
    )
    assert sum(found.hits) > plain


def test_a_preprocessor_is_tuned_on_every_class(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files come class by class, and a few of them tell more when they are of several."""
    assert scene.material.labelled is not None
    windows, labels = scene.material.labelled
    order = labels.argsort()
    seen: list[torch.Tensor] = []

    def tuned(
        self: object, rival: object, windows: object, labels: torch.Tensor, steps: int
    ) -> tuple[nn.Module, Clock]:
        seen.append(labels)
        return nn.Identity(), Clock(1.0)

    monkeypatch.setattr(TunedPreprocessor, "_tuned", tuned)
    sorted_ = replace(scene.material, labelled=(windows[order], labels[order]))
    TunedPreprocessor(Tuning(samples=30))(sorted_, scene.jury)
    assert len(seen[0]) == 30
    assert len(seen[0].unique()) == len(labels.unique())


def test_identities() -> None:
    windows = torch.rand(2, 3, 16, 16, generator=_seeded())
    assert torch.allclose(TileFront(3, 8)(windows), windows, atol=1e-6)
    sharp = Preprocessor(3, 3)
    with torch.no_grad():
        sharp.filter.fill_(-50.0)
        sharp.filter[1, 1] = 50.0
    assert torch.allclose(sharp(windows.clamp(0.01, 1)), windows.clamp(0.01, 1), atol=1e-5)


def test_a_rival_torch_cannot_run_is_unsuited(scene: Scene) -> None:
    frozen = replace(scene.rival, module=None)
    material = replace(scene.material, rivals={"theirs": frozen})
    with pytest.raises(Unsuited, match="no rival can be trained"):
        trainable(material)
    with pytest.raises(Unsuited, match="theirs cannot be trained"):
        Reader(frozen)


class Bad(NamedTuple):
    kind: type
    settings: dict[str, object]
    match: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad(Training, {"steps": 0}, "steps: expected above 0"),
        Bad(Sweep, {"rates": ()}, "sweep: expected one setting or more"),
        Bad(Sweep, {"seconds": 0.0}, "sweep: expected one setting or more"),
        Bad(Tuning, {"kernel": 4}, "tuning: expected counts, a rate, an odd kernel"),
    ],
    ids=repr,
)
def test_settings_are_checked(bad: Bad) -> None:
    with pytest.raises(InvalidArgument, match=bad.match):
        bad.kind(**bad.settings)


def test_seeded_restores_the_generator() -> None:
    state = torch.get_rng_state()
    with seeded(_seeded()):
        first = torch.rand(3)
    with seeded(_seeded()):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), state)
