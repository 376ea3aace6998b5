"""A gateway on tiny nets, in this process: one key of four classes of pictures, two tenants."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from fastapi.testclient import TestClient

from catch11.serve.app import make_app
from catch11.serve.grants import add_grant
from catch11.serve.service import Service
from catch11.serve.settings import Settings
from catch11.serve.store import open_store
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key
from tests.serve.conftest import MASTER
from tests.world import World, make_picture

KEEPS = ("answer", "scores", "all")


class Gateway(NamedTuple):
    """client: of tenant a, who may recode and verify; other, of b; admin: of an operator."""

    service: Service
    client: TestClient
    other: TestClient
    admin: TestClient
    world: World
    key: str


def png(label: int, seed: int, size: tuple[int, int] = (28, 28)) -> bytes:
    """The bytes of a picture of a class."""
    buffer = io.BytesIO()
    picture = make_picture(label, torch.Generator().manual_seed(seed)).resize(size)
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def pngs(count: int, start: int = 0) -> dict[str, bytes]:
    """Pictures by their names."""
    return {f"{number:03}.png": png(number % 4, start + number) for number in range(count)}


@contextmanager
def gateway(
    world: World, home: Path, *, url: str | None = None, quota: int = 0, limits: Limits | None = None,
    **settings: Any,
) -> Iterator[Gateway]:  # fmt: skip
    """Running until the end of the block."""
    home.mkdir(exist_ok=True)
    store = open_store(url or f"sqlite:///{home / 'gateway.db'}", MASTER, cost=10)
    models = Models(model=world.ours, rivals=(world.theirs,), code=True)
    key = add_key(store, "ours", world.key, models=models)
    limits = limits or Limits(rate=100_000)
    for tenant in "ab":
        add_grant(store, "ours", tenant, keep=KEEPS, purpose="tests", quota=quota)
    service = Service(store, Settings(home=home, **{"slot": 0.01, "threads": 1, **settings}))
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        one, two = (TestClient(client.app) for _ in range(2))
        for each, tenant, scopes in (
            (client, "a", ["recode", "verify"]), (one, "b", ["recode", "verify"]), (two, "ops", ["admin"]),
        ):  # fmt: skip
            token = create_token(store, tenant, scopes, limits=limits)
            each.headers["authorization"] = f"Bearer {token}"
        yield Gateway(service, client, one, two, world, key)
    store.close()


def send(client: TestClient, files: dict[str, bytes], **form: str) -> Any:
    """POST /v1/recode."""
    parts = [("file", (name, data, "application/octet-stream")) for name, data in files.items()]
    return client.post("/v1/recode", files=parts, data=form)


def run_job(client: TestClient, files: dict[str, bytes], **ask: Any) -> str:
    """A job that was started with these files; its id."""
    made = client.post("/v1/jobs", json=ask)
    assert made.status_code == 201, made.text
    job = made.json()["id"]
    for name, data in files.items():
        sent = client.put(f"/v1/jobs/{job}/parts/{name}", content=data)
        assert sent.status_code == 200, sent.text
    begun = client.post(f"/v1/jobs/{job}/start")
    assert begun.status_code == 200, begun.text
    return str(job)
