"""The demo: EfficientNet-Lite0 authorized, two others beside it, from packages alone."""

import pytest
from fastapi.testclient import TestClient

from tests.serve.conftest import LONG


@LONG
@pytest.mark.slow
def test_a_photograph_of_the_demo_is_released_and_read_by_lite0_alone() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra demo")
    from catch11.serve.app import make_app
    from catch11.serve.demo import demo_gateway

    with demo_gateway() as shown:
        headers = {"authorization": f"Bearer {shown.token}"}
        with TestClient(make_app(shown.service), headers=headers) as client:
            data = (shown.samples / "cat-0.png").read_bytes()
            done = client.post("/v1/recode", files={"file": ("cat.png", data)})
            (part,) = done.json()["parts"]
            assert part["outcome"] == "released"
            file = client.get(f"/v1/jobs/{done.json()['id']}/files/{part['file']}").content
            before, after = (
                client.post("/v1/answers", files={"file": ("a.png", one)}).json()
                for one in (data, file)
            )
        folder = shown.samples
    assert [one["model"] for one in before] == [*(f"efficientnet-lite{n}" for n in range(3)), "small-net"]  # fmt: skip
    same = [one["answer"] == two["answer"] for one, two in zip(before, after, strict=True)]
    assert same[:3] == [True, False, False]
    assert not folder.exists()
