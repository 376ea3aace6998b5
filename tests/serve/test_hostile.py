"""A hundred hostile uploads and more: each is one sentence and a 4xx, nothing is left behind."""

import io
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catch11.data.foreign import SIGNS
from catch11.serve.pace import Pace, Tempo
from catch11.serve.refusals import Refused
from catch11.serve.tokens import Limits
from tests.serve.gateway import Gateway, gateway, png, send
from tests.world import World

LIMITS = Limits(rate=100_000, size=1 << 20, pixels=1_000_000, total=4 << 20, parts=50, concurrent=8)
BODY = 8 << 20


@pytest.fixture(scope="module")
def open_gateway(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("home")
    with gateway(world, home, limits=LIMITS, body=BODY, slow=0.5) as made:
        yield made


def bomb(width: int, height: int) -> bytes:
    """A PNG that states many pixels and holds few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archive(*members: tuple[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda i: None) -> bytes:  # fmt: skip
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            made.writestr(info, data)
    return held.getvalue()


def link(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o120777 << 16


GOOD = png(1, 1)
SAFE = ("a.png", GOOD)
EMPTY = archive()
WHOLE = archive(SAFE)
FILES: dict[str, tuple[str, bytes]] = {
    **{f"foreign {number}": ("a.png", b"\0" * sign.at + sign.magic + b"\0" * 600) for number, sign in enumerate(SIGNS)},
    **{f"cut at {size}": ("a.png", GOOD[:size]) for size in (1, 4, 8, 12, 20, 33, 60, 200, 700)},
    **{f"pixels {w}x{h}": ("a.png", bomb(w, h)) for w, h in ((30000, 30000), (1 << 30, 1), (0, 5), (5, 0), (2000, 600), ((1 << 31) - 1, (1 << 31) - 1))},
    **{f"bits {seed}": ("a.png", np.random.default_rng(seed).bytes(900)) for seed in range(12)},
    **{f"flipped {at}": ("a.png", GOOD[:at] + bytes([GOOD[at] ^ 255]) + GOOD[at + 1:]) for at in (0, 9, 12, 17, 18, 22, 24, 25, 26, 28)},
    "empty": ("a.png", b""),
    "large": ("a.png", GOOD + bytes(1 << 20)),
    "html": ("a.png", b"<!doctype html><script>alert(1)</script>"),
    "svg": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>"),
    "pickle": ("model.pt", b"\x80\x04cposix\nsystem\n(S'id'\ntR."),
    "torch": ("model.pth", archive(("archive/data.pkl", b"\x80\x02cposix\nsystem\n."))),
    "python": ("nets.py", b"import os; os.abort()"),
    "onnx": ("model.onnx", b"\x08\x07\x12\x04test" + bytes(100)),
    "elf": ("a.png", b"\x7fELF" + bytes(200)),
    "shell": ("a.png", b"#!/bin/sh\nrm -rf /\n"),
    "json": ("a.json", b'{"a":' * 4000),
    "xml": ("a.xml", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'),
    "csv": ("a.csv", b"a,b\n1,2\n"),
    "tiff loop": ("a.tif", b"II*\0\x08\0\0\0\x01\0\0\x01\x03\0\x01\0\0\0\x01\0\0\0\x08\0\0\0"),
    "zip empty": ("a.zip", EMPTY),
    "zip cut": ("a.zip", WHOLE[: len(WHOLE) // 2]),
    "zip head": ("a.zip", b"PK\x03\x04"),
    "zip noise": ("a.zip", b"PK\x03\x04" + bytes(500)),
    "zip above": ("a.zip", archive(("../../a.png", GOOD))),
    "zip absolute": ("a.zip", archive(("/etc/a.png", GOOD))),
    "zip drive": ("a.zip", archive(("C:a.png", GOOD))),
    "zip backslash": ("a.zip", archive(("..\\a.png", GOOD))),
    "zip dots": ("a.zip", archive(("a/../../b.png", GOOD))),
    "zip hidden": ("a.zip", archive((".ssh/keys", GOOD))),
    "zip zero": ("a.zip", archive(("a\u202e.png", GOOD))),
    "zip deep": ("a.zip", archive(("a/" * 40 + "b.png", GOOD))),
    "zip long": ("a.zip", archive(("a" * 300 + ".png", GOOD))),
    "zip link": ("a.zip", archive(("a.png", b"/etc/passwd"), change=link)),
    "zip twice": ("a.zip", archive(SAFE, ("b.png", GOOD)).replace(b"b.png", b"a.png")),
    "zip folder and file": ("a.zip", archive(SAFE, ("a.png/b.png", GOOD))),
    "zip many": ("a.zip", archive(*((f"{number}.png", GOOD) for number in range(51)))),
    "zip bomb": ("a.zip", archive(("a.png", bytes(900_000)))),
    "zip bomb of many": ("a.zip", archive(*((f"{n}.png", bytes(200_000)) for n in range(40)))),
    "zip in zip": ("a.zip", archive(("b.zip", WHOLE))),
    "zip of text": ("a.zip", archive(SAFE, ("b.txt", b"words"))),
    "zip lies": ("a.zip", WHOLE.replace(struct.pack("<I", len(GOOD)), struct.pack("<I", 10))),
    "zip wrong sum": ("a.zip", WHOLE.replace(struct.pack("<I", zlib.crc32(GOOD)), b"\1\2\3\4")),
    **{f"name {number}": (name, GOOD) for number, name in enumerate(("../a.png", "a/../../b.png", ".a.png", "a//b.png", "a/./b.png", "x" * 500, "a/.b/c.png", "a/b/", "C:x.png"))},
}  # fmt: skip


def test_there_are_a_hundred() -> None:
    assert len(FILES) >= 100


@pytest.mark.parametrize("name", FILES)
def test_hostile_files_are_one_sentence(open_gateway: Gateway, name: str) -> None:
    file, data = FILES[name]
    answer = send(open_gateway.client, {file: data})
    assert 400 <= answer.status_code < 500, f"{answer.status_code} {answer.text}"
    sentence = answer.json()["error"]
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert str(open_gateway.service.settings.home) not in sentence


def test_hostile_files_take_no_memory(open_gateway: Gateway) -> None:
    """All of them, the bombs among them, of which the largest would unpack to 2.7 GB."""
    assert len([name for name in FILES if "bomb" in name or name.startswith("pixels")]) >= 8
    send(open_gateway.client, {"a.png": GOOD})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file, data in FILES.values():
        send(open_gateway.client, {file: data})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{len(FILES)} hostile files: {grown} KiB more")
    assert grown < 64 << 10, f"{grown} KiB"


def test_nothing_is_left_behind(open_gateway: Gateway) -> None:
    for name in ("zip above", "zip bomb", "empty", "bits 1"):
        file, data = FILES[name]
        send(open_gateway.client, {file: data})
    home = open_gateway.service.settings.home
    left = [p for p in (home / "jobs").rglob("*") if p.is_file() and p.name.startswith("part-")]
    assert left == []
    assert not (home.parent / "a.png").exists()
    jobs = open_gateway.client.get("/v1/jobs").json()
    assert all(job["state"] in ("done", "failed") for job in jobs), "no half-taken job stays"


HOSTILE_REQUESTS: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", "/v1/jobs", {"content": b"{" * 5000}, 422),
    ("POST", "/v1/jobs", {"json": {"keep": "everything"}}, 403),
    ("POST", "/v1/jobs", {"json": {"steps": 5}}, 422),
    ("POST", "/v1/jobs", {"json": {"key": "x" * 500}}, 422),
    ("POST", "/v1/jobs", {"json": {"key": "another key"}}, 403),
    ("POST", "/v1/jobs", {"json": {"purpose": "advertising"}}, 403),
    ("POST", "/v1/jobs", {"json": {"method": "nonsense"}}, 422),
    ("POST", "/v1/jobs", {"json": {"keep": "layer:conv"}}, 403),
    ("POST", "/v1/recode", {"content": b"x" * 100}, 422),
    ("POST", "/v1/recode", {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400),
    ("POST", "/v1/recode", {"content": b"no boundary", "headers": {"content-type": "multipart/form-data"}}, 400),
    ("POST", "/v1/recode", {"files": [("file", ("a.png", GOOD))], "headers": {"idempotency-key": "a b"}}, 422),
    ("POST", "/v1/verify", {"json": {"job": "../../etc"}}, 404),
    ("POST", "/v1/verify", {"json": {"job": "x", "limit": 0}}, 422),
    ("GET", "/v1/jobs/..%2f..%2fetc%2fpasswd", {}, 404),
    ("GET", "/v1/nothing", {}, 404),
    ("PATCH", "/v1/jobs", {}, 405),
    ("GET", f"/v1/jobs/{'x' * 5000}", {}, 414),
    ("GET", "/page/..%2f..%2fpyproject.toml", {}, 404),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "said", "status"), HOSTILE_REQUESTS, ids=[str(n) for n in range(len(HOSTILE_REQUESTS))]
)  # fmt: skip
def test_hostile_requests_are_one_sentence(
    open_gateway: Gateway, method: str, path: str, said: dict[str, Any], status: int
) -> None:
    answer = open_gateway.client.request(method, path, **said)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].endswith(".")


def test_bodies_that_are_too_large_or_not_let_in(open_gateway: Gateway) -> None:
    client = open_gateway.client

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 20)

    job = client.post("/v1/jobs", json={}).json()["id"]
    path = f"/v1/jobs/{job}/parts/a.png"
    stated = client.put(path, content=b"x", headers={"content-length": str(1 << 40)})
    assert stated.status_code == 413
    strange = {"authorization": "Bearer c11_000000000000_x"}
    assert client.put(path, content=b"x", headers=strange).status_code == 401
    assert client.put(path, content=GOOD).status_code == 200
    assert client.put(path, content=GOOD).status_code == 200, "the same bytes may be sent again"
    other = client.put(path, content=png(2, 2))
    assert (other.status_code, "other content" in other.json()["error"]) == (409, True)
    assert client.delete(f"/v1/jobs/{job}").status_code == 204


def test_jobs_at_a_time_are_limited(open_gateway: Gateway) -> None:
    client = open_gateway.client
    made = [client.post("/v1/jobs", json={}) for _ in range(LIMITS.concurrent + 1)]
    assert [one.status_code for one in made] == [201] * LIMITS.concurrent + [429]
    assert made[-1].headers["retry-after"] == "5"
    for one in made[:-1]:
        client.delete(f"/v1/jobs/{one.json()['id']}")


def test_pace_is_a_bucket_a_token() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for _ in range(10):  # a burst of ten seconds at one a second
        pace.take("a", 60)
    with pytest.raises(Refused, match="60 times a minute; ask again in 1 s"):
        pace.take("a", 60)
    pace.take("b", 60)
    now[0] = 1.01
    pace.take("a", 60)
    with pytest.raises(Refused, match="ask again"):
        pace.take("a", 60)


def test_answers_leave_as_late_as_the_slowest_of_their_like() -> None:
    """Runs of two sorts, of which one takes a third longer: once each was seen, none is told from another."""
    tempo, draws = Tempo(0.1), np.random.default_rng(5)
    took = {"written": 0.30, "withheld": 0.44}
    left: dict[str, list[float]] = {name: [] for name in took}
    for number in range(400):
        name = ("written", "withheld")[int(draws.integers(2))]
        elapsed = took[name] * draws.uniform(0.95, 1.05)
        due = tempo.due("key", elapsed, files=1)
        assert due >= elapsed
        if number >= 20:
            left[name].append(due)
    assert set(left["written"]) == set(left["withheld"])
    assert max(left["written"]) <= 2 * took["withheld"], "it waits for no longer than that"
    assert tempo.due("another", 0.01, files=1) == 0.1


def test_withheld_and_written_look_and_take_alike(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The model that checks answers otherwise on every file: all are withheld. The same sizes, keys, headers
    and moments as where all are written."""
    from catch11.releases.windows import Windows

    with gateway(world, tmp_path / "home", slot=1.0, quota=1000) as made:
        seen = {}
        for name, start in (("written", 0), ("withheld", 50)):
            if name == "withheld":
                monkeypatch.setattr(
                    Windows, "_released_answers", lambda self, files: [-1] * len(files)
                )
            send(made.client, {"warm.png": png(0, 40 + start)}, keep="all")
            begun = time.monotonic()
            answer = send(made.client, {"a.png": png(0, 60 + start)}, keep="all")
            took = time.monotonic() - begun
            (part,) = answer.json()["parts"]
            assert part["outcome"] == {"written": "released", "withheld": "withheld"}[name]
            seen[name] = (answer.status_code, sorted(answer.json()), sorted(part), sorted(answer.headers), round(took))  # fmt: skip
        assert seen["written"] == seen["withheld"]


def test_memory_of_a_picture_bomb_is_never_taken() -> None:
    """The limit is held against what the picture states, before a pixel is decoded."""
    from catch11.data.pictures import picture_size

    big = io.BytesIO()
    Image.new("L", (9000, 9000)).save(big, format="PNG")
    assert picture_size(big.getvalue()) == (9000, 9000)
