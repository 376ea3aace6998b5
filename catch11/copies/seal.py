"""Seals: files that are cipher text to everybody but one copy of a model, which opens them itself.

What is sealed is the 8-bit window that a recoder made, so that what the copy opens is what the
licence keeps, not the picture. ChaCha20 (RFC 8439) under a key drawn from the secret; the nonce is
an HMAC of the window, so that equal windows give equal files and no nonce serves two.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import GRIDS
from catch11.crypto.opening import NONCE_BITS, Opener
from catch11.crypto.stream import keyed_stream
from catch11.errors import InvalidArgument
from catch11.fronts.front import Front
from catch11.keys.authorized import Authorized, is_private, seal_of
from catch11.keys.key import SECRET_BYTES, Key, check_secret, front_fingerprint
from catch11.kinds import IMAGE

GRID = GRIDS["png8"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SealSecret:
    """The secret of one licensee's sealed copy, bound to its model. Its repr shows its public name.

    secret: 32 bytes. canvas: of the model. original: fingerprint of the model's front.
    """

    secret: bytes = field(repr=False)
    canvas: Canvas = field(repr=False)
    original: str

    def __post_init__(self) -> None:
        check_secret(self.secret)
        _ = self.opener  # checks the window

    def __repr__(self) -> str:
        return f"SealSecret({self.fingerprint[:16]})"

    @cached_property
    def fingerprint(self) -> str:
        """The seal's public name, which stands in copies and releases and says nothing of the secret."""
        return hmac.new(self.secret, b"catch11 seal name", hashlib.sha256).hexdigest()[:32]

    @cached_property
    def opener(self) -> Opener:
        """What a copy holds of the secret: the cipher's key and where nonces stand."""
        count = self.canvas.channels * self.canvas.window_height * self.canvas.window_width
        order = keyed_stream(self.secret, "seal places").permutation(count)
        return Opener(
            canvas=self.canvas, key=keyed_stream(self.secret, "seal cipher").bytes(32),
            places=tuple(order[:NONCE_BITS].tolist()),
        )  # fmt: skip

    def check_key(self, key: Key) -> None:
        """Raises InvalidArgument unless the key was built from the model that was sealed."""
        if self.original not in (key.members or (key.front_fingerprint,)):
            raise InvalidArgument(
                "secret", expected="the secret of a sealed copy of the key's model",
                found=f"that of another copy, {self.fingerprint[:16]}",
            )  # fmt: skip

    def check_front(self, front: Front, canvas: Canvas) -> None:
        """Raises InvalidArgument unless a model's front is that of the model that was sealed."""
        if front_fingerprint(front, canvas) != self.original:
            raise InvalidArgument(
                "model", expected=f"the model that was sealed as {self.fingerprint[:16]}, or its copy",
                found="one with another first layer",
            )  # fmt: skip

    def cleared(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """What a copy opens of windows, once sealed: they, but for the 96 bits that carry a nonce."""
        levels = GRID.index(windows).to(torch.uint8).flatten(1)
        return _windows(levels & self._mask, windows)

    def as_read(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Windows as their files hold them, and the copy reads them."""
        levels = GRID.index(windows).to(torch.uint8).flatten(1) & self._mask
        return _windows(_each(self._seal, levels.cpu()), windows)

    def opened(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Sealed windows as the copy opens them."""
        levels = GRID.index(windows).to(torch.uint8).flatten(1).cpu()
        return _windows(_each(self._open, levels), windows)

    def intact(self, windows: Float[Tensor, "batch channel height width"]) -> list[bool]:
        """Whether each sealed window carries the nonce of what it opens to, as none does that was
        changed in any value."""
        levels = GRID.index(windows).to(torch.uint8).flatten(1).cpu()
        return [self._nonce(self._open(row)) == self._carried(row) for row in levels]

    def around(
        self, windows: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel canvas_height canvas_width"]:
        """Canvas pictures of uniform levels, to set sealed windows into."""
        size = self.canvas.size
        noise = torch.empty(len(windows), *size, dtype=windows.dtype)
        for place, window in enumerate(GRID.index(windows).to(torch.uint8).cpu()):
            stream = keyed_stream(self.secret, "seal margin", window.numpy().tobytes())
            noise[place] = GRID.value(stream.integers(256, size).to(windows.dtype))
        return noise.to(windows.device)

    @cached_property
    def _mask(self) -> Tensor:
        return self.opener.mask.to(torch.uint8)

    def _nonce(self, levels: Tensor) -> bytes:
        data = b"catch11 seal nonce" + levels.numpy().tobytes()
        return hmac.new(self.secret, data, hashlib.sha256).digest()[: NONCE_BITS // 8]

    def _carried(self, levels: Tensor) -> bytes:
        bits = levels[list(self.opener.places)] & 1
        return sum(bit << place for place, bit in enumerate(bits.tolist())).to_bytes(12, "little")

    def _seal(self, levels: Tensor) -> Tensor:
        nonce = self._nonce(levels)
        made = self._crossed(levels, nonce) & self._mask
        number = int.from_bytes(nonce, "little")
        bits = torch.tensor([number >> place & 1 for place in range(NONCE_BITS)])
        made[list(self.opener.places)] |= bits.to(torch.uint8)
        return made

    def _open(self, levels: Tensor) -> Tensor:
        return self._crossed(levels, self._carried(levels)) & self._mask

    def _crossed(self, levels: Tensor, nonce: bytes) -> Tensor:
        """Levels under the key stream of a nonce, whose first block is number 0."""
        cipher = Cipher(algorithms.ChaCha20(self.opener.key, bytes(4) + nonce), mode=None)
        made = cipher.encryptor().update(levels.numpy().tobytes())
        return torch.frombuffer(bytearray(made), dtype=torch.uint8)


def seal_secret(model: Authorized, *, secret: bytes | None = None) -> SealSecret:
    """The secret of a sealed copy of a model. secret: 32 bytes, drawn from the operating system when
    not given. Raises InvalidArgument for what is no public model of pictures, NoFront.
    """
    kind = "a sealed copy" if seal_of(model) else "a personalised copy" if is_private(model) else ""
    if model.modality != IMAGE or kind:
        found = kind or f"one of {model.modality}"
        raise InvalidArgument("model", expected="a model of pictures that is no copy", found=found)
    return SealSecret(
        secret=secrets.token_bytes(SECRET_BYTES) if secret is None else secret,
        canvas=model.canvas, original=front_fingerprint(model.front(), model.canvas),
    )  # fmt: skip


def _each(made: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    return torch.stack([made(row) for row in rows]) if len(rows) else rows


def _windows(levels: Tensor, like: Tensor) -> Tensor:
    return GRID.value(levels.to(like)).view(like.shape)
