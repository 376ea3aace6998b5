"""Forms that are whole: one that breaks off is refused, where the parser would drop its last part in silence."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.types import Message

_CUT = "the form: expected its last boundary, found none; send it again, whole"


class WholeForm(APIRoute):
    """A route whose multipart bodies must end as they say they do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def whole(request: Request) -> Response:
            kind, said = parse_options_header(request.headers.get("content-type", ""))
            if kind != b"multipart/form-data" or not said.get(b"boundary"):
                return await answer(request)
            mark = b"\r\n--" + said[b"boundary"] + b"--"
            tail, ended = b"\r\n", False

            async def receive() -> Message:
                nonlocal tail, ended
                message = await request.receive()
                if message["type"] == "http.request" and not ended:
                    tail += message.get("body", b"")
                    ended = mark in tail
                    tail = tail[-len(mark) :]
                    if not ended and not message.get("more_body", False):
                        raise HTTPException(400, _CUT)
                return message

            return await answer(Request(request.scope, receive))

        return whole
