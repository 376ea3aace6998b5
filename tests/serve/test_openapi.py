"""Whatever is sent along the OpenAPI, no answer is a 500 and each is what the document says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catch11.serve.tokens import Limits, create_token
from tests.client.test_client import listening
from tests.serve.conftest import LONG
from tests.serve.gateway import gateway
from tests.world import World

# Cases an operation and phase. More, for a long look: CATCH11_EXAMPLES=200 make test-gateway
EXAMPLES = os.environ.get("CATCH11_EXAMPLES", "20")
FREE = Limits(rate=10**6, concurrent=10**6)
# A document cannot say that a file must be a picture, that a key was revoked, or that no file is left to send.
SETTINGS = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 410, 413, 415, 416, 429, 503]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 413, 414, 415, 416, 422, 429, 503]
"""
TOOL = Path(sys.executable).with_name("schemathesis")


@LONG
@pytest.mark.slow
def test_every_operation_answers_as_documented(world: World, tmp_path: Path) -> None:
    """schemathesis itself, with all its checks, over every operation, those that administer included. What it
    sends is read and judged by it; links are not followed, as they would end its own token."""
    found = str(TOOL) if TOOL.exists() else shutil.which("schemathesis")
    if found is None:
        pytest.skip("needs the extra test")
    with gateway(world, tmp_path / "home", wait=5.0, slow=2.0) as made, listening(made) as url:
        token = create_token(made.service.store, "a", ["recode", "verify", "admin"], limits=FREE)
        words = [
            found, "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--checks", "all",
            "--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing", "--generation-deterministic",
            "--request-timeout", "60", "--continue-on-failure", "--no-color",
        ]  # fmt: skip
        (tmp_path / "schemathesis.toml").write_text(SETTINGS)
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    print(done.stdout[-30_000:].replace(token, "TOKEN"))
    assert done.returncode == 0, done.stdout[-8000:].replace(token, "TOKEN")
    tested = re.search(r"Operations: *(\d+) selected", done.stdout) or re.search(
        r"(\d+) selected", done.stdout
    )
    assert tested is not None
    assert int(tested[1]) >= 20


def test_the_document_can_be_had_and_names_every_operation_once(
    world: World, tmp_path: Path
) -> None:
    with gateway(world, tmp_path / "home") as made:
        document = made.client.get("/openapi.json").json()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(names)) == len(names)
    assert {"/v1/recode", "/v1/verify", "/v1/keys", "/v1/jobs/{job}/events"} <= set(
        document["paths"]
    )
    for name in ("release", "files/{name}", "ledger"):
        said = document["paths"][f"/v1/jobs/{{job}}/{name}"]["get"]
        assert "Range" in {one["name"] for one in said["parameters"]}
        assert {"200", "206", "400", "416"} <= set(said["responses"])
    public = {"/healthz", "/readyz", "/metrics"}
    for path, methods in document["paths"].items():
        for one in methods.values():
            assert ("security" in one) == (path not in public), path
