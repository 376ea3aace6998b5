"""Seals: what is opened is what was meant, bit for bit; what lies in files is uniform noise."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.canvas.plain import plain_canvas
from catch11.copies.seal import SealSecret
from catch11.crypto.opening import Opener, Opening
from catch11.data.windows import to_pixels
from catch11.errors import InvalidArgument
from catch11.keys.key import build_key
from catch11.models.hub.pictures import processor_canvas, processor_prepare
from catch11.models.onnx.opening import put_before
from catch11.recoding.scramble import ScrambleRecoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.nets import digits
from tests.crypto.test_chacha import ROWS as VECTORS
from tests.crypto.test_chacha import Row as Vector
from tests.models.test_canvases import AFFINE, ROWS, Affine, Row, processor

GRID = GRIDS["png8"]
LEVEL = 1e-4  # of each test of randomness; the draws are fixed, so none fails by chance
Run = Callable[[Tensor], Tensor]


def seal_of(canvas: Canvas, number: int = 1) -> SealSecret:
    return SealSecret(secret=bytes([number]) * 32, canvas=canvas, original="a" * 64)


def noise(canvas: Canvas, count: int, *, seed: int = 0) -> Tensor:
    """Windows of 8-bit values."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *canvas.shape), generator=generator) / 255


def in_torch(opener: Opener) -> Run:
    return Opening(opener)


def in_a_graph(opener: Opener, *, last: bool = False, kind: int = 1) -> Run:
    """The opening before a graph that does nothing, in onnxruntime."""
    shape = opener.canvas.shape
    sides = [*shape[1:], shape[0]] if last else [*shape]
    info = [onnx.helper.make_tensor_value_info(n, kind, ["n", *sides]) for n in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", info[:1], info[1:])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9
    )
    made = put_before(model, opener)
    onnx.checker.check_model(made)
    session = onnxruntime.InferenceSession(made.SerializeToString())

    def run(values: Tensor) -> Tensor:
        given = values.permute(0, 2, 3, 1) if last else values
        array = given.contiguous().numpy()
        out = session.run(None, {"x": array.astype(np.float16) if kind == 10 else array})[0]
        said = torch.from_numpy(out).float()
        return said.permute(0, 3, 1, 2) if last else said

    return run


RUNTIMES = (in_torch, in_a_graph)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row.section)
def test_openings_run_the_standards_cipher(row: Vector, runtime: Callable[..., Run]) -> None:
    """Zeros that carry the nonce of a vector open to its key stream."""
    canvas = plain_canvas(4, 256, mean=(0.5,), std=(0.25,))
    places = tuple(range(1023, 1023 - 96, -1))
    number = int.from_bytes(bytes.fromhex(row.nonce), "little")
    levels = torch.zeros(1024)
    levels[list(places)] = torch.tensor([float(number >> k & 1) for k in range(96)])
    run = runtime(Opener(canvas=canvas, key=row.key, places=places))
    made = run(canvas.normalise(levels.view(1, *canvas.shape) / 255))
    opened = GRID.index(canvas.denormalise(made)).flatten().to(torch.uint8)
    block = opened[64 * row.counter : 64 * row.counter + 64]
    assert bytes(block.tolist()).hex() == row.stream


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_pipelines_open_what_was_meant(row: Row) -> None:
    """Through the real processor, on canvas pictures with their margins, alone and in a batch."""
    own = processor(row.kind, row.settings)
    canvas, _ = processor_canvas(own)
    _opens(canvas, processor_prepare(own))


@pytest.mark.parametrize("row", AFFINE, ids=repr)
def test_normalisations_open_what_was_meant(row: Affine) -> None:
    own = processor(row.kind, row.settings)
    canvas, _ = processor_canvas(own)
    _opens(canvas, processor_prepare(own))


def _opens(canvas: Canvas, prepare: Any) -> None:
    seal = seal_of(canvas)
    windows = noise(canvas, 32)
    meant = seal.cleared(windows)
    assert (windows - meant).abs().max() <= 1 / 255 + 1e-7
    assert int((windows != meant).sum()) <= 32 * 96
    sealed = seal.as_read(windows)
    whole = canvas.place(sealed, seal.around(meant))
    pictures = [Image.fromarray(to_pixels(image)) for image in whole]
    for some, runtime in product((slice(0, 1), slice(0, 32)), RUNTIMES):
        made = runtime(seal.opener)(prepare(pictures[some]).float())
        assert torch.equal(GRID.index(canvas.denormalise(made)), GRID.index(meant[some]))
        torch.testing.assert_close(made, canvas.normalise(meant[some]), rtol=2e-7, atol=2e-6)


@pytest.mark.parametrize(("last", "kind"), [(True, 1), (False, 10), (True, 10)])
def test_graphs_of_other_inputs_open_too(last: bool, kind: int) -> None:
    """Channels last, and 16-bit floats."""
    canvas = plain_canvas(12, 20, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    seal, windows = seal_of(canvas), noise(canvas, 5)
    made = in_a_graph(seal.opener, last=last, kind=kind)(canvas.normalise(seal.as_read(windows)))
    assert torch.equal(GRID.index(canvas.denormalise(made)), GRID.index(seal.cleared(windows)))


CANVAS = plain_canvas(32, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_the_owner_opens_as_the_copy_does() -> None:
    seal, windows = seal_of(CANVAS), noise(CANVAS, 4)
    sealed = seal.as_read(windows)
    assert torch.equal(seal.opened(sealed), seal.cleared(windows))
    assert torch.equal(sealed, seal.as_read(windows))
    assert torch.equal(sealed, seal.as_read(seal.cleared(windows)))
    assert torch.equal(sealed[2:], seal.as_read(windows[2:]))
    assert seal.intact(sealed) == [True] * 4


def test_any_change_of_a_file_shows() -> None:
    """Of a value, of a bit of the nonce, of a value that is black in both."""
    seal = seal_of(CANVAS)
    sealed = GRID.index(seal.as_read(noise(CANVAS, 1)))
    for place in (0, 1500, *seal.opener.places[:3]):
        changed = sealed.clone().flatten()
        changed[place] = (changed[place].int() ^ 1).float()
        assert seal.intact(GRID.value(changed.view_as(sealed))) == [False]
    shifted = sealed.roll(1, 3)
    assert seal.intact(GRID.value(shifted)) == [False]


def test_another_secret_opens_noise() -> None:
    mine, other, windows = seal_of(CANVAS), seal_of(CANVAS, 2), noise(CANVAS, 8)
    opened = other.opened(mine.as_read(windows))
    gap = (GRID.index(opened) - GRID.index(windows)).abs()
    assert 80 < float(gap.mean()) < 91  # 85.3 of two independent levels
    assert other.intact(mine.as_read(windows)) == [False] * 8
    assert mine.fingerprint != other.fingerprint


def test_what_is_said_of_a_seal_tells_nothing() -> None:
    seal = seal_of(CANVAS)
    shown = f"{seal!r} {seal.opener!r} {seal.fingerprint} {Opening(seal.opener)!r}"
    for hidden in (seal.secret, seal.opener.key):
        assert hidden.hex() not in shown
        assert str(list(hidden[:4]))[1:-1] not in shown
    assert str(seal.opener.places[0]) not in repr(seal.opener)


class Thing(NamedTuple):
    """Windows of one kind, all of which must look alike once sealed."""

    name: str
    windows: Tensor


THINGS = (
    Thing("black", torch.zeros(1, *CANVAS.shape)),
    Thing("white", torch.ones(1, *CANVAS.shape)),
    Thing("steps", (torch.arange(256).view(-1, 1, 1, 1) / 255).expand(-1, *CANVAS.shape)),
    Thing("smooth", torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(64, 3, 32, 32) * torch.linspace(0.2, 1, 64).view(64, 1, 1, 1)),
)  # fmt: skip


def _files(thing: Thing) -> Tensor:
    """Levels of whole pictures, the margin with them."""
    canvas = Canvas(
        height=40, width=36, top=4, left=2, window_height=32, window_width=32, gain=CANVAS.gain,
        offset=CANVAS.offset, fit=CANVAS.fit,
    )  # fmt: skip
    seal = seal_of(canvas)
    whole = canvas.place(seal.as_read(thing.windows), seal.around(seal.cleared(thing.windows)))
    return GRID.index(whole).long()


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_files_are_uniform_noise(thing: Thing) -> None:
    """Level 1e-4 each: histogram of bytes, neighbours across and down, files beside each other, and
    the lowest bits, which carry the nonces."""
    files = _files(thing)
    assert stats.chisquare(torch.bincount(files.flatten(), minlength=256).numpy()).pvalue > LEVEL
    values = files.double() - 127.5
    pairs = [(values[..., 1:], values[..., :-1]), (values[..., 1:, :], values[..., :-1, :]), (values[:, 1:], values[:, :-1])]  # fmt: skip
    if len(files) > 1:
        pairs += [(values[1:], values[:-1])]
    for one, other in pairs:
        r = float((one * other).mean() / (values.square().mean()))
        assert abs(r) * math.sqrt(one.numel()) < stats.norm.isf(LEVEL / 2)
    ones = int((files & 1).sum())
    assert stats.binomtest(ones, files.numel()).pvalue > LEVEL


def test_places_and_nonces_are_as_often_one_as_zero() -> None:
    """Of many files, each of the 96 places; and no two files share their nonce."""
    seal = seal_of(CANVAS)
    windows = torch.zeros(400, *CANVAS.shape)
    windows[:, 0, 0, 0], windows[:, 0, 0, 1] = torch.arange(400) % 128 * 2 / 255, torch.arange(400) // 128 * 2 / 255  # fmt: skip
    bits = GRID.index(seal.as_read(windows)).long().flatten(1)[:, list(seal.opener.places)] & 1
    assert len({tuple(row) for row in bits.tolist()}) == len({*map(bytes, GRID.index(seal.cleared(windows)).byte().flatten(1).numpy())})  # fmt: skip
    for ones in bits.sum(0).tolist():
        assert stats.binomtest(ones, len(bits)).pvalue > LEVEL / 96


def test_small_windows_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="192 values or more, to hold a nonce, found 64"):
        seal_of(plain_canvas(8, 8, mean=(0.5,), std=(0.5,)))


def test_recoders_seal_what_they_made() -> None:
    """The window that a copy opens is the one made without a seal, but for the 96 lowest bits that carry
    a nonce and what the recoder makes of them: one source has one noise."""
    net, canvas = digits.patch_net().eval(), digits.digit_canvas()
    key = build_key(net, canvas=canvas, secret=bytes(32))
    seal = SealSecret(secret=bytes(32), canvas=canvas, original=key.front_fingerprint)
    images = noise(canvas, 3)
    plain, sealed = SpectralRecoder(key), SpectralRecoder(key, copy=seal)
    meant, made = plain(images), sealed(images)
    by_hand, _ = plain.run(seal.cleared(images), [plain.stream(image) for image in images])
    assert torch.equal(seal.opened(made.items), seal.cleared(plain.domain.rounded(by_hand)))
    apart = (seal.opened(made.items) - meant.items).abs() * 255
    assert apart.max() < 2.5
    assert apart.mean() < 0.5
    others = plain(seal.cleared(images)).items  # of another content, so of another noise
    assert (others - meant.items).abs().mul(255).mean() > 5
    assert made.psnr == pytest.approx(meant.psnr, abs=0.1)
    assert (
        sealed.settings == plain.settings
    )  # one source has one recoded window, whoever licenses it
    with pytest.raises(InvalidArgument, match="png8 for a sealed copy, which opens 8-bit values"):
        SpectralRecoder(key, copy=seal, format="tensor")
    with pytest.raises(InvalidArgument, match="of a personalised copy for method scramble"):
        ScrambleRecoder(key, seal)
    stranger = SealSecret(secret=bytes(32), canvas=canvas, original="b" * 64)
    with pytest.raises(InvalidArgument, match="that of another copy"):
        SpectralRecoder(key, copy=stranger)
