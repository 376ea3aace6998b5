"""What routes are given: the service, who asks, what a refusal looks like."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema

from catch11.serve.refusals import Unauthorized
from catch11.serve.service import Service
from catch11.serve.tokens import Bearer

_SHOWN = HTTPBearer(auto_error=False, description="A token of `catch11 serve token create`.")


class Sentence(BaseModel):
    """A refusal: what was expected, what was found, what to do."""

    error: str


# None of these waits for anything: as coroutines they need no thread each.
async def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


async def _bearer(request: Request, _: Annotated[Any, Depends(_SHOWN)]) -> Bearer:
    """Who the guard let in."""
    found = getattr(request.state, "bearer", None)
    if found is None:
        raise Unauthorized("expected a token, found none.")
    return found


def _needs(scope: str) -> Any:
    async def held(who: Annotated[Bearer, Depends(_bearer)]) -> Bearer:
        who.needs(scope)
        return who

    return Depends(held)


Gateway = Annotated[Service, Depends(_service)]
Anyone = Annotated[Bearer, Depends(_bearer)]
Recoding = Annotated[Bearer, _needs("recode")]
Verifying = Annotated[Bearer, _needs("verify")]
Admin = Annotated[Bearer, _needs("admin")]
JobId = Annotated[str, Path(min_length=1, max_length=64, description="The job's id.")]
Again = Annotated[
    str | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key", min_length=8, max_length=100,
        description="A name of this request: asked again with it, the same job answers.",
    ),
]  # fmt: skip

_STATUS = {
    400: "Not a request that can be read", 401: "No valid token", 403: "Not granted", 404: "Not there",
    405: "Another method is expected", 408: "Nothing came for a while", 409: "At odds with what is there",
    410: "The key was revoked", 413: "Too much", 414: "Too long an address", 415: "Another kind of data",
    422: "Not as expected", 429: "Too often", 503: "Not now",
}  # fmt: skip
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Sentence, "description": text} for status, text in _STATUS.items()
}
