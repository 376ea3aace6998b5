"""Clients that are slow, silent, many or wrong: none of them keeps others waiting."""

import asyncio
import contextlib
import json
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from catch11.serve import run
from catch11.serve.guard import Guard
from catch11.serve.refusals import Unauthorized
from catch11.serve.service import Service
from catch11.serve.store import Store
from catch11.serve.tokens import Doorkeeper, Limits, create_token
from catch11.serve.wire import PunctualProtocol, _network
from tests.serve.gateway import Gateway, gateway
from tests.world import World

LIMITS = Limits(rate=100_000, size=1 << 20, total=4 << 20, concurrent=8)


@pytest.fixture(scope="module")
def open_gateway(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    with gateway(world, home, limits=LIMITS, slow=0.5) as made:
        yield made


def guarded(service: Service, receive: Any, *, path: str, headers: list[tuple[bytes, bytes]], app: Any, method: str = "POST") -> list[Any]:  # fmt: skip
    """What the guard sends where `app` is behind it."""
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers,
    }  # fmt: skip
    asyncio.run(Guard(app, service)(scope, receive, keep))
    return sent


def bearer(client: Any) -> tuple[bytes, bytes]:
    return b"authorization", str(client.headers["authorization"]).encode()


def test_a_body_that_trickles_is_let_go(
    open_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte comes each time before it is late, and yet the whole is too slow. The clock is made up."""
    now = [0.0]
    monkeypatch.setattr("catch11.serve.guard.time.monotonic", lambda: now[0])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    async def drip() -> Any:
        now[0] += 0.4
        assert now[0] < 100.0, "it is never let go"
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent = guarded(open_gateway.service, drip, path="/v1/jobs", headers=[bearer(open_gateway.client)], app=app)  # fmt: skip
    assert sent[0]["status"] == 408
    assert b"expected 1024 bytes a second" in sent[1]["body"]


def test_a_token_has_so_many_requests_under_way(world: World, tmp_path: Path) -> None:
    """Uploads count while they come, and not once they are jobs alone."""
    with gateway(world, tmp_path / "home", limits=Limits(concurrent=1)) as made:
        waiting: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            waiting.append(scope)
            await asyncio.sleep(3600)

        async def nothing() -> Any:
            await asyncio.sleep(3600)

        async def many() -> list[Any]:
            guard, sent = Guard(app, made.service), []

            async def keep(message: Any) -> None:
                sent.append(message)

            def ask() -> Any:
                scope = {"type": "http", "method": "POST", "path": "/v1/jobs", "raw_path": b"/v1/jobs",
                         "query_string": b"", "headers": [bearer(made.client)]}  # fmt: skip
                return asyncio.create_task(guard(scope, nothing, keep))

            tasks = [ask() for _ in range(9)]
            while len(waiting) < 9:
                await asyncio.sleep(0.01)
            await ask()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert not guard._under_way
            return sent

        sent = asyncio.run(many())
    assert [one["status"] for one in sent if "status" in one] == [429]
    assert b"may have 9 requests under way" in sent[1]["body"]


def test_one_file_is_no_larger_than_a_file_may_be(open_gateway: Gateway) -> None:
    """Refused by what it states, and as it comes, before it is spooled whole."""
    came: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["more_body"]:
            came.append(len(message["body"]))

    async def endless() -> Any:
        return {"type": "http.request", "body": bytes(1 << 16), "more_body": True}

    sent = guarded(
        open_gateway.service, endless, path="/v1/jobs/0/parts/a.png", method="PUT",
        headers=[bearer(open_gateway.client)], app=app,
    )  # fmt: skip
    assert sent[0]["status"] == 413
    assert sum(came) <= LIMITS.size


def test_heads_are_short(open_gateway: Gateway) -> None:
    refused = open_gateway.client.get("/v1/me", headers={f"x-{n}": "y" * 60 for n in range(400)})
    assert refused.status_code == 431
    assert "at most 16384 bytes" in refused.json()["error"]


def test_silent_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a real socket: nothing comes; a head that never ends; and one that comes whole is answered."""
    monkeypatch.setattr(PunctualProtocol, "head", 0.3)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1.0)  # longer than a head may take: an answer may
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ends(sent: bytes, again: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        got = asyncio.create_task(reader.read(100))
        while again and not got.done():
            writer.write(again)
            await asyncio.sleep(0.1)
        try:
            return await asyncio.wait_for(got, 60.0)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def look() -> None:
        server = uvicorn.Server(uvicorn.Config(app, http=PunctualProtocol, lifespan="off", log_level="critical"))  # fmt: skip
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        assert await ends(b"") == b""
        assert await ends(b"GET / HTTP/1.1\r\n", again=b"x-y: z\r\n") == b""
        assert b"204" in await ends(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        server.should_exit = True
        await task

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        asyncio.run(look())


def test_one_address_does_not_shut_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle connections of one address: the next of it is told, those of others are answered, until all are
    too many; and one that closes makes room."""
    monkeypatch.setattr(PunctualProtocol, "per_address", 3)
    monkeypatch.setattr(PunctualProtocol, "total", 6)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def opened(last: int) -> Any:
        return await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{last}", 0))

    async def told(last: int) -> bytes:
        reader, writer = await opened(last)
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            await writer.drain()
        answer: bytes = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    async def look() -> None:
        server = uvicorn.Server(uvicorn.Config(app, http=PunctualProtocol, lifespan="off", log_level="critical"))  # fmt: skip
        task = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        idle = [await opened(2) for _ in range(3)]
        await until(lambda: len(server.server_state.connections) == 3)
        refused = await told(2)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"].startswith(
            "this address has 3 connections open"
        )
        assert b" 204 " in await told(3)
        idle += [await opened(4) for _ in range(3)]
        await until(lambda: len(server.server_state.connections) == 6)
        assert b"the gateway has all the connections" in await told(3)
        for _, writer in idle:
            writer.close()
        await until(lambda: not server.server_state.connections)
        assert b" 204 " in await told(2)
        await until(lambda: not server.server_state.connections)
        assert not PunctualProtocol._open
        server.should_exit = True
        await task

    async def until(good: Any) -> None:
        while not good():
            await asyncio.sleep(0.01)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        asyncio.run(asyncio.wait_for(look(), 60.0))


def test_an_address_is_a_network_where_it_is_cheap() -> None:
    names = [
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "2001:db8::ffff:1",
        "2001:db8:0:1::1",
        "",
    ]
    assert [_network(name) for name in names] == [
        "10.0.0.1", "10.0.0.1", "2001:db8::/64", "2001:db8::/64", "2001:db8:0:1::/64", "",
    ]  # fmt: skip


def test_a_body_of_which_nothing_comes_is_let_go(open_gateway: Gateway) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def never() -> Any:
        await asyncio.sleep(3600)

    sent = guarded(open_gateway.service, never, path="/v1/jobs", headers=[bearer(open_gateway.client)], app=app)  # fmt: skip
    assert sent[0]["status"] == 408
    assert b"every 0.5 s" in sent[1]["body"]
    assert json.loads(sent[1]["body"])["error"].endswith(".")


def test_made_up_secrets_reach_no_slow_hash(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    token, door = create_token(store, "a", ["recode"]), Doorkeeper(store)
    hashed: list[str] = []
    real = Doorkeeper._verified

    def verified(kept: str, secret: str) -> bool:
        hashed.append(secret)
        return real(kept, secret)

    monkeypatch.setattr(Doorkeeper, "_verified", staticmethod(verified))
    assert door.bearer(token).tenant == "a"
    assert len(hashed) == 1
    head, drawn = token[:17], token[17:]
    for wrong in (
        "",
        "x",
        drawn[:-1],
        drawn + "A",
        drawn[:-1] + "!",
        "A" * len(drawn),
        drawn[::-1],
        "\udc80" * 55,
    ):
        with pytest.raises(Unauthorized):
            door.bearer(head + wrong)
    assert len(hashed) == 1


def test_a_termination_unwinds_what_surrounds_the_gateway() -> None:
    """uvicorn raises the signal once more at its end: folders that end with the run are gone all the same."""
    with pytest.raises(SystemExit) as ended, run._terminable():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143


def test_uploads_under_way_lie_beside_the_jobs(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with run._spooling(tmp_path / "spool"), tempfile.TemporaryFile() as held:
        assert held
        assert Path(tempfile.gettempdir()) == tmp_path / "spool"
    assert tempfile.gettempdir() == before
