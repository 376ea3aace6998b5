"""Running a gateway: uvicorn on one process, stopped gracefully."""

import logging

import uvicorn

from catch11.serve.app import make_app
from catch11.serve.service import Service

_STOP = 20  # seconds that open requests may take to end


def run(service: Service, *, host: str, port: int, certificate: str | None = None, key: str | None = None) -> None:  # fmt: skip
    """Serve until a signal. The log names routes' addresses and statuses, and no header and no body."""
    logging.getLogger("catch11.serve").setLevel(logging.INFO)
    uvicorn.run(
        make_app(service), host=host, port=port, log_level="warning", access_log=False,
        server_header=False, timeout_graceful_shutdown=_STOP, timeout_keep_alive=15,
        h11_max_incomplete_event_size=32 << 10, limit_concurrency=1000,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
