"""Personalised copies: a private model that reads scrambled pictures as the public one reads clean ones.

The first layer is composed with the inverse of a secret scramble of its tiles. The copy has the
same architecture, speed and preprocessing; without its weights, or the secret, a scrambled picture
says nothing to the public model. Whoever holds the copy and the original reads the secret off both.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.copies.scramble import Scramble, keyed_scramble
from catch11.copies.site import PADS, carriers, compose, refusal, site_of
from catch11.errors import KeyMismatch, NoFront
from catch11.fronts.find import Found, find_reader, run_probe
from catch11.fronts.fingerprint import module_fingerprint
from catch11.fronts.front import Front
from catch11.fronts.layer import front_of
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key, check_secret, front_fingerprint, needed_canvas

_EXACT, _HALF = 1e-3, 0.1  # largest change of the probe's answer, of its size, float32 and 16 bits
TOKENS = (
    "it reads tokens: behind a LayerNorm nothing but a permutation of coordinates survives, which "
    "sorting each vector undoes, and the orthogonal maps that an RMSNorm admits leave all norms and "
    "inner products in sight"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class CopySecret:
    """The secret of one personalised copy, bound to it. Its repr never shows the secret.

    secret: 32 bytes. shape, tile, across, inversion: as of `keyed_scramble`. original, copied:
    fingerprints of the fronts of the public model and of its copy.
    """

    secret: bytes = field(repr=False)
    shape: tuple[int, int, int]
    tile: tuple[int, int]
    across: bool
    inversion: bool
    original: str
    copied: str

    def __post_init__(self) -> None:
        check_secret(self.secret)

    def __repr__(self) -> str:
        return f"CopySecret(of copy {self.copied[:16]})"

    @property
    def scramble(self) -> Scramble:
        """What the owner does to each picture, and the copy undoes."""
        return keyed_scramble(
            self.secret, shape=self.shape, tile=self.tile, across=self.across, inversion=self.inversion
        )  # fmt: skip

    @property
    def bits(self) -> float:
        """Bits of the choice among all scrambles of this kind."""
        channels, area = self.shape[0], self.tile[0] * self.tile[1]
        size, parts = (channels * area, 1) if self.across else (area, channels)
        count = channels * area
        half = (
            math.lgamma(count + 1)
            - math.lgamma(count // 2 + 1)
            - math.lgamma(count - count // 2 + 1)
        )
        choices = parts * math.lgamma(size + 1) + (half if self.inversion else 0.0)
        return min(256.0, choices / math.log(2.0))

    def as_read(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Windows as the copy reads them."""
        return self.scramble(windows)

    def check_key(self, key: Key) -> None:
        """Raises KeyMismatch unless the key was built from this secret's copy."""
        if key.front_fingerprint != self.copied:
            raise KeyMismatch("the copy", expected=self.copied, found=key.front_fingerprint)

    def check_front(self, front: Front, canvas: Canvas) -> None:
        """Raises KeyMismatch unless a model's front is that of this secret's copy."""
        found = front_fingerprint(front, canvas)
        if found != self.copied:
            raise KeyMismatch("the copy", expected=self.copied, found=found)


@dataclass(frozen=True, kw_only=True, eq=False)
class Copy:
    """A personalised copy and its secret. model: of the kind that was given."""

    model: Any
    secret: CopySecret

    @property
    def scramble(self) -> Scramble:
        """What the owner does to each picture."""
        return self.secret.scramble


def personalize(
    model: nn.Module | Authorized,
    *,
    secret: bytes,
    canvas: Canvas | None = None,
    layer: str | None = None,
) -> Any:
    """A private copy of a model: a loaded model, or a torch module together with its canvas.

    secret: 32 bytes. See `make_copy`, which also hands over what the owner keeps. Of a module, tell
    `build_key` that it is private.
    """
    return make_copy(model, secret=secret, canvas=canvas, layer=layer).model


def make_copy(
    model: nn.Module | Authorized,
    *,
    secret: bytes,
    canvas: Canvas | None = None,
    layer: str | None = None,
) -> Copy:
    """The private copy that a secret of 32 bytes means for a model with a patch or dense front.

    Values are permuted within a colour channel (across channels where their normalisation is the
    same), half of them inverted; without a bias to take inversion, and without position embeddings
    that provably do, they are permuted only. The weights are the original's, moved and signed; the
    bias is worked out in float64. Copy and original are compared on a probe. Raises InvalidArgument
    where nothing private can be made, NoFront.
    """
    check_secret(secret)
    module, canvas = _parts(model, canvas, layer)
    try:
        found = find_reader(module, canvas, layer=layer)
    except NoFront as error:
        if "more than a constant" in str(error):
            raise refusal(PADS) from None
        raise
    site = site_of(found, canvas)
    for carrier in (*carriers(module, found, site), None):
        made = copy.deepcopy(module)
        scramble = keyed_scramble(
            secret, shape=canvas.shape, tile=site.tile,
            across=site.across and (carrier is not None or site.level), inversion=carrier is not None,
        )  # fmt: skip
        compose(made, found, site, scramble, carrier)
        if _same(made, found, canvas, scramble):
            break
    else:
        raise refusal(
            "its copy does not answer as it does, so more than its first layer reads pixels"
        )
    across = site.across and (carrier is not None or site.level)
    return Copy(
        model=made if isinstance(model, nn.Module) else _renewed(model, made),
        secret=CopySecret(
            secret=secret, shape=canvas.shape, tile=site.tile, across=across,
            inversion=carrier is not None, original=front_fingerprint(found.front, canvas),
            copied=front_fingerprint(_moved(made, found, canvas), canvas),
        ),
    )  # fmt: skip


def _parts(
    model: nn.Module | Authorized, canvas: Canvas | None, layer: str | None
) -> tuple[nn.Module, Canvas]:
    """The torch module and the canvas of what was given."""
    module = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    if module is None or getattr(model, "graph", None) is not None:
        raise refusal("torch does not run it", "convert it to a torch or transformers model")
    if layer is None and _reads_tokens(module):
        raise refusal(TOKENS)
    if canvas is None:
        canvas = getattr(model, "canvas", None)
    return module, needed_canvas(canvas)


def _reads_tokens(module: nn.Module) -> bool:
    """Whether a transformers model says that its input is looked up in a table."""
    inputs = getattr(module, "get_input_embeddings", None)
    try:
        return isinstance(inputs(), nn.Embedding) if callable(inputs) else False
    except NotImplementedError:
        return False


def _same(made: nn.Module, found: Found, canvas: Canvas, scramble: Scramble) -> bool:
    """Whether a copy says of the scrambled probe what the original says of the probe."""
    pixels = canvas.denormalise(found.probe.double())
    said = run_probe(made, canvas.normalise(scramble(pixels)).float()).double()
    meant = found.answer.double()
    wide = found.answer.dtype in (torch.float32, torch.float64)
    bound = (_EXACT if wide else _HALF) * (1e-6 + meant.abs().max())
    return said.shape == meant.shape and bool((said - meant).abs().max() <= bound)


def _moved(made: nn.Module, found: Found, canvas: Canvas) -> Front:
    """The front of the copy, without running it."""
    call = dataclasses.replace(found.call, layer=made.get_submodule(found.call.name))
    return front_of(call, found.probe, canvas, found.norm)


def _renewed(model: Any, module: nn.Module) -> Any:
    """A loaded model as its private copy: with other weights."""
    name = module_fingerprint(module)
    return dataclasses.replace(model, module=module, fingerprint=name, private=True)
