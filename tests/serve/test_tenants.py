"""Two tenants over random requests: what either sees is exactly what it did itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.gateway import Gateway, gateway, png
from tests.world import World

PICTURES = [png(label, 7000 + label) for label in range(4)]
MOVES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["create", "upload", "start", "show", "fetch", "drop", "verify"]),
        st.integers(0, 5),
    ),
    min_size=4,
    max_size=10,
)


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(world, tmp_path_factory.mktemp("home"), quota=10_000) as found:
        yield found


def act(client: TestClient, what: str, path: str, name: str, data: bytes) -> Any:
    """One request of one kind about a job."""
    if what == "upload":
        return client.put(f"{path}/parts/{name}", content=data)
    if what == "verify":
        return client.post("/v1/verify", json={"job": path.rpartition("/")[2], "limit": 1})
    methods = {
        "start": ("POST", "/start"),
        "show": ("GET", ""),
        "fetch": ("GET", "/release"),
        "drop": ("DELETE", ""),
    }
    method, more = methods[what]
    return client.request(method, path + more)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(moves=MOVES)
def test_tenants_see_their_own_alone(made: Gateway, moves: list[tuple[str, str, int]]) -> None:
    clients = {"a": made.client, "b": made.other}
    jobs: list[tuple[str, str]] = []
    for who, what, number in moves:
        client = clients[who]
        if what == "create" or not jobs:
            answer = client.post("/v1/jobs", json={"keep": "all"})
            if answer.status_code == 201:
                jobs.append((who, answer.json()["id"]))
            continue
        owner, job = jobs[number % len(jobs)]
        answer = act(client, what, f"/v1/jobs/{job}", f"{who}{number}.png", PICTURES[number % 4])
        assert answer.status_code < 500
        if owner != who:
            assert answer.status_code == 404
            assert ".png" not in answer.text
    for who, client in clients.items():
        seen = json.dumps(client.get("/v1/jobs").json())
        assert not [job for owner, job in jobs if owner != who and job in seen]
    for owner, job in jobs:
        clients[owner].delete(f"/v1/jobs/{job}")
        clients[owner].delete(f"/v1/jobs/{job}")


def test_a_tenant_without_a_grant_has_nothing(made: Gateway) -> None:
    from catch11.serve.tokens import create_token

    token = create_token(made.service.store, "c", ["recode", "verify"])
    headers = {"authorization": f"Bearer {token}"}
    assert made.client.get("/v1/keys", headers=headers).json() == []
    named = made.client.get("/v1/keys").json()[0]["id"]
    for ask in ({}, {"key": named}, {"key": "ours"}, {"key": "none"}):
        refused = made.client.post("/v1/jobs", json=ask, headers=headers)
        assert refused.status_code == 403
        assert refused.json()["error"] == "no grant of yours names such a key; GET /v1/keys lists those that do."  # fmt: skip
