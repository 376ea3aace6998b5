"""What an operator does over HTTP: grants, rotation; tokens and revocation are in test_recode."""

from pathlib import Path
from typing import Any

from catch11.serve.audit import check
from tests.serve.gateway import gateway
from tests.world import World


def test_grants_and_rotation_by_an_operator(world: World, tmp_path: Path) -> None:
    with gateway(world, tmp_path / "home", quota=3) as made:
        admin, client = made.admin, made.client
        grants = f"/v1/admin/keys/{made.key}/grants"
        asked: dict[str, Any] = {
            "tenant": "c",
            "keep": ["scores", "all"],
            "purpose": "study",
            "quota": 7,
        }
        assert admin.post(grants, json=asked | {"quota": 7.0}).status_code == 204
        theirs = {"key": "ours", **asked, "left": 7}
        assert admin.get("/v1/admin/grants").json()[-1] == theirs
        before = client.get("/v1/keys").json()[0]
        assert admin.post(f"/v1/admin/keys/{made.key}/rotate").status_code == 204
        after = client.get("/v1/keys").json()[0]
        assert before["fingerprint"] != after["fingerprint"]
        assert before["grants"] == after["grants"]
        assert admin.get("/v1/admin/grants").json()[-1] == theirs
        assert admin.post(f"/v1/admin/keys/{made.key}/rotate").status_code == 409, "it is retired"
        assert admin.delete("/v1/admin/keys/ours/grants/c").status_code == 204
        assert [one["tenant"] for one in admin.get("/v1/admin/grants").json()] == ["a", "b"]
        for wrong, said in (
            ({"keep": ["nonsense"]}, "body.keep"), ({"keep": []}, "keep"), ({"quota": -1}, "quota"), ({"quota": False}, "quota"), ({"purpose": "x" * 101}, "purpose"),
            ({"keep": ["layer:a,all"]}, "body.keep"), ({"tenant": "a b"}, "tenant"), ({"purpose": "a\0"}, "purpose"),
        ):  # fmt: skip
            refused = admin.post("/v1/admin/keys/ours/grants", json=asked | wrong)
            assert (refused.status_code, said in refused.json()["error"]) == (422, True), wrong
        for method, path in (
            ("POST", "keys/ours/rotate"), ("POST", "keys/ours/grants"), ("DELETE", "keys/ours/grants/a"), ("GET", "grants"),
        ):  # fmt: skip
            assert client.request(method, f"/v1/admin/{path}", json=asked).status_code == 403
        assert check(made.service.store)[1] == ""
