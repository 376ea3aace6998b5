"""What a request may ask of a recoder: the options that a client has a say in, by their names in
`catch11 recode`. All others are the gateway's own."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from catch11.serve.tables import NAME

PRINTED = r"^[^\x00-\x1f\x7f]+$"  # no control characters: PostgreSQL takes no NUL
Word = Annotated[str, Field(min_length=1, max_length=NAME, pattern=PRINTED)]

Method = Literal["spectral", "deep", "scramble"]


class Ask(BaseModel):
    """How sources are to be recoded. key: id, name or fingerprint; may be left out by who has one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Word | None = Field(
        default=None, description="Id, name or fingerprint of a key of GET /v1/keys."
    )
    purpose: Word | None = Field(
        default=None, description="The purpose of the grant that this stands on."
    )
    keep: Word | None = Field(
        default=None, description="What files keep: answer, scores, features, layer:NAME or all."
    )
    tolerance: float | None = Field(default=None, gt=0, le=10, allow_inf_nan=False)
    method: Method | None = None
    psnr: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    survive: Word | None = None
    look: Literal["noise", "faint"] | None = None
    format: Literal["png8", "tensor", "wav16", "wav32"] | None = None
    names: Literal["keep", "opaque"] = "keep"
    columns: tuple[Word, ...] = Field(default=(), max_length=2)
    long: Literal["truncate", "refuse"] | None = None
    half: bool = False
