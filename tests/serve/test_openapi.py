"""Whatever is sent along the OpenAPI, no answer is a 500 and each is what the document says."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

pytest.importorskip("schemathesis", reason="needs the extra test")

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from catch11.serve.tokens import create_token
from tests.client.test_client import listening
from tests.serve.conftest import LONG
from tests.serve.gateway import gateway
from tests.world import build_world

# More, for a long look: CATCH11_EXAMPLES=200 python -m pytest tests/serve/test_openapi.py
EXAMPLES = int(os.environ.get("CATCH11_EXAMPLES", "4"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]  # fmt: skip


@LONG
@pytest.mark.slow
def test_every_operation_answers_as_documented(tmp_path: Path) -> None:
    world = build_world(tmp_path, count=8)
    with gateway(world, tmp_path / "home", wait=2.0, slow=2.0) as made, listening(made) as url:
        token = create_token(made.service.store, "a", ["recode", "verify", "admin"])
        headers = {"authorization": f"Bearer {token}"}
        schema = schemathesis.openapi.from_dict(made.client.app.openapi())  # type: ignore[attr-defined]
        operations = [one.ok() for one in schema.get_all_operations()]  # type: ignore[union-attr]
        assert len(operations) >= 20
        for operation in operations:
            # It would end its own token, or its tenant's key.
            if operation.method.upper() in ("DELETE", "POST") and "/admin/" in operation.path:
                continue
            check(operation, url, headers)


def check(operation: Any, url: str, headers: dict[str, str]) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(base_url=url, headers=headers, timeout=60)
        case.validate_response(answer, checks=CHECKS)

    ask()


def test_the_document_can_be_had_and_names_every_operation_once(tmp_path: Path) -> None:
    world = build_world(tmp_path, count=8)
    with gateway(world, tmp_path / "home") as made:
        document = made.client.get("/openapi.json").json()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(names)) == len(names)
    assert {"/v1/recode", "/v1/verify", "/v1/keys", "/v1/jobs/{job}/events"} <= set(
        document["paths"]
    )
    public = {"/healthz", "/readyz", "/metrics"}
    for path, methods in document["paths"].items():
        for one in methods.values():
            assert ("security" in one) == (path not in public), path
