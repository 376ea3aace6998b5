"""Running a gateway: uvicorn on one process, stopped gracefully."""

import contextlib
import errno
import logging
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from catch11.errors import InvalidArgument
from catch11.serve.app import make_app
from catch11.serve.service import Service
from catch11.serve.wire import PER_ADDRESS, TOTAL, PunctualProtocol

try:
    import resource
except ImportError:  # no such module on Windows
    resource = None  # type: ignore[assignment]

_STOP = 20  # seconds that open requests may take to end
_FILES = 3 * TOTAL  # that may be open: connections, and what they read and write


def run(
    service: Service, *, host: str, port: int, certificate: str | None = None, key: str | None = None,
    per_address: int = PER_ADDRESS,
) -> None:  # fmt: skip
    """Serve until a signal. The log names routes' addresses and statuses, and no header and no body.

    per_address: connections of one address at a time. Raises InvalidArgument where the folder or the port is taken.
    """
    PunctualProtocol.per_address = per_address
    _more_files()
    logging.getLogger("catch11.serve").setLevel(logging.INFO)
    with (
        service.held(),
        _bound(host, port) as at,
        _terminable(),
        _spooling(service.settings.home / "spool"),
    ):
        config = uvicorn.Config(
            make_app(service), log_level="warning", access_log=False, ws="none",
            server_header=False, timeout_graceful_shutdown=_STOP, timeout_keep_alive=15,
            http=PunctualProtocol, h11_max_incomplete_event_size=32 << 10,
            ssl_certfile=certificate, ssl_keyfile=key,
        )  # fmt: skip
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):  # raised once more when it has stopped
            server.run(sockets=[at])
        if not server.started:
            raise SystemExit(3)


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        at = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise InvalidArgument(
            "port", expected="an address and a port of this machine that are free", remedy="give another, or stop what has it",
            found=f"{host}:{port}, {'which is taken' if taken else 'where nothing can listen'}",
        ) from None  # fmt: skip
    with at:
        yield at


def _more_files() -> None:
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _terminable() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more at its end; a termination then unwinds
    what surrounds it, as an interruption does."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _spooling(folder: Path) -> Iterator[None]:
    """Uploads that are under way lie beside the jobs: /tmp may be memory, and small."""
    folder.mkdir(mode=0o700, exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
