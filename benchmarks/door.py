"""A gateway in a process of its own on loopback, and requests to it."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catch11 import Key
from catch11.serve.grants import add_grant
from catch11.serve.store import open_store
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key

PORT = 8765
DIGITS = "py:catch11.studies.nets.digits:patch"
Sent = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent, by whom, for what. meant: what must come back, by its source; empty where nobody looks."""

    token: str
    files: Sent
    method: str
    json: bool = False
    meant: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@contextmanager
def gateway(folder: Path, model: str, key: Key) -> Iterator[tuple[str, int]]:
    """A token and the process of a gateway that is ended behind the block."""
    (home := folder / "home").mkdir()
    master = secrets.token_hex(32)
    store = open_store(f"sqlite:///{home / 'gateway.db'}", master, cost=10)
    add_key(store, "key", key, models=Models(model=model))
    add_grant(store, "key", "load", keep=("all", "answer"), quota=10**9)
    token = create_token(store, "load", ["recode"], limits=Limits(rate=10**7, concurrent=10**6))
    store.close()
    words = ["serve", "--home", str(home), "--port", str(PORT), "--threads", "1"]
    env = {**os.environ, "CATCH11_MASTER": master}
    server = subprocess.Popen([sys.executable, "-m", "catch11", *words], env=env)
    try:
        yield token, server.pid
    finally:
        server.terminate()
        server.wait(60)


# By hand: the clients share the processors with what they measure, and httpx takes some 10 ms a request.
def request(load: Load, name: str, data: bytes) -> bytes:
    """A form with a file, as bytes on the line."""
    keep = "all" if load.method == "spectral" else "answer"
    part = "--x\r\ncontent-disposition: form-data; name="
    asked = f'{part}"keep"\r\n\r\n{keep}\r\n{part}"file"; filename="{name}"\r\n\r\n'
    body = asked.encode() + data + b"\r\n--x--\r\n"
    accept = "application/json" if load.json else "application/zip"
    head = (
        f"POST /v1/recode HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {load.token}\r\n"
        f"accept: {accept}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    return int(head.split()[1]), await reader.readexactly(int(length.partition(":")[2]))


async def ready() -> None:
    """Wait until the gateway listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return
