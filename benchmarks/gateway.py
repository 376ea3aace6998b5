"""The gateway under load, beside the library's own rate in the same run: python benchmarks/gateway.py

A gateway in a process of its own on loopback; 64 clients in this one send one picture after the other for
some seconds and hold the hash of each answer against that of the library's file. Prints one JSON object:
files a second of both, their ratio, p50 and p99 of a request, and how many answers were wrong. Needs the
extra serve. --method deep is the heavy one; spectral shows what the door itself costs.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from catch11.keys.key import build_key
from catch11.modalities.load import load_model
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode
from catch11.releases.read import read_release
from catch11.serve.grants import add_grant
from catch11.serve.store import open_store
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key
from catch11.studies.nets import digits

MODEL = "py:catch11.studies.nets.digits:patch"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--clients", type=int, default=64)
    parse.add_argument("--seconds", type=float, default=60.0)
    parse.add_argument("--method", choices=["spectral", "deep"], default="spectral")
    parse.add_argument("--pictures", type=int, default=400)
    parse.add_argument("--batch", type=int, default=1, help="files of a request")
    asked = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked), indent=2))


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    model = load_model(MODEL)
    key = build_key(model)
    digits.write_pictures(digits.load_digits(), folder / "source", count=asked.pictures)
    options = RecodeOptions(method=asked.method, model=model, check=True, workers=1)
    begun = time.monotonic()
    done = recode(folder / "source", folder / "out", key, options)
    own = (done.written + done.withheld) / (time.monotonic() - begun)
    meant = {entry.file: entry.sha256 for entry in read_release(folder / "out").entries}
    home = folder / "home"
    home.mkdir()
    master = secrets.token_hex(32)
    store = open_store(f"sqlite:///{home / 'gateway.db'}", master, cost=10)
    add_key(store, "digits", key, models=Models(model=MODEL))
    add_grant(store, "digits", "load", keep=("all", "answer"), quota=10**9)
    token = create_token(store, "load", ["recode"], limits=Limits(rate=10**7, concurrent=10**6))
    store.close()
    port = 8765
    env = {**os.environ, "CATCH11_MASTER": master}
    words = [sys.executable, "-m", "catch11", "serve", "--home", str(home), "--port", str(port)]
    server = subprocess.Popen(words, env=env)
    try:
        seen = asyncio.run(load(f"http://127.0.0.1:{port}", token, folder / "source", meant, asked))
    finally:
        server.terminate()
        server.wait(60)
    took = sorted(seen["took"])
    rate = seen["files"] / asked.seconds
    return {
        "method": asked.method, "clients": asked.clients, "seconds": asked.seconds, "batch": asked.batch,
        "cores": os.cpu_count(), "load": os.getloadavg()[0], "n": len(took),
        "library_files_a_second": own, "gateway_files_a_second": rate, "share": rate / own,
        "p50": statistics.median(took), "p99": took[int(0.99 * (len(took) - 1))],
        "wrong": seen["wrong"], "refused": seen["refused"],
    }  # fmt: skip


async def load(
    url: str, token: str, source: Path, meant: dict[str, str], asked: argparse.Namespace
) -> dict[str, Any]:
    files = [(str(p.relative_to(source)), p.read_bytes()) for p in sorted(source.rglob("*.png"))]
    seen: dict[str, Any] = {"took": [], "wrong": 0, "refused": 0, "files": 0}
    form = {"keep": "all" if asked.method == "spectral" else "answer"}
    async with httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=600.0,
        limits=httpx.Limits(max_connections=asked.clients),
    ) as client:  # fmt: skip
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.2)
        # The first request loads the model, which this net is trained for.
        first = await client.post("/v1/recode", files=[("file", files[0])], data=form)
        assert first.status_code == 200, first.text
        end = time.monotonic() + asked.seconds

        async def one(number: int) -> None:
            place = number * asked.batch
            while time.monotonic() < end:
                some = [files[(place + i) % len(files)] for i in range(asked.batch)]
                place += asked.clients * asked.batch
                begun = time.monotonic()
                answer = await client.post(
                    "/v1/recode", files=[("file", part) for part in some], data=form
                )
                if answer.status_code != 200:
                    seen["refused"] += 1
                    continue
                if time.monotonic() < end:
                    seen["took"].append(time.monotonic() - begun)
                    seen["files"] += len(some)
                parts = answer.json()["parts"]
                seen["wrong"] += [part["name"] for part in parts] != [name for name, _ in some]
                seen["wrong"] += sum(part["sha256"] != meant.get(part["file"] or part["name"], "") for part in parts)  # fmt: skip

        await asyncio.gather(*(one(number) for number in range(asked.clients)))
    return seen


if __name__ == "__main__":
    main()
