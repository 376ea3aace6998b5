"""The licensee beyond the licence: decoders, inversion, new questions; and rivals asked no or yes."""

from dataclasses import replace

import pytest
import torch

from catch11.attacks.adaptation import FineTune, Sweep
from catch11.attacks.decoder import LicenseeDecoder, MeanPicture, waves
from catch11.attacks.frame import Attempt, Material
from catch11.attacks.heads import LicenseeHead, RivalHead
from catch11.attacks.inversion import Inverting, LicenseeInversion, variation
from catch11.attacks.jury import ClassJury
from catch11.attacks.maps import maps_of, read, summary
from catch11.attacks.nets import Training
from catch11.attacks.posed import posed
from catch11.canvas.grid import psnr
from catch11.errors import InvalidArgument, Unsuited
from catch11.evaluation.metrics import balanced
from catch11.evaluation.questions import QUESTIONS, Question
from tests.attacks.conftest import Scene, classes, classifier, pictures

torch.set_num_threads(1)
SHORT = Training(steps=4, batch=4, width=4)
FEW = Inverting(steps=40, rate=0.05, smooth=(0.3,))
UPPER = Question(text="brightest above or below", classes={4: frozenset({0, 1})})


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _open(scene: Scene) -> Material:
    """A release that hides nothing: what a file keeps is all of the picture."""
    return replace(scene.material, released=scene.clean)


def _best(material: Material, attack: object, clean: torch.Tensor) -> float:
    tried = attack.run(material, generator=_seeded())  # type: ignore[attr-defined]
    return max(float(psnr(one.restored, clean).mean()) for one in tried)


def test_waves_are_orthonormal_and_the_first_is_flat() -> None:
    basis = waves(12, 20, most=5)
    assert torch.allclose(basis @ basis.T, torch.eye(25, dtype=torch.double), atol=1e-12)
    assert float(basis[0].var()) < 1e-24


def test_maps_lie_where_the_picture_does() -> None:
    model = classifier(1, name="ours")
    windows = pictures(2, seed=4)
    front = maps_of(model)[2]
    moved = windows.clone()
    moved[..., :8, :8] = 1 - moved[..., :8, :8]
    changed = (read(model, front, moved) != read(model, front, windows)).any(3)
    assert changed[:, 0, 0].all()
    assert int(changed.sum()) == 2
    assert read(model, "logits", windows).shape == (2, 1, 1, 4)
    assert summary(read(model, front, windows)).shape == (2, 96)
    with pytest.raises(Unsuited, match="torch does not run it"):
        maps_of(replace(model, module=None))


@pytest.mark.parametrize(
    "attack", [LicenseeDecoder(SHORT), LicenseeInversion(FEW)], ids=["decoder", "inversion"]
)
def test_what_is_kept_is_decoded(scene: Scene, attack: LicenseeDecoder | LicenseeInversion) -> None:
    """From all of the picture more than the mean; from noise that answers nothing, no more."""
    held = _open(scene)
    floor = _best(held, MeanPicture(), scene.clean)
    assert _best(held, attack, scene.clean) > floor + 3.0
    noise = torch.rand(16, 3, 32, 32, generator=_seeded())
    assert _best(replace(held, released=noise), attack, scene.clean[:16]) < floor + 0.3


def test_too_few_pictures_to_decode_by(scene: Scene) -> None:
    few = replace(scene.material, public=scene.clean[:7])
    with pytest.raises(Unsuited, match="needs 8 public pictures"):
        list(LicenseeDecoder().run(few, generator=_seeded()))


def test_inversion_stops_in_time_and_says_so(scene: Scene) -> None:
    late = LicenseeInversion(Inverting(steps=50, smooth=(1.0,), seconds=1e-9))
    attempt = next(late.run(scene.material, generator=_seeded()))
    assert attempt.cut
    assert "cut" in attempt.setting
    with pytest.raises(InvalidArgument, match="numbers above 0"):
        Inverting(smooth=(0.0,))
    assert variation(torch.ones(2, 3, 8, 8)).tolist() == [0.0, 0.0]


def _licensee(scene: Scene) -> ClassJury:
    """The jury with the authorized model among those who answer."""
    models = {**scene.jury.rivals, "ours": scene.material.weights}
    return replace(scene.jury, rivals=models, truth=dict.fromkeys(models, classes(scene.clean)))


def test_a_rival_learns_a_super_class(scene: Scene) -> None:
    names, right = ("0", "1", "2", "3"), classes(scene.clean)
    material, jury = posed(UPPER, scene.material, scene.jury, labels=right, names=names)
    asked = jury.rivals["theirs"]
    assert asked.labels == ("no", "yes")
    plain = jury.measures("theirs", Attempt(setting="as it is", restored=scene.clean))
    assert [one.metric for one in plain] == ["auc", "balanced accuracy"]
    assert plain[0].value.estimate > 0.65  # clean pictures, by its own classes
    before = jury.measures("theirs", Attempt(setting="none", restored=material.released))
    sweep = Sweep(rates=(3e-3,), epochs=(12,), starts=("pretrained",))
    (found,) = FineTune(sweep)(material, jury)
    assert found.worth > before[0].value.estimate
    assert found.measures[1].metric == "balanced accuracy"
    (found,) = RivalHead()(material, jury)
    assert (found.rival, found.worth > 0.5) == ("theirs", True)
    assert RivalHead().unfit(scene.material)


def test_a_new_head_reads_what_files_keep_and_nothing_else(scene: Scene) -> None:
    warm = replace(QUESTIONS["bright"], above=0.5)
    jury = _licensee(scene)
    names = ("0", "1", "2", "3")
    material, asked = posed(warm, scene.material, jury, labels=None, names=names)
    assert material.rivals == {}
    (found,) = LicenseeHead()(material, asked)
    assert (found.rival, found.measures[0].metric) == ("ours", "auc")
    assert found.worth > 0.9  # a spectral file keeps all that the model sees
    assert material.labelled is not None
    noise = torch.rand(120, 3, 32, 32, generator=_seeded())
    lessons = (noise[60:], material.labelled[1])
    nothing = replace(material, released=noise[:60], labelled=lessons)
    (found,) = LicenseeHead()(nothing, replace(asked, released=noise[:60]))
    assert found.measures[0].value.low < 0.65
    assert LicenseeHead().unfit(scene.material)


def test_what_a_question_needs(scene: Scene) -> None:
    names = ("0", "1", "2", "3")
    with pytest.raises(InvalidArgument, match=r"labels.*super-classes"):
        posed(UPPER, scene.material, scene.jury, labels=None, names=names)
    blind = replace(scene.jury, clean=None)
    with pytest.raises(InvalidArgument, match=r"source.*what they look like"):
        posed(QUESTIONS["warm"], scene.material, blind, labels=None, names=names)
    assert balanced([2.0, 1.0], [True, False]).estimate == 1.0
