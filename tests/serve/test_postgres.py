"""Many requests at once on a PostgreSQL: there transactions run side by side, and SQLite takes turns."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from catch11.serve.audit import check
from tests.serve.conftest import LONG
from tests.serve.gateway import Gateway, gateway, png, send
from tests.serve.test_stops import postgres
from tests.world import World

pytestmark = [LONG, pytest.mark.slow]
MANY = 16


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    with postgres() as url, gateway(world, home, url=url, quota=9) as made:
        yield made
        assert check(made.service.store)[1] == ""


def at_once(ask: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(ask, range(MANY)))


def counted(answers: list[Any]) -> Counter[int]:
    return Counter(one.status_code for one in answers)


def test_one_name_is_one_job(made: Gateway) -> None:
    files = [("file", ("a.png", png(0, 900)))]

    def ask(_: int) -> Any:
        return made.client.post("/v1/recode", files=files, headers={"idempotency-key": "same name"})

    answers = at_once(ask)
    assert counted(answers) == {200: MANY}, [one.text for one in answers]
    assert len({one.json()["id"] for one in answers}) == 1
    again = at_once(
        lambda _: made.client.post("/v1/jobs", json={}, headers={"idempotency-key": "same job"})
    )
    assert counted(again) == {201: MANY}, [one.text for one in again]
    assert len({one.json()["id"] for one in again}) == 1
    (job,) = {one.json()["id"] for one in again}
    data = png(1, 901)
    parts = at_once(lambda _: made.client.put(f"/v1/jobs/{job}/parts/a.png", content=data))
    assert counted(parts) == {200: MANY}, [one.text for one in parts]
    begun = at_once(lambda _: made.client.post(f"/v1/jobs/{job}/start"))
    assert counted(begun) == {200: MANY}, [one.text for one in begun]


def test_one_name_with_other_files_wins_once(made: Gateway) -> None:
    def ask(number: int) -> Any:
        files = [("file", ("a.png", png(number % 4, 910 + number)))]
        return made.client.post(
            "/v1/recode", files=files, headers={"idempotency-key": "each its own"}
        )

    answers = at_once(ask)
    assert counted(answers) == {200: 1, 409: MANY - 1}, [one.text for one in answers]


def test_one_part_with_other_bytes_wins_once(made: Gateway) -> None:
    job = made.client.post("/v1/jobs", json={}).json()["id"]
    data = [png(number % 4, 920 + number) for number in range(MANY)]
    sent = at_once(
        lambda number: made.client.put(f"/v1/jobs/{job}/parts/a/b.png", content=data[number])
    )
    assert counted(sent) == {200: 1, 409: MANY - 1}, [one.text for one in sent]
    (told,) = (one.json()["sha256"] for one in sent if one.status_code == 200)
    held = (made.service.settings.home / "jobs" / job / "source" / "a" / "b.png").read_bytes()
    assert hashlib.sha256(held).hexdigest() == told
    made.client.delete(f"/v1/jobs/{job}")


def test_two_operators_grant_the_same_at_once(made: Gateway) -> None:
    grants = f"/v1/admin/keys/{made.key}/grants"
    answers = at_once(lambda number: made.admin.post(grants, json={"tenant": "z", "quota": number}))
    assert set(counted(answers)) <= {204, 409}, [one.text for one in answers]
    found = [one for one in made.admin.get("/v1/admin/grants").json() if one["tenant"] == "z"]
    assert len(found) == 1


def test_one_picture_is_one_file(made: Gateway) -> None:
    answers = at_once(lambda number: send(made.client, {f"{number}.png": png(2, 930)}))
    assert counted(answers) == {200: MANY}, [one.text for one in answers]
    assert len({one.json()["parts"][0]["sha256"] for one in answers}) == 1
    assert len({one.json()["id"] for one in answers}) == MANY


def test_a_quota_is_spent_to_the_last_file_and_no_further(made: Gateway) -> None:
    jobs = [made.client.post("/v1/jobs", json={"keep": "all"}).json()["id"] for _ in range(MANY)]
    for number, job in enumerate(jobs):
        sent = made.client.put(f"/v1/jobs/{job}/parts/a.png", content=png(3, 940 + number))
        assert sent.status_code == 200
    begun = at_once(lambda number: made.client.post(f"/v1/jobs/{jobs[number]}/start"))
    assert counted(begun) == {200: 9, 403: MANY - 9}, [one.text for one in begun]
    assert made.client.get("/v1/keys").json()[0]["grants"][0]["left"] == 0


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v1/jobs/a%00b", {}),
        ("DELETE", "/v1/jobs/%00", {}),
        ("PUT", "/v1/jobs/a%00b/parts/a.png", {"content": b"x"}),
        ("POST", "/v1/jobs", {"json": {"key": "a\0b"}}),
        ("POST", "/v1/verify", {"json": {"job": "a\0b"}}),
        ("POST", "/v1/recode", {"data": {"purpose": "a\0"}, "files": [("file", ("a.png", b"x"))]}),
        ("POST", "/v1/admin/keys/%00/revoke", {}),
        ("DELETE", "/v1/admin/tokens/%00", {}),
        ("DELETE", "/v1/admin/keys/ours/grants/%00", {}),
    ],
)
def test_what_the_database_cannot_hold_is_a_sentence(
    made: Gateway, method: str, path: str, said: dict[str, Any]
) -> None:
    client = made.admin if "admin" in path else made.client
    answer = client.request(method, path, **said)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]
