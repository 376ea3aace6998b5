"""Beyond the licence at a keep: pictures and answers that the licensee gets out of files."""

from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional

from catch11.attacks.decoder import LicenseeDecoder, MeanPicture
from catch11.attacks.frame import Attack, Attempt, Material
from catch11.attacks.heads import LicenseeHead, ridge_head
from catch11.attacks.inversion import Inverting, LicenseeInversion
from catch11.attacks.jury import ClassJury
from catch11.attacks.nets import Training
from catch11.attacks.posed import posed
from catch11.attacks.projection import FrontWiener, ProjectInpaint
from catch11.canvas.grid import GRIDS, psnr
from catch11.errors import Unsuited
from catch11.evaluation.metrics import auc, ssim
from catch11.evaluation.questions import QUESTIONS
from catch11.evaluation.record import Record
from catch11.evaluation.score import Measured
from catch11.models.frame import Model
from catch11.studies.assault import jury, material
from catch11.studies.keep.lines import line, mean
from catch11.studies.trial import Trial

EYE = "the picture itself"
ASKED = ("warm", "bright", "busy", "animal")
TRAINING = {
    "thumbnails": {"quick": Training(steps=150, width=16), "full": Training(steps=1000)},
    "photographs": {"quick": Training(steps=60, width=8, crop=64), "full": Training(steps=150, width=16, crop=64)},
}  # fmt: skip
INVERTING = {
    "quick": Inverting(steps=60, rate=0.05, smooth=(1.0,)),
    "full": Inverting(rate=0.05, smooth=(0.3, 3.0)),
}
ROUNDS = {"quick": (8,), "full": (8, 32)}  # of filling in what the front does not see


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EyeJury(ClassJury):
    """Rivals as they judge, and beside them an eye that goes by the PSNR of what was restored, and
    says its SSIM too, where pictures are large enough for it."""

    def measures(self, name: str, attempt: Attempt) -> tuple[Measured, ...]:
        if name != EYE:
            return super(EyeJury, self).measures(name, attempt)
        assert attempt.restored is not None
        assert self.clean is not None
        seen = GRIDS["png8"].round(attempt.restored.clamp(0, 1))
        values = {"psnr": psnr(seen, self.clean).clamp(max=100.0)}
        if min(seen.shape[-2:]) >= 11:
            values["ssim"] = ssim(self.clean, seen)
        return tuple(
            Measured(metric=name, value=mean(each), n=len(each)) for name, each in values.items()
        )


def few(held: Material, judge: ClassJury, count: int) -> tuple[Material, EyeJury]:
    """The first `count` files of a scene, with an eye among the rivals."""
    assert judge.clean is not None
    truth = {name: right[:count] for name, right in judge.truth.items()}
    eye = EyeJury(
        rivals={**judge.rivals, EYE: None}, truth=truth, predict=judge.predict,
        released=judge.released[:count], clean=judge.clean[:count], compare=judge.compare,
    )  # fmt: skip
    return replace(held, released=held.released[:count], others=None), eye


def pictures(trial: Trial, *, training: int, scale: str, count: int) -> list[Record]:
    """What comes of decoders, inversion and projection: by rivals' answers and by eye."""
    rivals = [name for name in trial.place.names(trial.family) if name != trial.authorized]
    knowledge = frozenset({"public", "front"})
    held = material(trial, knowledge, training=training, rivals=rivals)  # type: ignore[arg-type]
    held, judge = few(replace(held, weights=trial.model), jury(trial, rivals), count)
    attacks: list[Attack] = [
        MeanPicture(), LicenseeDecoder(TRAINING[trial.family][scale]), LicenseeInversion(INVERTING[scale]),
    ]  # fmt: skip
    if trial.keep == "all":
        attacks += [ProjectInpaint(ROUNDS[scale]), FrontWiener()]
    records = []
    for attack in attacks:
        try:
            findings = attack(held, judge, seed=0)
        except Unsuited:
            continue
        for one in findings:
            settings = {"setting": one.setting, "tries": one.tries}
            by_eye = one.rival == EYE
            records += [
                line(
                    trial, f"{attack.name}, {found.metric.upper() if by_eye else one.rival}", found.value, found.n,
                    model=one.rival, role="ga" if by_eye else trial.role(one.rival), metric=found.metric,
                    attack=attack.name, knowledge=one.knowledge, psnr=one.psnr, ssim=one.ssim, settings=settings,
                )
                for found in one.measures
            ]  # fmt: skip
    return records


def questions(trial: Trial, lessons: Trial) -> list[Record]:
    """New heads on files, beside heads of the originals' features and of the answer alone."""
    model = trial.model
    owner = {trial.authorized: model}
    held = Material(
        canvas=model.canvas, released=trial.made.windows, rivals=owner, weights=model,
        labelled=(lessons.made.windows, lessons.truth), pairs=(lessons.clean, lessons.made.windows),
    )  # fmt: skip
    judge = jury(trial, [trial.authorized])
    records = []
    learned, said = (_answers(model, windows) for windows in (lessons.clean, trial.clean))
    for name in ASKED:
        asked, judged = posed(QUESTIONS[name], held, judge, labels=trial.truth, names=model.labels)
        yes = judged.truth[trial.authorized].bool()
        if not 0 < int(yes.sum()) < len(yes):
            continue
        asked = replace(asked, weights=replace(model, name=trial.authorized))
        (one,) = LicenseeHead()(asked, judged)
        facts = {"attack": "licensee-head", "knowledge": one.knowledge, "metric": "auc"}
        settings = {"setting": one.setting, "tries": one.tries}
        records.append(
            line(trial, f"{name}?", one.measures[0].value, len(yes), settings=settings, **facts)
        )
        assert asked.labelled is not None
        made = ridge_head(learned, asked.labelled[1], ridge=1.0)(said)
        odds = made[:, 1] - made[:, 0]
        answer = auc(odds[yes], odds[~yes])
        records.append(line(trial, f"{name}? by answer", answer, len(yes), **facts))
    return records


def _answers(model: Model, windows: Tensor) -> Tensor:
    """A model's answer alone, a row a window."""
    given = model.logits(model.canvas.normalise(windows)).argmax(1)
    return functional.one_hot(given, len(model.labels)).float()
