"""Changes a released file must survive, as a deep recoder sees them: a soft face and a real one.

Nothing here knows a codec; they are handed in from above (`catch11.recoding.codecs`).
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Change(Protocol):
    """Something that happens to a file on its way: a codec, a resize, a crop, a blur."""

    @property
    def name(self) -> str:
        """As it is written, for instance jpeg:75."""
        ...

    def soft(
        self,
        images: Float[Tensor, "batch channel height width"],
        severity: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Whole pictures in [0, 1] after it, differentiable; severity from 0 (none) to 1 (in full)."""
        ...

    def real(
        self, images: Float[Tensor, "batch channel height width"], severity: float
    ) -> Float[Tensor, "batch channel height width"]:
        """Whole pictures after the real thing, 8-bit where it writes 8 bits; same shape."""
        ...
