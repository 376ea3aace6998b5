"""The gateway under load, beside the library's own rate in the same run: python benchmarks/gateway.py

A gateway in a process of its own on loopback; 64 clients in this one send picture after picture, take the
release back as a zip, and hold the name and the hash of each file, and its line in the list, against the
library's file. No picture comes twice. Each round has pictures of its own, which both make with the same settings, in
turns and by turns first, so that both meet the same machine. The gateway's time is from the first byte sent to the last
answer. Prints one JSON object: files a second of both, their ratio with a 95 % interval over the rounds, p50 and
p99 of a request, what was wrong, and which process took how much of the processors.

--model digits reads 8 x 8 pixels, where the door weighs most: handwritten digits, moved, mirrored and made a little
darker. --model lite is the demo's EfficientNet-Lite0, on squares cut from photographs as any other model is. --apart has the library, too,
make each deep file by itself, as a gateway must; without, it searches for several at once where that is faster. Needs the
extra serve; lite also demo.
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
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
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
from catch11.studies.photographs import squares

MODELS = {
    "digits": "py:catch11.studies.nets.digits:patch",
    "lite": "py:catch11.studies.nets.lite:lite0",
}
PORT = 8765


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument(
        "--model", default="digits", help="digits, lite, or any MODEL of photographs"
    )
    parse.add_argument("--method", choices=["spectral", "deep"], default="spectral")
    parse.add_argument("--clients", type=int, default=64)
    parse.add_argument("--rounds", type=int, default=6)
    parse.add_argument("--pictures", type=int, default=1000, help="of a round")
    parse.add_argument("--seed", type=int, default=0, help="of what they are cut from, and where")
    parse.add_argument(
        "--apart", action="store_true", help="the library makes deep files one by one too"
    )
    parse.add_argument("--batch", type=int, default=1, help="files of a request")
    parse.add_argument("--workers", type=int, default=1, help="threads of the engine, in both")
    parse.add_argument("--json", action="store_true", help="ask for jobs that are kept, not zips")
    asked = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked), indent=2))


class Load(NamedTuple):
    """What is sent, by whom. meant: what must come back, by its source; empty where nobody looks."""

    token: str
    files: list[tuple[str, bytes]]
    meant: Mapping[str, tuple[str, str]]
    asked: argparse.Namespace


Answers = list[tuple[list[str], bytes]]
"""Bodies, and whose they are."""


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    model = load_model(MODELS.get(asked.model, asked.model))
    key = build_key(model)
    drawn = (shown if asked.model == "digits" else cut)(asked.seed)
    options = RecodeOptions(method=asked.method, model=model, check=True, workers=asked.workers)
    (home := folder / "home").mkdir()
    master = secrets.token_hex(32)
    token = set_up(home, master, key, asked)
    env = {**os.environ, "CATCH11_MASTER": master}
    words = [sys.executable, "-m", "catch11", "serve", "--home", str(home), "--port", str(PORT), "--threads", str(asked.workers)]  # fmt: skip
    server = subprocess.Popen(words, env=env)
    seen: list[dict[str, Any]] = []
    try:
        for number in range(-1, asked.rounds):
            place = folder / f"round{number}"
            count = asked.clients if number < 0 else asked.pictures  # the first loads the model
            files = [(f"{number % 1000:03}/{i:05}.png", data) for i, data in enumerate(islice(drawn, count))]  # fmt: skip
            for name, data in files:
                (path := place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            load = Load(token, files, {}, asked)
            if number % 2:
                own, found = library(place, key, options, asked), asyncio.run(one_round(load, server.pid))  # fmt: skip
            else:
                found, own = asyncio.run(one_round(load, server.pid)), library(place, key, options, asked)  # fmt: skip
            load = load._replace(meant=meant_by(place, key, options, asked))
            found["wrong"] = sum(wrong(load, names, body) for names, body in found.pop("bodies"))
            if number >= 0:
                seen.append(found | own)
    finally:
        server.terminate()
        server.wait(60)
    return told(asked, seen)


def shown(seed: int) -> Iterator[bytes]:
    """Handwritten digits of 8 x 8, each in 54 ways and none twice, as PNG."""
    held = digits.load_digits()
    pixels = (torch.cat([held.test, held.train]) * 255).round().to(torch.uint8)
    ways = list(product((-1, 0, 1), (-1, 0, 1), (False, True), (0, 1, 2)))
    known = set[bytes]()
    for number in torch.randperm(len(pixels) * len(ways), generator=torch.Generator().manual_seed(seed)).tolist():  # fmt: skip
        one, (down, right, mirrored, darker) = pixels[number // len(ways)], ways[number % len(ways)]
        moved = torch.roll(one, (down, right), (1, 2)) - darker
        moved = moved.flip(2) if mirrored else moved
        data = as_png(Image.fromarray(moved.permute(1, 2, 0).numpy()))
        if data not in known:
            known.add(data)
            yield data


def cut(seed: int) -> Iterator[bytes]:
    """Squares of photographs at random places, as PNG."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from map(as_png, squares(1, generator=generator))


def as_png(image: Image.Image) -> bytes:
    held = io.BytesIO()
    image.save(held, "png")
    return held.getvalue()


def library(
    place: Path, key: Key, options: RecodeOptions, asked: argparse.Namespace
) -> dict[str, float]:
    """The library's own run over a round's pictures."""
    begun, busy = time.monotonic(), time.process_time()
    recode(place / "source", place / "own", key, options, apart=asked.apart)
    took = time.monotonic() - begun
    return {"own_seconds": took, "own_cores": (time.process_time() - busy) / took}


def meant_by(
    place: Path, key: Key, options: RecodeOptions, asked: argparse.Namespace
) -> dict[str, tuple[str, str]]:
    """Which file each source should become: made apart, as a gateway makes them."""
    made = place / "own"
    if asked.method == "deep" and not asked.apart:
        made = place / "apart"
        recode(place / "source", made, key, options, apart=True)
    entries = read_release(made).entries
    return {str(Path(one.file).with_suffix("")): (one.file, one.sha256) for one in entries}


def set_up(home: Path, master: str, key: Key, asked: argparse.Namespace) -> str:
    store = open_store(f"sqlite:///{home / 'gateway.db'}", master, cost=10)
    add_key(store, "key", key, models=Models(model=MODELS.get(asked.model, asked.model)))
    add_grant(store, "key", "load", keep=("all", "answer"), quota=10**9)
    token = create_token(store, "load", ["recode"], limits=Limits(rate=10**7, concurrent=10**6))
    store.close()
    return token


def told(asked: argparse.Namespace, seen: list[dict[str, Any]]) -> dict[str, Any]:
    shares = [one["own_seconds"] / one["seconds"] for one in seen]
    wide = 0.0
    if len(shares) > 1:
        wide = float(student.ppf(0.975, len(shares) - 1)) * statistics.stdev(shares) / math.sqrt(len(shares))  # fmt: skip
    took = sorted(second for one in seen for second in one["took"])
    mean = statistics.mean(shares)
    return {
        **vars(asked), "cores": os.cpu_count(), "torch": torch.__version__, "load": os.getloadavg()[0], "n": len(took),
        "library_files_a_second": statistics.mean(asked.pictures / one["own_seconds"] for one in seen),
        "gateway_files_a_second": statistics.mean(asked.pictures / one["seconds"] for one in seen),
        "seconds_of_load": sum(one["seconds"] for one in seen),
        "share": mean, "low": mean - wide, "high": mean + wide, "shares": shares,
        "p50": statistics.median(took), "p99": took[int(0.99 * (len(took) - 1))],
        "files_checked": sum(one["checked"] for one in seen),
        "wrong": sum(one["wrong"] for one in seen), "refused": sum(one["refused"] for one in seen),
        "cores_of_the_library": statistics.mean(one["own_cores"] for one in seen),
        "cores_of_the_gateway": statistics.mean(one["gateway"] for one in seen),
        "cores_of_the_clients": statistics.mean(one["clients"] for one in seen),
    }  # fmt: skip


async def one_round(load: Load, server: int) -> dict[str, Any]:
    """All files of a round, each sent once, by whichever client is free."""
    asked = load.asked
    bodies: Answers = []
    took: list[float] = []
    seen: dict[str, Any] = {"took": took, "bodies": bodies, "refused": 0, "checked": 0}
    some = iter([load.files[i : i + asked.batch] for i in range(0, len(load.files), asked.batch)])
    await ready()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for sent in some:
            then = time.monotonic()
            writer.write(request(load, sent))
            status, body = await answered(reader)
            took.append(time.monotonic() - then)
            if status == 200:
                seen["checked"] += len(sent)
                bodies.append(([name for name, _ in sent], body))
            else:
                seen["refused"] += 1
        writer.close()

    begun, before = time.monotonic(), (processor(server), time.process_time())
    await asyncio.gather(*(one() for _ in range(asked.clients)))
    seconds = time.monotonic() - begun
    after = processor(server), time.process_time()
    gateway, clients = ((b - a) / seconds for a, b in zip(before, after, strict=True))
    return {**seen, "seconds": seconds, "gateway": gateway, "clients": clients}


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


def wrong(load: Load, names: Sequence[str], body: bytes) -> int:
    """How many files of an answer are not those that the library makes of what was sent."""
    known = (load.meant.get(str(Path(name).with_suffix(""))) for name in names)
    meant = dict(one for one in known if one)
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
