"""Starts: the keyed pictures near which a deep recoder stays, and so what its files look like."""

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.crypto.stream import KeyedStream
from catch11.errors import InvalidArgument
from catch11.keys.key import Key
from catch11.recoding.deep.quiet import Quiet
from catch11.recoding.spectral.recoder import SpectralRecoder

Look = Literal["noise", "decoy", "faint"]

# Coarse and fine noise together: the coarse part varies what the model answers from file to file,
# so that small moves suffice; the fine part, as strong at every frequency, hides them.
COARSE, FINE = 0.2, 0.15
GRAINIEST = 0.35  # white part where features are met loosely: what is printed hides the better
CELLS = 8  # cells a side of the coarse noise, whatever the window
SPECTRAL_DB = 10.0
# Of a faint look's squared error, what white noise makes up; lost contrast makes up the rest. People
# average white noise away, while already a quarter of the range stops other models (docs/lab/deep.md).
WHITE = 0.75
PALEST = 0.3  # share of the contrast that stays, however little there was


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """From where a search sets out, and what people see in the file.

    look "noise": keyed noise, a spectral recoding (spectral=True), or a decoy under keyed noise.
    "decoy": one of the decoys, chosen by the key. "faint": the source at less contrast under white
    keyed noise, `psnr` dB from it, so that people still see it; it gives content away on purpose. fine:
    deviation of the white part of noise.
    """

    look: Look
    spectral: bool
    psnr: float
    decoys: Float[Tensor, "decoy channel height width"] | None
    quiet: Quiet | None = None
    fine: float = FINE

    @property
    def text(self) -> str:
        """Its public name."""
        return "decoy" if self.decoys is not None else "spectral" if self.spectral else "noise"

    def at(
        self, key: Key, window: Float[Tensor, "channel height width"], stream: KeyedStream
    ) -> Float[Tensor, "channel height width"]:
        """The start of one window, in [0, 1], on the CPU."""
        if self.decoys is not None:
            decoy = self.decoys[int(stream.integers(len(self.decoys), (1,))[0])]
            return decoy if self.look == "decoy" else _covered(decoy, stream)
        if self.spectral:
            return SpectralRecoder(key, psnr=SPECTRAL_DB)(window[None].cpu()).images[0]
        if self.look == "faint":
            return _faint(window.cpu(), stream.normal(key.canvas.shape), self.psnr)
        return noise(stream, key.canvas.shape, self.quiet, fine=self.fine)


def start_of(
    start: str | Tensor, look: str, key: Key, *, psnr: float = 10.0, quiet: Quiet | None = None,
    fine: float = FINE,
) -> Start:  # fmt: skip
    """Read the arguments `start` and `look`. Raises InvalidArgument where they contradict.

    psnr: of a faint look from its source, 4 to 40 dB. quiet: for a start and look of noise. fine: see `Start`.
    """
    if look not in get_args(Look):
        raise InvalidArgument("look", expected="noise, decoy or faint", found=repr(look))
    decoys = None
    if isinstance(start, Tensor):
        decoys = _checked(start, key)
    elif start not in ("noise", "spectral"):
        raise InvalidArgument("start", expected="noise, spectral or decoy windows", found=start)
    found = start if isinstance(start, str) else "decoy windows"
    if look == "decoy" and decoys is None:
        raise InvalidArgument("start", expected="decoy windows for a decoy look", found=found)
    if look == "faint" and found != "noise":
        raise InvalidArgument("start", expected="noise for a faint look", found=found)
    if look == "faint" and not 4.0 <= psnr <= 40.0:
        raise InvalidArgument("psnr", expected="4 to 40 dB for a faint look", found=psnr)
    if quiet is not None and (found, look) != ("noise", "noise"):
        raise InvalidArgument("quiet", expected="a start and a look of noise", found=(found, look))
    return Start(
        look=cast(Look, look), psnr=psnr, spectral=found == "spectral", decoys=decoys, quiet=quiet,
        fine=fine,
    )  # fmt: skip


def grain_of(tolerance: float | None) -> float:
    """Deviation of a start's white part, for features within `tolerance`: the looser the stronger.

    A stronger one hides more and asks for more steps, of which a close match leaves none to spare.
    """
    return FINE if tolerance is None else min(GRAINIEST, max(FINE, 0.05 + tolerance))


def noise(
    stream: KeyedStream, shape: tuple[int, int, int], quiet: Quiet | None = None,
    *, fine: float = FINE,
) -> Float[Tensor, "channel height width"]:  # fmt: skip
    """Keyed noise about mid-grey, free of content: smooth of deviation .2 and white of deviation `fine`.

    quiet: gives the white part its covariance.
    """
    channels, height, width = shape
    cells = stream.normal((channels, CELLS, CELLS))[None]
    coarse = F.interpolate(cells, size=(height, width), mode="bicubic", align_corners=False)[0]
    coarse = coarse / coarse.std().clamp_min(1e-6)
    white = stream.normal(shape)
    grain = white if quiet is None else quiet.colour(white)
    return (0.5 + COARSE * coarse + fine * grain).clamp(0.0, 1.0)


def _faint(picture: Tensor, white: Tensor, decibels: float) -> Tensor:
    """The picture at less contrast under white noise, as far from it as asked, clipping included."""
    wanted = 10.0 ** (-decibels / 10.0)
    middle = picture.mean((1, 2), keepdim=True)
    spread = float((picture - middle).square().mean()) + 1e-9

    def mixed(error: float) -> Tensor:
        lost = min(1.0 - PALEST, math.sqrt((1.0 - WHITE) * error / spread))
        faded = picture - lost * (picture - middle)
        return (faded + math.sqrt(error - lost**2 * spread) * white).clamp(0.0, 1.0)

    low, high = 0.0, 4.0
    for _ in range(24):
        error = (low + high) / 2
        close = float((mixed(error) - picture).square().mean()) < wanted
        low, high = (error, high) if close else (low, error)
    return mixed(low)


def _covered(picture: Tensor, stream: KeyedStream) -> Tensor:
    return (picture + FINE * stream.normal(tuple(picture.shape))).clamp(0.0, 1.0)


def _checked(decoys: Tensor, key: Key) -> Tensor:
    shape = key.canvas.shape
    if decoys.ndim != 4 or not len(decoys) or decoys.shape[1:] != shape:
        raise InvalidArgument(
            "start", expected=f"decoys of shape (n, *{shape})", found=tuple(decoys.shape)
        )
    if not (decoys.is_floating_point() and decoys.min() >= 0.0 and decoys.max() <= 1.0):
        raise InvalidArgument("start", expected="decoys in [0, 1]", found=str(decoys.dtype))
    return decoys.detach().cpu().float()
