"""Starts: the keyed pictures near which a deep recoder stays, and so what its files look like."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from catch11.errors import InvalidArgument
from catch11.key import Key
from catch11.recode.spectral import SpectralRecoder
from catch11.stream import KeyedStream

Look = Literal["noise", "decoy", "faint"]

# Coarse and fine noise together: the coarse part varies what the model answers from file to file,
# so that small moves suffice; the fine part, as strong at every frequency, hides them.
COARSE, FINE = 0.2, 0.15
CELLS = 8  # cells a side of the coarse noise, whatever the window
FAINT = 0.2  # share of the source's contrast
SPECTRAL_DB = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """From where a search sets out, and what people see in the file.

    look "noise": keyed noise, a spectral recoding (spectral=True), or a decoy under keyed noise.
    "decoy": one of the decoys, chosen by the key. "faint": the source at a fifth of its contrast
    under keyed noise, so that people still tell files apart; it gives content away on purpose.
    """

    look: Look
    spectral: bool
    decoys: Float[Tensor, "decoy channel height width"] | None

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
        plain = noise(stream, key.canvas.shape)
        if self.look == "faint":
            return (plain + FAINT * (window.cpu() - window.mean())).clamp(0.0, 1.0)
        return plain


def start_of(start: str | Tensor, look: str, key: Key) -> Start:
    """Read the arguments `start` and `look`. Raises InvalidArgument where they contradict."""
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
    return Start(look=look, spectral=found == "spectral", decoys=decoys)  # type: ignore[arg-type]


def noise(
    stream: KeyedStream, shape: tuple[int, int, int]
) -> Float[Tensor, "channel height width"]:
    """Keyed noise about mid-grey, free of content: smooth of deviation .2 and white of deviation .15."""
    channels, height, width = shape
    cells = stream.normal((channels, CELLS, CELLS))[None]
    coarse = F.interpolate(cells, size=(height, width), mode="bicubic", align_corners=False)[0]
    coarse = coarse / coarse.std().clamp_min(1e-6)
    return (0.5 + COARSE * coarse + FINE * stream.normal(shape)).clamp(0.0, 1.0)


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
