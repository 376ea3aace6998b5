"""Killed in the middle of a job and started again: each file once, the same bytes as undisturbed."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from catch11.errors import InvalidArgument
from catch11.serve.audit import check
from catch11.serve.grants import add_grant
from catch11.serve.run import run
from catch11.serve.service import Service
from catch11.serve.settings import Settings
from catch11.serve.store import Store, open_store
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key
from tests.serve.conftest import LONG, MASTER
from tests.serve.gateway import gateway, pngs, run_job, send
from tests.world import CANVAS, LABELS, NETS, World

COUNT = int(os.environ.get("CATCH11_PICTURES", "40"))
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def postgres() -> Iterator[str]:
    """A server of its own in a folder of its own, for as long as the block takes."""
    found = shutil.which("postgres") or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None
    )
    if found is None:
        pytest.skip("PostgreSQL is not installed here")
    as_owner: list[str] = []
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        if os.geteuid() == 0:  # it refuses to run as root
            if shutil.which("runuser") is None or not any(
                u.pw_name == "postgres" for u in pwd.getpwall()
            ):
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            as_owner = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        tools, port = Path(os.path.realpath(found)).parent, free_port()
        data = f"{folder}/data"
        made = [*as_owner, str(tools / "initdb"), "-D", data, "-A", "trust", "-U", "c"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
        words = [*as_owner, str(tools / "postgres"), "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"]  # fmt: skip
        server = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
        )
        asked = [str(tools / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        try:
            wait_for(lambda: subprocess.run(asked, capture_output=True).returncode == 0)
            yield f"postgresql://c@127.0.0.1:{port}/postgres"
        finally:
            stop = [*as_owner, str(tools / "pg_ctl"), "-D", data, "-m", "immediate", "stop"]
            subprocess.run(stop, capture_output=True, cwd=folder)
            server.wait(30)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def wait_for(good: Callable[[], bool], seconds: float = 1200.0) -> None:
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


@contextmanager
def served(home: Path, url: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The command in a process of its own; killed at the end."""
    port = free_port()
    env = {**os.environ, "CATCH11_MASTER": MASTER, "PYTHONPATH": str(ROOT), "CATCH11_DB": url}
    words = [sys.executable, "-m", "catch11", "serve", "--home", str(home), "--port", str(port)]
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, "it ended"
        try:
            return httpx.get(f"{address}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(ready)
        yield process, address
    finally:
        process.kill()
        process.wait()


def asking(address: str, headers: dict[str, str]) -> httpx.Client:
    return httpx.Client(base_url=address, headers=headers, timeout=60.0)


@LONG
@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_and_started_again(world: World, tmp_path: Path, database: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if database == "postgresql":
        with postgres() as url:
            killed_and_started_again(world, home, url, tmp_path)
    else:
        killed_and_started_again(world, home, f"sqlite:///{home / 'gateway.db'}", tmp_path)


def killed_and_started_again(world: World, home: Path, url: str, folder: Path) -> None:
    # A process of its own finds no tests to import from.
    nets = NETS.replace(
        "from tests.world import CANVAS, LABELS",
        f"from catch11.canvas.frame import Canvas, Fit\nCANVAS, LABELS = {CANVAS!r}, {LABELS!r}",
    )
    (world.source.parent / "nets.py").write_text(nets)
    store = open_store(url, MASTER, cost=10)
    add_key(store, "ours", world.key, models=Models(model=world.ours, code=True))
    add_grant(store, "ours", "a", keep=("answer",))
    token = create_token(store, "a", ["recode"], limits=Limits(rate=100_000))
    headers = {"authorization": f"Bearer {token}"}
    files = pngs(COUNT)
    with served(home, url) as (process, address):
        with asking(address, headers) as client:
            job = run_job(client, files)  # type: ignore[arg-type]
            wait_for(lambda: client.get(f"/v1/jobs/{job}").json()["done"] >= COUNT // 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
    released = list((home / "jobs" / job / "release").glob("*.png"))
    assert 0 < len(released) < COUNT, "it was killed in the middle"
    with served(home, url) as (_, address), asking(address, headers) as client:
        wait_for(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done")
        found = client.get(f"/v1/jobs/{job}").json()
        again = client.post(f"/v1/jobs/{job}/start").json()
        bundle = client.get(f"/v1/jobs/{job}/release").content
    assert again["parts"] == found["parts"], "started again it is not done again"
    assert [part["name"] for part in found["parts"]] == list(files)
    lines, wrong = check(store)
    with store.begin() as session:
        from sqlalchemy import text

        done = session.execute(
            text("select count(*) from audit where action = 'job done'")
        ).scalar()
    assert (done, wrong) == (1, "")
    assert lines > 4
    store.close()
    other = folder / "undisturbed"
    with gateway(world, other) as made:
        calm = run_job(made.client, files)
        wait_for(lambda: made.client.get(f"/v1/jobs/{calm}").json()["state"] == "done")
        assert made.client.get(f"/v1/jobs/{calm}/release").content == bundle
        theirs = made.client.get(f"/v1/jobs/{calm}").json()["parts"]
    assert json.dumps(theirs) == json.dumps(found["parts"])


def test_a_graceful_stop_keeps_what_was_accepted(world: World, tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = pngs(24, 70)
    with gateway(world, home) as made:
        job = run_job(made.client, files)
        wait_for(lambda: made.client.get(f"/v1/jobs/{job}").json()["state"] == "running")
        headers = dict(made.client.headers)
    store = open_store(f"sqlite:///{home / 'gateway.db'}", MASTER, cost=10)
    service = Service(store, Settings(home=home, threads=1, slot=0.01))
    from fastapi.testclient import TestClient

    from catch11.serve.app import make_app

    with TestClient(make_app(service), headers=headers) as client:
        wait_for(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done")
        parts = client.get(f"/v1/jobs/{job}").json()["parts"]
        assert [part["name"] for part in parts] == list(files)
        assert all(part["outcome"] for part in parts)
        assert send(client, {"a.png": pngs(1, 900)["000.png"]}).status_code == 200
    store.close()


def test_one_gateway_a_folder(world: World, tmp_path: Path) -> None:
    import asyncio

    with gateway(world, tmp_path / "home") as made:
        second = Service(made.service.store, made.service.settings)

        async def both() -> None:
            async with second.running():
                pass

        for begun in (lambda: asyncio.run(both()), lambda: run(second, host="127.0.0.1", port=1)):
            with pytest.raises(InvalidArgument, match="no other gateway runs on"):
                begun()


def test_a_port_that_is_taken_is_a_sentence(store: Store, tmp_path: Path) -> None:
    service = Service(store, Settings(home=tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InvalidArgument,
            match=f"port: expected .* free, found 127.0.0.1:{port}, which is taken; give another",
        ):
            run(service, host="127.0.0.1", port=port)
    with pytest.raises(
        InvalidArgument, match=r"found nowhere\.invalid:1, where nothing can listen"
    ):
        run(service, host="nowhere.invalid", port=1)
