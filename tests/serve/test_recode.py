"""The service: files in, the engine's release out, for who may have it."""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catch11.keys.key import build_key
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import press, recode
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.releases.press import open_ledger
from catch11.releases.read import read_release
from catch11.serve.grants import add_grant
from catch11.serve.vault import Models, add_key, revoke_key, rotate_key
from tests.serve.gateway import Gateway, gateway, png, pngs, run_job, send
from tests.world import World


@pytest.fixture(scope="module")
def open_gateway(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(world, tmp_path_factory.mktemp("home"), quota=1000) as made:
        yield made


def ended(client: Any, job: str) -> dict[str, Any]:
    with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        said = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert said[-1]["state"] in ("done", "failed", "cancelled")
    return dict(client.get(f"/v1/jobs/{job}").json())


def test_one_picture_is_recoded_as_the_library_does(
    open_gateway: Gateway, world: World, tmp_path: Path
) -> None:
    data = png(1, 900)
    done = send(open_gateway.client, {"a/b.png": data}, keep="all")
    assert done.status_code == 200, done.text
    (part,) = done.json()["parts"]
    assert (part["name"], part["outcome"], part["file"]) == ("a/b.png", "released", "a/b.png")
    job = done.json()["id"]
    got = open_gateway.client.get(f"/v1/jobs/{job}/files/a/b.png").content
    (tmp_path / "source" / "a").mkdir(parents=True)
    (tmp_path / "source" / "a" / "b.png").write_bytes(data)
    options = RecodeOptions(method="spectral", model=world.model, check=True)
    recode(tmp_path / "source", tmp_path / "out", world.key, options)
    assert got == (tmp_path / "out" / "a" / "b.png").read_bytes()


def test_a_batch_and_a_zip_of_it_give_the_same_files(open_gateway: Gateway, tmp_path: Path) -> None:
    files = pngs(5, 100)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    one = send(open_gateway.client, files)
    two = send(open_gateway.client, {"all.zip": packed.getvalue()})
    outcomes = [[(p["name"], p["sha256"]) for p in each.json()["parts"]] for each in (one, two)]
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == 5
    zipped = open_gateway.client.post(
        "/v1/recode",
        files=[("file", (name, data)) for name, data in files.items()],
        headers={"accept": "application/zip"},
    )
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        archive.extractall(tmp_path)
    release = read_release(tmp_path)
    written = [part for part in one.json()["parts"] if part["outcome"] == "released"]
    assert len(written) >= 3, (
        "the tiny net answers otherwise now and then, which the check withholds"
    )
    assert {entry.sha256 for entry in release.entries} == {part["sha256"] for part in written}
    assert release.complete
    assert release.keep is not None
    assert release.keep.text == "answer"
    assert all(release.data(entry) for entry in release.entries)


def test_a_job_is_watched_fetched_in_ranges_and_verified(open_gateway: Gateway) -> None:
    client = open_gateway.client
    job = run_job(client, pngs(6, 200), keep="answer", names="opaque")
    found = ended(client, job)
    assert (found["state"], found["done"], found["total"]) == ("done", 6, 6)
    released = [part for part in found["parts"] if part["outcome"] == "released"]
    assert len(released) >= 4, (
        "the tiny net answers otherwise now and then, which the check withholds"
    )
    whole = client.get(f"/v1/jobs/{job}/release").content
    half = client.get(f"/v1/jobs/{job}/release", headers={"range": f"bytes={len(whole) // 2}-"})
    assert half.status_code == 206
    assert half.content == whole[len(whole) // 2 :]
    verified = client.post("/v1/verify", json={"job": job})
    assert verified.status_code == 200, verified.text
    facts = verified.json()
    assert (facts["failed"], facts["files"]) == (False, len(released))
    roles = {
        r["role"]: r
        for r in facts["records"]
        if (r["condition"], r["metric"]) == ("nte", "agreement")
    }
    assert "authorized" in roles, facts["records"]
    assert roles["authorized"]["value"] == 1.0
    assert len(roles) == 2


def test_a_range_that_cannot_be_given_is_one_sentence(open_gateway: Gateway) -> None:
    client = open_gateway.client
    job = send(client, {"a.png": png(2, 905)}).json()["id"]
    for name in ("release", "ledger", "files/manifest.jsonl"):
        path = f"/v1/jobs/{job}/{name}"
        size = len(client.get(path).content)
        assert client.get(path, headers={"range": "bytes=0-1"}).status_code == 206
        past = client.get(path, headers={"range": f"bytes={size}-"})
        assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")
        assert f"within the {size} bytes" in past.json()["error"]
        for wrong in ("bytes=5-3", "bytes=x", "parts=0-1", "bytes"):
            bad = client.get(path, headers={"range": wrong})
            assert bad.status_code == 400
            assert "expected bytes=FIRST-LAST" in bad.json()["error"]


def test_a_form_takes_what_a_job_takes(open_gateway: Gateway) -> None:
    client, data = open_gateway.client, png(3, 906)
    asked = {"keep": "all", "psnr": "12", "format": "tensor", "names": "opaque"}
    (form,) = send(client, {"a.png": data}, **asked).json()["parts"]
    assert form["outcome"] == "released"
    assert form["file"].endswith(".safetensors")
    again = run_job(client, {"a.png": data}, **{**asked, "psnr": 12.0})
    (part,) = ended(client, again)["parts"]
    assert (part["file"], part["sha256"]) == (form["file"], form["sha256"])
    for name, value in (("psnr", "loud"), ("format", "gif"), ("half", "maybe"), ("steps", "9"), ("columns", "x" * 999)):  # fmt: skip
        refused = send(client, {"a.png": data}, **{name: value})
        assert refused.status_code == 422
        assert name in refused.json()["error"]


def test_a_form_that_breaks_off_is_refused(open_gateway: Gateway) -> None:
    head = {"content-type": "multipart/form-data; boundary=b0"}
    part = b'--b0\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    whole = part + png(1, 907) + b"\r\n--b0--\r\n"
    for path in ("/v1/recode", "/v1/answers"):
        assert open_gateway.client.post(path, content=whole, headers=head).status_code == 200
        for cut in (8, 40, 300):
            answer = open_gateway.client.post(path, content=whole[:-cut], headers=head)
            assert answer.status_code == 400, answer.text
            assert "the form: expected its last boundary" in answer.json()["error"]


def test_a_release_that_is_sent_is_verified_if_the_key_signed_it(
    open_gateway: Gateway, world: World, tmp_path: Path
) -> None:
    client = open_gateway.client
    job = send(client, pngs(4, 940)).json()["id"]
    whole = client.get(f"/v1/jobs/{job}/release").content

    def verified(data: bytes, **form: str) -> Any:
        return client.post("/v1/verify/release", files={"file": ("r.zip", data)}, data=form)

    found = verified(whole, key="ours")
    assert found.status_code == 200, found.text
    facts = found.json()
    assert not facts["failed"]
    assert 0 < facts["files"] <= 4
    assert facts["records"], "without its sources, what others make of it"
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.png").write_bytes(png(1, 941))
    strange = build_key(world.model, energy=1e-2)
    recode(tmp_path / "source", tmp_path / "other", strange, RecodeOptions(method="spectral"))
    other = Path(shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "other"))
    for data in (other.read_bytes(), whole[:-30], png(1, 1), b"x"):
        refused = verified(data)
        assert 400 <= refused.status_code < 500
        assert "expected a" in refused.json()["error"]
    assert not [*open_gateway.service.settings.home.glob("tmp*")], "nothing of it is kept"
    assert open_gateway.other.post("/v1/verify/release", files={"file": ("r.zip", whole)}, data={"key": "none"}).status_code == 403  # fmt: skip


def test_answers_tell_no_confidence_of_the_authorized_model(open_gateway: Gateway) -> None:
    said = open_gateway.client.post("/v1/answers", files={"file": ("a.png", png(2, 5))})
    assert said.status_code == 200, said.text
    ours, theirs = said.json()
    assert (ours["role"], ours["answer"], ours["confidence"]) == ("authorized", "south west", None)
    assert (theirs["role"], 0.0 <= theirs["confidence"] <= 1.0) == ("rival", True)


def test_the_same_request_is_the_same_job(open_gateway: Gateway) -> None:
    headers = {"idempotency-key": "request-one"}
    files = [("file", ("a.png", png(0, 300)))]
    jobs = {open_gateway.client.post("/v1/recode", files=files, headers=headers).json()["id"] for _ in range(2)}  # fmt: skip
    assert len(jobs) == 1
    assert open_gateway.other.post("/v1/recode", files=files, headers=headers).json()["id"] not in jobs  # fmt: skip


def test_names_of_other_case_are_two_files_in_a_form_and_in_a_zip(open_gateway: Gateway) -> None:
    """The engine gives them names that no file system takes for one."""
    files, held = {"a.png": png(0, 305), "A.png": png(1, 306)}, io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    for sent in (files, {"both.zip": held.getvalue()}):
        answer = send(open_gateway.client, sent, keep="all")
        assert answer.status_code == 200, answer.text
        parts = answer.json()["parts"]
        assert {part["name"] for part in parts} == set(files)
        given = [part["file"].casefold() for part in parts if part["file"]]
        assert len(set(given)) == len(given) > 0


def test_a_request_by_anothers_name_is_refused(open_gateway: Gateway) -> None:
    client, headers = open_gateway.client, {"idempotency-key": "request-two"}

    def ask(data: bytes, **form: str) -> Any:
        return client.post("/v1/recode", files=[("file", ("a.png", data))], data=form, headers=headers)  # fmt: skip

    first = ask(png(0, 310))
    assert first.status_code == 200, first.text
    for other in (ask(png(1, 311)), ask(png(0, 310), keep="scores"), client.post("/v1/jobs", json={}, headers=headers)):  # fmt: skip
        assert other.status_code == 409
        assert "Idempotency-Key: expected the same" in other.text
    assert ask(png(0, 310)).json()["id"] == first.json()["id"]


@pytest.mark.parametrize("good", [True, False])
def test_one_of_many_with_one_name_at_once_wins(open_gateway: Gateway, good: bool) -> None:
    """Each brings other files: one job, and a sentence for all others; none of them takes it away. Where
    all bring the same that cannot be used, each is told so."""
    headers = {"idempotency-key": f"request-three-{good}"}

    def ask(number: int) -> Any:
        name = f"{number % 3}.png" if good else "a.txt"
        files = [("file", (name, png(0, 320 + number % 3))) if good else ("file", (name, b"words"))]
        return open_gateway.client.post("/v1/recode", files=files, headers=headers)

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(ask, range(9)))
    codes = sorted(one.status_code for one in answers)
    assert codes == ([200] * 3 + [409] * 6 if good else [415] * 9), [one.text for one in answers]
    assert len({one.json()["id"] for one in answers if one.status_code == 200}) == good


def test_two_strengths_of_one_picture_are_refused(open_gateway: Gateway) -> None:
    data = png(3, 400)
    assert send(open_gateway.client, {"a.png": data}, keep="all").status_code == 200
    again = send(open_gateway.client, {"b.png": data}, keep="answer")
    assert again.status_code == 409
    assert "before with other settings" in again.json()["error"]
    beside = send(open_gateway.client, {**pngs(3, 450), "c.png": data}, keep="answer").json()[
        "parts"
    ]
    assert (beside[-1]["outcome"], "other settings" in beside[-1]["reason"]) == ("withheld", True)
    assert all("other settings" not in part["reason"] for part in beside[:-1])
    assert send(open_gateway.other, {"b.png": data}, keep="answer").status_code == 200


def test_no_second_strength_after_a_rotation_or_of_another_key(
    world: World, tmp_path: Path
) -> None:
    data, other = png(3, 400), replace(world.key, secret=bytes(range(1, 33)))
    with gateway(world, tmp_path / "home", quota=100) as made:
        store, client = made.service.store, made.client
        assert send(client, {"a.png": data}, keep="all").json()["parts"][0]["file"]
        rotate_key(store, "ours")
        add_key(store, "beside", other, models=Models(model=world.ours, code=True))
        add_grant(store, "beside", "a", keep=("all", "answer"), quota=100)
        for key, keep in (("ours", "all"), ("ours", "answer"), ("beside", "answer")):
            again = send(client, {"b.png": data}, key=key, keep=keep)
            assert (again.status_code, "under another key" in again.text) == (409, True), again.text
            job = ended(client, run_job(client, {"c.png": data}, key=key, keep=keep))
            assert (job["state"], job["parts"][0]["file"]) == ("done", ""), job
        assert send(client, {"d.png": png(3, 470)}, key="beside", keep="all").status_code == 200


def test_a_picture_gives_the_same_file_whatever_comes_with_it(
    open_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deep files, whose search works on several pictures at once elsewhere: alone, in company, as a job."""
    client, data = open_gateway.client, png(2, 2100)
    alone = send(client, {"a.png": data}, keep="answer").json()["parts"][0]
    company = send(client, {**pngs(7, 2200), "zz.png": data}, keep="answer").json()["parts"][-1]
    job = ended(client, run_job(client, {**pngs(5, 2300), "b.png": data}, keep="answer"))
    assert alone["outcome"] == "released"
    files = [alone, company, next(part for part in job["parts"] if part["name"] == "b.png")]
    assert len({part["sha256"] for part in files}) == 1
    # Where the machine would make another file of it all the same, that one does not go out.
    from catch11.modalities.image.png8 import Png8

    real = Png8.encode
    monkeypatch.setattr(
        Png8, "encode", lambda self, meant, canvas: real(self, meant, canvas) + b"more"
    )
    other = send(client, {"a.png": data, **pngs(2, 2400)}, keep="answer").json()["parts"][0]
    assert (other["outcome"], other["file"]) == ("withheld", "")
    assert "would make another file of it now" in other["reason"]


def test_who_hands_files_out_searches_for_each_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step on several pictures rounds otherwise than one on each, so that files would hang on their company."""
    together: list[int] = []
    real = DeepRecoder.search

    def searched(self: DeepRecoder, windows: Any, streams: Any) -> Any:
        together.append(len(windows))
        return real(self, windows, streams)

    monkeypatch.setattr(DeepRecoder, "search", searched)
    source = tmp_path / "source"
    source.mkdir()
    for name, data in pngs(5, 2500).items():
        (source / name).write_bytes(data)
    options = RecodeOptions(
        method="deep", model=world.model, check=True, ledger=tmp_path / "ledger"
    )
    recode(source, tmp_path / "apart", world.key, options, apart=True)
    pressed = press(world.key, RecodeOptions(method="deep", model=world.model, check=True))
    with open_ledger(tmp_path / "pressed", world.key) as ledger:
        pressed.make(pngs(5, 2500), ledger)
    assert set(together) == {1}
    together.clear()
    recode(source, tmp_path / "out", world.key, replace(options, ledger=tmp_path / "other"))
    assert max(together) == 5


def test_keys_say_nothing_secret(open_gateway: Gateway, world: World) -> None:
    found = open_gateway.client.get("/v1/keys").json()
    assert found[0]["fingerprint"] == world.key.fingerprint
    assert found[0]["grants"][0]["keep"] == ["answer", "scores", "all"]
    text = json.dumps([found, open_gateway.admin.get("/v1/admin/keys").json()])
    assert world.ours not in text
    assert world.key.secret.hex() not in text


def test_tenants_are_apart(open_gateway: Gateway) -> None:
    job = send(open_gateway.client, {"x.png": png(0, 500)}).json()["id"]
    other = open_gateway.other
    for method, path, body in (
        ("GET", "", None), ("GET", "/events", None), ("GET", "/release", None), ("GET", "/files/x.png", None),
        ("GET", "/files/manifest.jsonl", None), ("POST", "/start", None), ("PUT", "/parts/x.png", b"x"),
        ("DELETE", "", None),
    ):  # fmt: skip
        answer = other.request(method, f"/v1/jobs/{job}{path}", content=body)
        none = other.request(method, f"/v1/jobs/{'0' * 24}{path}", content=body)
        assert answer.status_code == none.status_code == 404
        assert answer.json()["error"].replace(job, "") == none.json()["error"].replace("0" * 24, "")
    assert other.post("/v1/verify", json={"job": job}).status_code == 404
    assert job not in json.dumps(other.get("/v1/jobs").json())
    assert open_gateway.client.get(f"/v1/jobs/{job}").status_code == 200


def test_scopes_and_tokens(open_gateway: Gateway) -> None:
    client, admin = open_gateway.client, open_gateway.admin
    assert client.get("/v1/admin/tokens").status_code == 403
    assert admin.post("/v1/jobs", json={}).status_code == 403
    made = admin.post("/v1/admin/tokens", json={"tenant": "a", "scopes": ["recode"], "days": 1})
    token = made.json()["token"]
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("/v1/me", headers=headers).json()["scopes"] == ["recode"]
    assert admin.delete(f"/v1/admin/tokens/{token.split('_')[1]}").status_code == 204
    refused = client.get("/v1/me", headers=headers)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert token not in json.dumps(admin.get("/v1/admin/tokens").json())
    assert admin.get("/v1/admin/audit").json()["wrong"] == ""


def test_cancelled_and_deleted(open_gateway: Gateway) -> None:
    client = open_gateway.client
    job = client.post("/v1/jobs", json={}).json()["id"]
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"
    assert client.post(f"/v1/jobs/{job}/start").status_code == 409
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_a_running_job_that_is_deleted_ends_quietly(
    open_gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_gateway.client
    job = run_job(client, pngs(24, 6000), keep="scores")
    while client.get(f"/v1/jobs/{job}").json()["state"] == "queued":
        time.sleep(0.01)
    for _ in range(2):
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    other = run_job(client, pngs(1, 6100), keep="scores")  # it waits for the ledger of the first
    assert ended(client, other)["state"] == "done"
    assert "failed" not in caplog.text
    assert not (open_gateway.service.settings.home / "jobs" / job).exists()


def test_quota_of_what_gives_the_subspace_away(world: World, tmp_path: Path) -> None:
    with gateway(world, tmp_path / "home", quota=3) as made:
        assert send(made.client, pngs(2, 600), keep="all").status_code == 200
        refused = send(made.client, pngs(2, 700), keep="all")
        assert refused.status_code == 403
        assert "quota" in refused.json()["error"]
        assert send(made.client, pngs(2, 700)).status_code == 200, "deep files are not counted"
        assert made.client.get("/v1/keys").json()[0]["grants"][0]["left"] == 1


def test_a_revoked_key_stops_running_jobs_and_hands_nothing_out(
    world: World, tmp_path: Path
) -> None:
    with gateway(world, tmp_path / "home", quota=1000) as made:
        first = send(made.client, pngs(1, 800)).json()["id"]
        job = run_job(made.client, pngs(40, 5000), keep="scores")
        while made.client.get(f"/v1/jobs/{job}").json()["state"] == "queued":
            time.sleep(0.01)
        revoke_key(made.service.store, "ours")
        found = ended(made.client, job)
        assert (found["state"], "was revoked" in found["error"]) == ("failed", True)
        for path in (f"{first}/release", f"{job}/release", f"{first}/files/manifest.jsonl"):
            assert made.client.get(f"/v1/jobs/{path}").status_code == 410
        assert send(made.client, pngs(1, 1)).status_code == 403
        assert made.client.get("/v1/keys").json() == []


def test_nothing_measured_and_nothing_secret_leaves(
    open_gateway: Gateway, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_gateway.client
    with caplog.at_level("DEBUG"):
        job = send(client, pngs(3, 1000), keep="scores").json()["id"]
    home = open_gateway.service.settings.home
    texts = [
        client.get(path).text
        for path in (
            f"/v1/jobs/{job}", f"/v1/jobs/{job}/files/manifest.jsonl", "/metrics", "/v1/keys", "/v1/jobs",
        )
    ]  # fmt: skip
    texts += [caplog.text, (home / "jobs" / job / "ledger.jsonl").read_text()]
    token = str(client.headers["authorization"]).split()[1]
    for text in texts:
        for word in ("psnr", "front_shift", "margin", "steps", "basis", "distance"):
            assert word not in text
        for secret in (world.key.secret.hex(), world.ours, token, token.split("_", 2)[2]):
            assert secret not in text
