"""Recoded sounds: what keyword spotters get from them, before and after what is done to sounds.

Quick: ten chirps, nets trained in seconds. Full: ten words spoken by espeak-ng (see `spoken`), 320
test words of eight voices that no net heard. Strength: PSNR with peak 2, the range of samples.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial

from torch import Tensor

from catch11.attacks.frame import Attempt, Material
from catch11.attacks.jury import ClassJury
from catch11.canvas.grid import GRIDS, decibels
from catch11.data.sounds import Clip
from catch11.evaluation.cells import Cell
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.record import Condition, Record, Role
from catch11.evaluation.score import Run, to_record
from catch11.keys.key import Key, build_key
from catch11.modalities.audio.filters import frames
from catch11.modalities.audio.model import AudioModel
from catch11.modalities.audio.recoder import RADIUS
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoded
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.assault import every_finding
from catch11.studies.frame import Scale, Study
from catch11.studies.nets import spoken
from catch11.studies.place import Place
from catch11.studies.tables import released_table
from catch11.studies.trial import SECRET

STRENGTHS = (30.0, 20.0, 15.0, 10.0)
ATTACKED = (15.0, None)  # the strength that is attacked, and deep
PUBLIC = 400  # clean sounds that an attacker holds


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Two authorized nets, each at four strengths and deep."""
    words = "chirps" if scale == "quick" else "words"
    found = []
    for name in ("framed", "overlapping"):
        for strength in (*STRENGTHS, None):
            method = "deep" if strength is None else "spectral"
            title = f"{name} {method}" + ("" if strength is None else f" {strength:g} dB")
            radius = RADIUS if strength is None else None
            settings = {"words": words, "authorized": name, "method": method, "psnr": strength}
            settings |= {} if radius is None else {"radius": radius}
            found.append(Cell(name=title, settings=settings))
    return found


@cache
def nets(words: str) -> Mapping[str, AudioModel]:
    """The nets of one set of words; the spectrogram one hears too slowly for the quick scale."""
    if words == "chirps":
        names = ("framed", "framed_twin", "overlapping")
        return {name: spoken.chirping(name) for name in names}
    return {name: spoken.trained(name) for name in spoken.NETS}


def work(cell: Cell, place: Place) -> Sequence[Record]:
    words, name = str(cell.settings["words"]), str(cell.settings["authorized"])
    strength = cell.settings["psnr"]
    data = spoken.chirps() if words == "chirps" else spoken.spoken_words()
    models = nets(words)
    model = models[name]
    key = build_key(model, secret=SECRET)
    made = _recoded(model, key, data.test, strength)
    decibels = tuple(made.psnr)
    generators = tuple(item_generator(str(i), seed=0) for i in range(len(data.test)))
    noisy = noise_at(data.test, decibels, grid=GRIDS["wav16"], generators=generators)
    jury = ClassJury(
        rivals=models, truth=dict.fromkeys(models, data.test_labels), released=made.images,
        predict=lambda one, windows: one.logits(inputs(one, windows)).argmax(1),
    )  # fmt: skip
    rows: list[tuple[Condition, Tensor]] = [
        ("clean", data.test), ("nte", made.images), ("gaussian", noisy)
    ]  # fmt: skip
    mean = sum(decibels) / len(decibels)
    settings = {
        "release": cell.name, "snr": _snr(made.images, data.test),
        "withheld": len(made.reasons) - made.reasons.count(None),
        "shift": sum(made.front_shift) / len(made.front_shift),
    }  # fmt: skip
    run = Run(key=key.fingerprint, settings=settings)
    records = [
        to_record(
            measured, run, model=other, role=_role(name, other), condition=condition,
            fingerprint=rival.fingerprint, psnr=None if condition == "clean" else mean,
        )
        for other, rival in models.items()
        for condition, windows in rows
        for measured in jury.measures(other, Attempt(setting=condition, restored=windows))
    ]  # fmt: skip
    if strength not in ATTACKED:
        return records
    material = Material(
        canvas=model.canvas, released=made.images, public=data.train[:PUBLIC], front=key.front,
        pieces=frames,
    )  # fmt: skip
    return records + [
        to_record(
            measured, run, model=found.rival, role=_role(name, found.rival), condition="attack",
            fingerprint=models[found.rival].fingerprint, attack=found.attack,
            knowledge=found.knowledge, psnr=mean,
        )
        for found in every_finding("audio", material, jury)
        for measured in found.measures
    ]  # fmt: skip


def inputs(model: AudioModel, windows: Tensor) -> Tensor:
    """What a net makes of windows as a wave file holds them."""
    if not model.features:
        return model.canvas.normalise(windows)
    waves = (windows.flatten(1) * 2.0 - 1.0).numpy()
    return model.preprocess([Clip(samples=wave, rate=spoken.RATE) for wave in waves])


def _recoded(model: AudioModel, key: Key, windows: Tensor, strength: object) -> Recoded:
    if strength is None:
        return DeepRecoder(model, key, format="wav16", chunk=32, radius=RADIUS)(windows)
    assert isinstance(strength, float)
    return SpectralRecoder(key, format="wav16", psnr=strength, noise="gaussian")(windows)


def _role(authorized: str, other: str) -> Role:
    if authorized == other:
        return "authorized"
    return "ta" if other.removesuffix("_twin") == authorized else "ga"


def _snr(released: Tensor, windows: Tensor) -> float:
    """Mean over sounds of the signal-to-noise ratio, dB."""
    signal = (windows - 0.5).square().flatten(1).sum(1)
    noise = (released - windows).square().flatten(1).sum(1).clamp_min(1e-12)
    return float(decibels(noise / signal).mean())


STUDY = Study(
    name="sounds",
    title="Recoded sounds and keyword spotters",
    source="beyond the paper: one-dimensional fronts",
    cells=cells,
    work=work,
    view=partial(released_table, strength="PSNR with peak 2, the range of samples"),
    minutes=3,
)
