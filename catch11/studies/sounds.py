"""Recoded sounds: what keyword spotters get from them, before and after what is done to sounds.

Quick: ten chirps, nets trained in seconds. Full: ten words spoken by espeak-ng (see `spoken`), 320
test words of eight voices that no net heard. Strength: PSNR with peak 2, the range of samples.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from torch import Tensor

from catch11.canvas.grid import GRIDS, decibels
from catch11.data.sounds import Clip
from catch11.evaluation.cells import Cell
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record, Role
from catch11.keys.key import Key, build_key
from catch11.modalities.audio.filters import blind_attacks, projected, wiener
from catch11.modalities.audio.model import AudioModel
from catch11.modalities.audio.recoder import RADIUS
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoded
from catch11.recoding.spectral.recoder import SpectralRecoder
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
    rows: list[tuple[Condition, str | None, tuple[str, ...], Tensor]] = [
        ("clean", None, (), data.test), ("nte", None, (), made.images), ("gaussian", None, (), noisy),
    ]  # fmt: skip
    if strength in ATTACKED:
        rows += _attacked(made.images, data.train[:PUBLIC], key)
    mean = sum(decibels) / len(decibels)
    records = []
    for other, rival in models.items():
        for condition, attack, knowledge, windows in rows:
            given = rival.logits(inputs(rival, windows)).argmax(1)
            share = accuracy((given == data.test_labels).tolist())
            records.append(
                Record(
                    model=other, role=_role(name, other), condition=condition, metric="accuracy",
                    value=share.estimate, low=share.low, high=share.high, n=len(data.test),
                    attack=attack, knowledge=knowledge,
                    psnr=None if condition == "clean" else mean,
                    model_fingerprint=rival.fingerprint, key_fingerprint=key.fingerprint,
                    settings={
                        "release": cell.name, "snr": _snr(made.images, data.test), "withheld": _withheld(made),
                        "shift": sum(made.front_shift) / len(made.front_shift),
                    },
                )
            )  # fmt: skip
    return records


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


def _attacked(
    released: Tensor, public: Tensor, key: Key
) -> list[tuple[Condition, str | None, tuple[str, ...], Tensor]]:
    rows: list[tuple[Condition, str | None, tuple[str, ...], Tensor]] = []
    blind: Mapping[str, Callable[[Tensor], Tensor]] = blind_attacks()
    for name, run in blind.items():
        rows.append(("attack", name, ("released",), run(released)))
    rows.append(("attack", "Wiener", ("released", "public"), wiener(released, public)))
    if key.front.patched:
        known = ("released", "public", "front")
        rows.append(("attack", "front known", known, projected(released, public, key.front)))
    return rows


def _role(authorized: str, other: str) -> Role:
    if authorized == other:
        return "authorized"
    return "ta" if other.removesuffix("_twin") == authorized else "ga"


def _snr(released: Tensor, windows: Tensor) -> float:
    """Mean over sounds of the signal-to-noise ratio, dB."""
    signal = (windows - 0.5).square().flatten(1).sum(1)
    noise = (released - windows).square().flatten(1).sum(1).clamp_min(1e-12)
    return float(decibels(noise / signal).mean())


def _withheld(made: Recoded) -> int:
    return sum(reason is not None for reason in made.reasons)


STUDY = Study(
    name="sounds",
    title="Recoded sounds and keyword spotters",
    source="beyond the paper: one-dimensional fronts",
    cells=cells,
    work=work,
    view=partial(released_table, strength="PSNR with peak 2, the range of samples"),
    minutes=3,
)
