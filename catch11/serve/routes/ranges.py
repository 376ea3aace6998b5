"""Files in parts: what a Range may say, and what is answered to one that cannot be given."""

from typing import Any

from fastapi.responses import FileResponse, JSONResponse
from starlette.types import Message, Receive, Scope, Send

from catch11.serve.routes.given import Sentence

_BINARY = {"schema": {"type": "string", "format": "binary"}}
# Of a route that answers with a `Ranged`.
RANGES: dict[str, Any] = {
    "parameters": [
        {
            "name": "Range", "in": "header", "required": False,
            "description": "The part that is asked for, as bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH.",
            "schema": {"type": "string", "pattern": "^bytes=([0-9]+-[0-9]*|-[0-9]+)$", "maxLength": 60},
        }
    ]
}  # fmt: skip
PARTS: dict[int | str, dict[str, Any]] = {
    206: {
        "description": "The part that the Range names",
        "content": {"application/octet-stream": _BINARY, "multipart/byteranges": _BINARY},
        "headers": {"Content-Range": {"schema": {"type": "string"}}},
    },
    416: {"model": Sentence, "description": "No such part"},
}


class Ranged(FileResponse):
    """A file, or the part of it that a Range names; a Range that cannot be given is refused in a sentence."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def told(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = True
                held = dict(message["headers"]).get(b"content-range", b"").decode()
                await _refusal(message["status"], held)(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, told)


def _refusal(status: int, held: str) -> JSONResponse:
    """held: the Content-Range that says how long the file is."""
    if status == 400:
        sentence = "Range: expected bytes=FIRST-LAST with FIRST no larger than LAST, found something else; leave it out for the whole."
        return JSONResponse({"error": sentence}, status_code=status)
    size = held.rpartition("/")[2]
    sentence = f"Range: expected one that begins within the {size} bytes of this file, found another; begin earlier."
    return JSONResponse({"error": sentence}, status_code=status, headers={"content-range": held})
