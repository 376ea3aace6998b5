"""The connection below the routes: HTTP/1.1 by uvicorn and h11, where a head that does not come ends it.

uvicorn waits for ever for a first request; so a thousand silent connections would shut everybody out.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = (
    10.0  # seconds from the first byte of a request, or from the connection, to the end of its head
)


class PunctualProtocol(H11Protocol):
    """Closes a connection whose head is late, however often a byte of it comes."""

    head: float = HEAD
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Begin to wait where there is no request under way; a wait that has begun goes on."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._late is None:
            self._late = self.loop.call_later(self.head, self.transport.abort)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
