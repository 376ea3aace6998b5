"""Each line of `bounds` against the noise it names, drawn by the recoder itself."""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from torch import nn

from catch11.canvas.grid import Format
from catch11.canvas.plain import plain_canvas
from catch11.data.fields import random_fields
from catch11.errors import InvalidArgument
from catch11.fronts.find import find_front
from catch11.fronts.front import Front
from catch11.keys.key import Key, key_of
from catch11.recoding.spectral.noise import Noise
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.subspaces.rule import Rule
from catch11.subspaces.tiles import TileSubspace
from catch11.theory import bounds
from catch11.theory.bounds import ANY, INSIDE, ISOTROPIC, NORMAL, Bound
from catch11.theory.prediction import draws_for, next_one
from catch11.theory.written import bounds_of_files, pictures_of

torch.set_num_threads(1)
# Sixteen tiles of eight and a rim of two; a convolution's recoder takes longer.
SIDES = {"tiles": 34, "convolution": 12}
PSNR = 7.0
# Pictures behind an interval, and fresh ones to judge it by. Of 159 draws the interval of .95 leaves
# out four at either end: what it covers of all others is Beta(152, 8), .95 with a deviation of .017;
# of 200 fresh draws another .015. SLACK: four of both together.
SEEN = {"tiles": 159, "convolution": 79}
FRESH = {"tiles": 200, "convolution": 100}
SLACK = {"tiles": 0.1, "convolution": 0.13}


class Setting(NamedTuple):
    kind: str
    noise: Noise
    format: Format


SETTINGS = [
    Setting(kind, noise, form)
    for kind in ("tiles", "convolution")
    for noise in ("content", "gaussian")
    for form in ("tensor", "png8")
]


def _front(kind: str, seed: int, side: int) -> Front:
    """Mixed cosines, the coarse ones loudest, as trained filters are."""
    generator = torch.Generator().manual_seed(seed)
    size, stride, padding = {"tiles": (8, 8, 0), "convolution": (3, 1, 1), "wide": (5, 2, 2)}[kind]
    order = torch.arange(size)
    cosines = (math.pi / size * order[:, None] * (order + 0.5)).cos()
    waves = torch.einsum("uy,vx->uvyx", cosines, cosines).reshape(-1, 1, size, size)
    loud = 1 / (1 + order[:, None] ** 2 + order**2).flatten()
    out = 3 * size * size
    mixture = torch.randn(out, len(waves), 3, generator=generator)
    layer = nn.Conv2d(3, out, size, stride=stride, padding=padding)
    layer.weight.data = torch.einsum("owc,w,wyx->ocyx", mixture, loud, waves[:, 0])
    module = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2)).eval()
    return find_front(module, plain_canvas(side, side))


@cache
def _key(kind: str) -> Key:
    side = SIDES[kind]
    return key_of(
        _front(kind, 0, side), canvas=plain_canvas(side, side), secret=bytes(32),
        rule=Rule(kind="energy", value=3e-3 if kind == "tiles" else 1e-3),
    )  # fmt: skip


@cache
def _rivals(kind: str) -> dict[str, Front]:
    return {"alike": _front("tiles", 1, SIDES[kind]), "wide": _front("wide", 2, SIDES[kind])}


NAMES = ("authorized", "alike", "wide")


def _fields(kind: str, count: int, seed: int) -> torch.Tensor:
    shape = (3, SIDES[kind], SIDES[kind])
    return random_fields(shape, count, generator=torch.Generator().manual_seed(seed))


def _moved(key: Key, setting: Setting) -> torch.Tensor:
    """δ of fresh pictures, by the key's own recoder."""
    clean = _fields(setting.kind, FRESH[setting.kind], 77)
    recode = SpectralRecoder(key, psnr=PSNR, noise=setting.noise, format=setting.format)
    return (recode(clean).images - clean).double()


def _speaks_of(bound: Bound, setting: Setting) -> bool:
    unboxed = setting.kind == "tiles" and setting.format == "tensor"
    return {
        ANY: True,
        INSIDE: unboxed,
        ISOTROPIC: unboxed and setting.noise == "gaussian",
        NORMAL: False,
    }.get(bound.noise, bound.noise == f"{setting.noise}, {setting.format}")


def _share(bound: Bound, kind: str, moved: torch.Tensor) -> float:
    """Of the fresh files, how many the bound holds for; what is certain, at the strength reached."""
    front = {"authorized": _key(kind).front, **_rivals(kind)}[bound.of]
    shifts = front.apply(moved).flatten(1).norm(dim=1)
    if bound.interval.confidence == 1.0:
        radius = 10 ** (-PSNR / 20) * math.sqrt(moved[0].numel())
        shifts = shifts * radius / moved.flatten(1).norm(dim=1)
    low, high = bound.interval.low * (1 - 1e-5), bound.interval.high * (1 + 1e-5)
    return float(((shifts >= low) & (shifts <= high)).double().mean())


def _all_bounds(setting: Setting) -> tuple[Bound, ...]:
    key, rivals = _key(setting.kind), _rivals(setting.kind)
    windows = _fields(setting.kind, SEEN[setting.kind], 5)
    found = bounds_of_files(
        key, windows, psnr=PSNR, noise=setting.noise, format=setting.format, rivals=rivals
    )
    return found.bounds + bounds.bounds_of_key(key, psnr=PSNR, rivals=rivals)


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_a_line_holds_for_the_noise_it_names(setting: Setting) -> None:
    checked = set()
    moved = _moved(_key(setting.kind), setting)
    for bound in _all_bounds(setting):
        if not _speaks_of(bound, setting):
            continue
        checked.add((bound.of, bound.name))
        confidence = bound.interval.confidence
        least = 1.0 if confidence == 1.0 else confidence - SLACK[setting.kind]
        assert _share(bound, setting.kind, moved) >= least, (bound, setting)
    assert {(name, "recoded") for name in NAMES} <= checked
    assert {(name, "ceiling") for name in NAMES} <= checked
    isotropic = {("authorized", "sphere"), ("alike", "sphere"), ("wide", "sampled")}
    if setting == Setting("tiles", "gaussian", "tensor"):
        assert isotropic <= checked
    else:
        assert not isotropic & checked


@pytest.mark.parametrize("form", ["tensor", "png8"])
def test_the_isotropic_law_is_not_of_the_recoder_s_own_noise(form: Format) -> None:
    """Why the lines are told apart: --noise content is far outside the law of the sphere."""
    setting = Setting("tiles", "content", form)
    moved = _moved(_key("tiles"), setting)
    sphere = [b for b in _all_bounds(setting) if b.name == "sphere" and b.of == "authorized"]
    assert sphere[0].noise == ISOTROPIC
    assert _share(sphere[0], setting.kind, moved) < 0.5


def test_a_box_takes_files_out_of_the_subspace() -> None:
    for kind, forms in (("tiles", ("tensor", "png8")), ("convolution", ("png8",))):
        shares = {
            form: bounds_of_files(_key(kind), _fields(kind, 4, 1), psnr=PSNR, format=form).outside
            for form in forms
        }
        assert shares["png8"].low > 1e-3
        assert kind == "convolution" or shares["tensor"].high < 1e-5


def test_the_spectrum_s_cut_is_certain_inside_a_convolution_s() -> None:
    """The worst directions within the cut, from the explicit operator, touch it and do not pass."""
    key = _key("convolution")
    (sure,) = [b for b in bounds.bounds_of_key(key, psnr=PSNR) if b.name == "certificate"]
    _, values, right = torch.linalg.svd(key.front.explicit())
    inside = values <= key.subspace.cut  # type: ignore[attr-defined]
    assert int(inside.sum()) == key.subspace.dimension
    radius = 10 ** (-PSNR / 20) * math.sqrt(key.subspace.ambient)
    worst = right[: len(values)][inside].reshape(-1, *key.front.shape) * radius
    shifts = key.front.apply(worst).flatten(1).norm(dim=1)
    assert 0.5 * sure.interval.high <= float(shifts.max()) <= sure.interval.high * (1 + 1e-9)
    assert sure.to_dict()["estimate"] is None


@pytest.mark.parametrize("kind", ["tiles", "convolution", "wide"])
def test_no_direction_beats_the_ceiling(kind: str) -> None:
    front = _front(kind, 3, 18)
    exact = float(torch.linalg.matrix_norm(front.explicit(), 2))
    found = bounds.ceiling(front, 2.0)
    assert 2 * exact <= found.high * (1 + 1e-9)
    assert found.high <= 2 * exact * 1.15
    assert math.isnan(found.estimate)


def test_a_rim_is_counted_among_what_the_front_does_not_see() -> None:
    key = _key("tiles")
    assert isinstance(key.subspace, TileSubspace)
    assert key.subspace.dimension > 16 * (192 - key.subspace.kept.shape[1])
    sure, sphere = bounds.bounds_of_key(key, psnr=PSNR)[:2]
    assert sure.interval.low == 0.0
    noise = key.subspace.project(torch.randn(2000, 3, 34, 34).double())
    noise *= 10 ** (-PSNR / 20) * math.sqrt(3) * 34 / noise.flatten(1).norm(dim=1)[:, None, None, None]  # fmt: skip
    shifts = key.front.apply(noise).flatten(1).norm(dim=1)
    held = (shifts >= sphere.interval.low) & (shifts <= sphere.interval.high)
    assert float(held.double().mean()) == pytest.approx(0.95, abs=0.02)
    assert float(shifts.square().mean().sqrt()) == pytest.approx(sphere.interval.estimate, rel=0.02)


# --- order statistics -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8, 39, 79, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_one_more_draw(count: int, confidence: float) -> None:
    """Exactly the share it says, for a heavy tail as well; the one asked for where draws suffice."""
    draws = torch.randn(4000, count + 1).exp() ** 3
    held, said = 0, 0.0
    for row in draws.tolist():
        found = next_one(row[:-1], confidence=confidence)
        held += found.low <= row[-1] <= found.high
        said = found.confidence
    assert held / len(draws) == pytest.approx(said, abs=0.025)
    if count >= draws_for(confidence):
        assert confidence <= said + 1e-12
        assert said < confidence + 2 / (count + 1)
    else:
        assert said == pytest.approx((count - 1) / (count + 1))


def test_fewest_draws() -> None:
    assert [draws_for(c) for c in (0.5, 0.9, 0.95, 0.99)] == [3, 19, 39, 199]
    for confidence in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        n = draws_for(confidence)
        assert (n - 1) / (n + 1) >= confidence - 1e-12 > (n - 2) / n - 1e-12


# --- pictures ---------------------------------------------------------------------------------


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    canvas = plain_canvas(8, 8)
    for level in range(6):
        Image.new("RGB", (8, 8), (level * 10,) * 3).save(tmp_path / f"{level}.png")
    (tmp_path / "list.csv").write_text("file,label\n")
    draws = [
        pictures_of(tmp_path, canvas, 4, generator=torch.Generator().manual_seed(seed))
        for seed in range(8)
    ]
    levels = [(d[:, 0, 0, 0] * 25.5).round().int().tolist() for d in draws]
    assert all(len(set(one)) == 4 for one in levels)
    assert len({tuple(one) for one in levels}) > 1, "not always the first ones"
    assert len(pictures_of(tmp_path, canvas, 99, generator=torch.Generator())) == 6
    (tmp_path / "none").mkdir()
    with pytest.raises(InvalidArgument, match="source: expected pictures, found none"):
        pictures_of(tmp_path / "none", canvas, 4, generator=torch.Generator())


def test_fields_are_pictures_of_their_own() -> None:
    fields = _fields("tiles", 3, 4)
    assert fields.shape == (3, 3, 34, 34)
    assert 0.0 <= float(fields.min()) < 0.2 < 0.8 < float(fields.max()) <= 1.0
    assert float((fields[0] - fields[1]).norm()) > 1.0


def test_refusals() -> None:
    key = _key("tiles")
    with pytest.raises(InvalidArgument, match="pictures: expected two or more, found 1"):
        bounds_of_files(key, _fields("tiles", 1, 0), psnr=PSNR)
    with pytest.raises(InvalidArgument, match="draws: expected two or more, found 1"):
        next_one([1.0])
    with pytest.raises(InvalidArgument, match="confidence: expected a number between"):
        next_one([1.0, 2.0], confidence=1.0)
    small = find_front(nn.Sequential(nn.Conv2d(3, 5, 4, stride=4)).eval(), plain_canvas(8, 8))
    with pytest.raises(InvalidArgument, match="rival small: expected a window"):
        bounds_of_files(key, _fields("tiles", 3, 0), psnr=PSNR, rivals={"small": small})
    for field, value, match in (("modality", "audio", "one of audio"), ("private", True, "copy")):
        other = key_of(
            key.front,
            canvas=key.canvas,
            rule=key.rule,
            secret=bytes(32),
            **{field: value},  # type: ignore[arg-type]
        )
        with pytest.raises(InvalidArgument, match=match):
            bounds_of_files(other, _fields("tiles", 3, 0), psnr=PSNR)
