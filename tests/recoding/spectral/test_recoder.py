"""The spectral recoder in its frame: same picture, same file; other key, other file; bad input said."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from catch11.canvas.frame import Canvas, Fit
from catch11.canvas.grid import grid_of
from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key, build_key
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.noise import Noise, check_noise
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.windows import WindowDomain
from tests.fronts.test_find import Net
from tests.recoding.spectral.test_box import picture

CANVAS = Canvas(
    height=40, width=36, top=4, left=2, window_height=32, window_width=32, gain=(2.0, 2.0, 2.0),
    offset=(-1.0, -1.0, -1.0), fit=Fit(resize="exact", height=40, width=36),
)  # fmt: skip


@pytest.fixture(scope="module")
def net() -> Net:
    torch.manual_seed(0)
    return Net(nn.Conv2d(3, 40, 8, stride=8), window=(32, 32)).eval()


@pytest.fixture
def recoder(net: Net) -> SpectralRecoder:
    return SpectralRecoder(build_key(net, canvas=CANVAS, secret=bytes(32)), psnr=12.0)


WINDOWS = torch.cat([picture((3, 32, 32), seed=i) for i in range(4)])


def test_same_picture_same_file_whatever_the_batch(recoder: SpectralRecoder) -> None:
    together = recoder(WINDOWS).images
    for i in range(4):
        assert torch.equal(recoder(WINDOWS[i : i + 1]).images[0], together[i])
    assert torch.equal(recoder(WINDOWS.flip(0)).images, together.flip(0))


def test_answers_stay(recoder: SpectralRecoder, net: Net) -> None:
    recoded = recoder(WINDOWS)
    assert recoded.psnr == pytest.approx([12.0] * 4, abs=0.2)
    assert max(recoded.front_shift) < 0.05
    assert recoded.reasons == (None,) * 4
    with torch.no_grad():
        clean, kept = net(CANVAS.normalise(WINDOWS)), net(CANVAS.normalise(recoded.images))
    assert (clean - kept).norm() < 0.05 * clean.norm()


@pytest.mark.parametrize("change", ["key", "psnr", "tag", "noise"])
def test_noise_is_bound_to_key_and_settings(
    net: Net, recoder: SpectralRecoder, change: str
) -> None:
    key = build_key(net, canvas=CANVAS, secret=b"x" * 32) if change == "key" else recoder.key
    other = SpectralRecoder(
        key,
        psnr=12.5 if change == "psnr" else 12.0,
        tag="acme" if change == "tag" else "",
        noise="sign" if change == "noise" else "content",
    )
    one, two = recoder(WINDOWS[:1]).images - WINDOWS[:1], other(WINDOWS[:1]).images - WINDOWS[:1]
    # Content noise has the picture itself in common; the keyed part must not correlate.
    correlation = torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1]
    assert correlation < 0.6


@pytest.mark.parametrize("noise", ["gaussian", "sign", "content", "structured"])
def test_every_noise_reaches_the_strength(net: Net, noise: Noise) -> None:
    recoded = SpectralRecoder(build_key(net, canvas=CANVAS), psnr=14.0, noise=noise)(WINDOWS)
    assert recoded.psnr == pytest.approx([14.0] * 4, abs=0.2)


def test_shared_noise_is_shared(net: Net) -> None:
    key = build_key(net, canvas=CANVAS)
    shared = SpectralRecoder(
        key, psnr=25.0, noise="gaussian", tag="a", shared=True, format="tensor"
    )
    delta = shared(WINDOWS).images - WINDOWS
    torch.testing.assert_close(delta[0], delta[1], atol=1e-5, rtol=0)
    own = SpectralRecoder(key, psnr=25.0, noise="gaussian", tag="a", format="tensor")
    delta = own(WINDOWS).images - WINDOWS
    assert (delta[0] - delta[1]).norm() > delta[0].norm()


def test_whole_pictures_get_a_keyed_margin(recoder: SpectralRecoder) -> None:
    whole = torch.rand(2, 3, 40, 36)
    whole[1, :, 4:36, 2:34] = whole[0, :, 4:36, 2:34]
    made = recoder(whole)
    assert made.images.shape == whole.shape
    windows = CANVAS.window(whole).contiguous()
    assert torch.equal(CANVAS.window(made.images), recoder(windows).images)
    # The margin is keyed by the window alone: what stood in the margin cannot shine through.
    assert torch.equal(made.images[0], made.images[1])
    margin = made.images[0, :, :4]
    assert torch.equal((margin * 255).round() / 255, margin)
    assert margin.std() > 0.2


BAD = [
    (torch.rand(1, 3, 31, 32), "expected shape"),
    (torch.rand(3, 32, 32), "expected shape"),
    (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "divide 8-bit values by 255"),
    (torch.rand(1, 3, 32, 32) * 255, "values in"),
    (torch.full((1, 3, 32, 32), float("nan")), "values in"),
]


@pytest.mark.parametrize(("images", "sentence"), BAD, ids=[row[1] for row in BAD])
def test_bad_images(recoder: SpectralRecoder, images: Tensor, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        recoder(images)


def test_bad_settings(net: Net) -> None:
    key = build_key(net, canvas=CANVAS)
    with pytest.raises(InvalidArgument, match="psnr: expected 0 to 100 dB, found -1"):
        SpectralRecoder(key, psnr=-1)
    with pytest.raises(InvalidArgument, match="format: expected one of png8, tensor"):
        grid_of("jpeg")
    with pytest.raises(InvalidArgument, match="noise: expected one of gaussian, sign"):
        check_noise("pink")
    with pytest.raises(InvalidArgument, match="with shared noise"):
        SpectralRecoder(key, shared=True)


def test_empty_batch(recoder: SpectralRecoder) -> None:
    recoded = recoder(torch.zeros(0, 3, 32, 32))
    assert recoded.images.shape == (0, 3, 32, 32)
    assert recoded.psnr == ()


def test_the_frame_judges_not_the_variant(net: Net) -> None:
    @dataclass(frozen=True, eq=False)
    class Wild(Recoder[Tensor]):
        """Returns values off the grid and out of the box."""

        method = "wild"
        key: Key

        @property
        def domain(self) -> WindowDomain:
            return WindowDomain(self.key, format="png8")

        def run(
            self, items: Tensor, streams: Sequence[KeyedStream]
        ) -> tuple[Tensor, Sequence[str | None]]:
            return items + 2.0, ["moved"] * len(items)

    recoded = Wild(build_key(net, canvas=CANVAS))(WINDOWS)
    assert recoded.images.min() == recoded.images.max() == 1.0
    assert recoded.psnr[0] == pytest.approx(float(-10 * torch.log10((1 - WINDOWS[0]).square().mean())), abs=1e-4)  # fmt: skip
    assert recoded.reasons == ("moved",) * 4
