"""The connection below the routes: HTTP/1.1 by uvicorn and h11, where a head that does not come ends it, and where
one address has so many connections and all have so many.

uvicorn waits for ever for a first request, and takes whatever comes; so some hundred silent connections would shut
everybody out.
"""

import asyncio
import ipaddress
import json
from collections import Counter
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = (
    10.0  # seconds from the first byte of a request, or from the connection, to the end of its head
)
TOTAL, PER_ADDRESS = 1000, 250  # connections
_AFTER = 5  # seconds after which one that was turned away may ask again
_BEYOND = 50  # connections that are told so before they are cut
_LINGER = (
    0.5  # seconds in which it may read that: cut at once, what it sent meanwhile would reset it
)


class PunctualProtocol(H11Protocol):
    """Closes a connection whose head is late, however often a byte of it comes, and one too many at once.

    per_address: connections of an IPv4 address, or of the /64 that an IPv6 address lies in.
    """

    head: float = HEAD
    total: int = TOTAL
    per_address: int = PER_ADDRESS
    _open: ClassVar[Counter[str]] = Counter()
    _late: asyncio.TimerHandle | None = None
    _from: str = ""
    _away = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._from = _network(self.client[0] if self.client else "")
        self._open[self._from] += 1
        own, every = self._open[self._from] - self.per_address, len(self.connections) - self.total
        if max(own, every) > _BEYOND:
            transport.abort()
        elif own > 0:
            why = f"this address has {self.per_address} connections open, as many as it may"
            self._turn_away(why)
        elif every > 0:
            self._turn_away("the gateway has all the connections that it takes")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        if self._away:
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._open[self._from] -= 1
        if not self._open[self._from]:
            del self._open[self._from]
        super().connection_lost(exc)

    def _turn_away(self, why: str) -> None:
        """Said before anything is asked: whoever asks reads it, and the others hold nothing."""
        self._away = True
        body = json.dumps({"error": f"{why}; close some, or ask again in a moment."}).encode()
        self.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"retry-after: {_AFTER}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )  # fmt: skip
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._late = self.loop.call_later(_LINGER, self.transport.abort)

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


def _network(address: str) -> str:
    """Of whom a connection counts as one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
