"""The guard in front of all routes: who asks, how often, how much, how slowly; and no error but a sentence.

A token is looked at before the first byte of a body is.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catch11.errors import Catch11Error
from catch11.serve.refusals import Refused, Unauthorized
from catch11.serve.service import Service
from catch11.serve.tokens import Bearer

log = logging.getLogger(__name__)
HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}
_PRIVATE = {**HEADERS, "cache-control": "no-store"}
_FAULT = "the gateway failed at this request; tell its operator when it happened."
_ODD = "the request: expected words without control characters, found one that the database does not take."
_SAME = "another request made the same at the same moment; ask again."
_QUERY = 4096  # bytes of a path and its query
_HEAD = 16 << 10  # bytes of all headers
_BESIDE = 8  # requests that a token may have under way beside its jobs: a page follows and lists
_RATE = 1024.0  # bytes a second that a body comes with at least, after `slow` seconds


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self._service, scope, send)
        try:
            who = await self._bearer(scope)
            scope.setdefault("state", {})["bearer"] = who
            body = _Body(receive, self._most(scope, who), self._service.settings.slow)
            body.check(scope)
            with self._live(who):
                await self._app(scope, body.receive, answer.send)
        except Refused as error:
            await answer.refuse(error)
        except HTTPException as error:
            await answer.refuse(Refused(f"{error.detail}.", status=error.status_code))
        except Catch11Error as error:
            await answer.refuse(Refused(str(error)))
        except DataError:  # of PostgreSQL, in what came with a body
            await answer.refuse(Refused(_ODD))
        except IntegrityError:
            await answer.refuse(Refused(_SAME, status=409))
        except Exception as error:  # noqa: BLE001 - the log gets the class, the client a sentence
            log.error("%s %s: %s", scope["method"], answer.route, type(error).__name__)
            await answer.refuse(Refused(_FAULT, status=500))

    def _most(self, scope: Scope, who: Bearer | None) -> int:
        """Bytes that a body may have: of a job, or of one file where that is all it is."""
        if who is None:
            return 1 << 16
        file = scope["method"] == "PUT" and "/parts/" in str(scope["path"])
        most = who.limits.size if file else who.limits.total + (1 << 20)
        return min(self._service.settings.body, most)

    @contextmanager
    def _live(self, who: Bearer | None) -> Iterator[None]:
        """One more request under way of a token. Raises Refused where it has too many."""
        token, most = (
            ("", math.inf) if who is None else (who.token, who.limits.concurrent + _BESIDE)
        )
        if self._under_way[token] >= most:
            raise Refused(
                f"this token may have {most} requests under way; ask again when one has ended.",
                status=429, wait=1.0,
            )  # fmt: skip
        self._under_way[token] += 1
        try:
            yield
        finally:
            self._under_way[token] -= 1
            if not self._under_way[token]:
                del self._under_way[token]

    async def _bearer(self, scope: Scope) -> Any:
        path = str(scope["path"])
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _HEAD:
            raise Refused(f"the headers: expected at most {_HEAD} bytes, found more.", status=431)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _QUERY:
            raise Refused(f"the address: expected at most {_QUERY} bytes, found more.", status=414)
        if "\0" in path:  # which no database takes as a name
            raise Refused("there is nothing at this address; see /openapi.json.", status=404)
        if not path.startswith("/v1/"):
            return None
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        kind, _, token = header.partition(" ")
        given = token.strip() if kind.lower() == "bearer" else None
        if not self._service.ready:
            raise Refused(
                "the gateway is starting or stopping; ask again in a moment.", status=503, wait=2.0
            )
        who = await asyncio.to_thread(self._service.door.bearer, given)
        self._service.pace.take(who.token, who.limits.rate)
        return who


class _Body:
    """A request's body, counted, and refused where nothing comes for a while: by an HTTPException, which
    is what FastAPI lets through as it reads a body."""

    def __init__(self, receive: Receive, most: int, slow: float) -> None:
        self._receive, self._most, self._slow = receive, most, slow
        self._size, self._more, self._begun = 0, True, time.monotonic()

    def check(self, scope: Scope) -> None:
        """Raises Refused for a body that states that it is too large."""
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if not stated.isdigit() or int(stated) > self._most:
            raise Refused(f"{self._large}.", status=413)

    async def receive(self) -> Message:
        if not self._more:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._slow)
        except TimeoutError:
            sentence = (
                f"the body: expected something every {self._slow:g} s, found nothing; send it again"
            )
            raise HTTPException(408, sentence) from None
        self._size += len(message.get("body", b""))
        if time.monotonic() - self._begun > self._slow + self._size / _RATE:
            sentence = f"the body: expected {_RATE:g} bytes a second, found fewer; send it again"
            raise HTTPException(408, sentence)
        self._more = bool(message.get("more_body", False))
        if self._size > self._most:
            raise HTTPException(413, self._large)
        return message

    @property
    def _large(self) -> str:
        return f"the body: expected at most {self._most} bytes, found more"


class _Answer:
    """What goes back: counted, with headers that every answer has."""

    def __init__(self, service: Service, scope: Scope, send: Send) -> None:
        self._meters, self._scope, self._send = service.meters, scope, send
        self._begun, self._started = time.monotonic(), False

    @property
    def route(self) -> str:
        """The pattern of the path, which names no job and no file."""
        return str(getattr(self._scope.get("route"), "path", "none"))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            private = str(self._scope["path"]).startswith("/v1/")
            held = {name.lower() for name, _ in message["headers"]}
            wanted = (_PRIVATE if private else HEADERS).items()
            more = [(k.encode(), v.encode()) for k, v in wanted if k.encode() not in held]
            message = {**message, "headers": [*message["headers"], *more]}
            self._meters.requests.labels(self.route, message["status"]).inc()
            self._meters.seconds.labels(self.route).observe(time.monotonic() - self._begun)
        await self._send(message)

    async def refuse(self, error: Refused) -> None:
        """The sentence, unless an answer has begun: then the connection is cut."""
        if self._started:
            raise ConnectionAbortedError
        self._meters.refused.labels(error.status).inc()
        headers = {"retry-after": str(max(1, round(error.wait)))} if error.wait else {}
        if isinstance(error, Unauthorized):
            headers["www-authenticate"] = "Bearer"
        if error.status in (408, 413):
            headers["connection"] = "close"
        answer = JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)
        await answer(self._scope, _nothing, self.send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
