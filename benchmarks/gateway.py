"""The gateway under load, beside the library's own rate in the same run.

A gateway in a process of its own on loopback; 64 clients in this one send picture after picture, take the
release back as a zip, and hold the name and the hash of each file, and its line in the list, against the
library's file. No picture comes twice. Each round has pictures of its own, which both make with the same settings, in
turns and by turns first, so that both meet the same machine. The gateway's time is from the first byte sent to the last
answer. Prints one line: files a second of both, their ratio with a 95 % interval over the rounds, p50 and
p99 of a request, what was wrong, and which process took how much of the processors.

Digits have 8 x 8 pixels, where the door weighs most: handwritten ones, moved, mirrored and made a little
darker. Needs the extra serve; lite also demo.
"""

import asyncio
import hashlib
import io
import math
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from json import loads as parsed
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from PIL import Image
from scipy.stats import t as student

from benchmarks.door import DIGITS, PORT, Load, Sent, answered, ready, request
from benchmarks.door import gateway as opened
from benchmarks.lines import show
from catch11 import Key, build_key, load_model
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import recode
from catch11.releases.read import read_release
from catch11.studies.nets.digits import load_digits
from catch11.studies.photographs import squares
from catch11.studies.trial import SECRET

MODELS = {"digits": DIGITS, "lite": "py:catch11.studies.nets.lite:lite0"}


def gateway(
    model: Annotated[str, typer.Option(help="digits, lite (the demo's EfficientNet-Lite0, on squares cut from photographs) or any MODEL of photographs.")] = "digits",
    method: Annotated[Literal["spectral", "deep"], typer.Option(help="Of recoding.")] = "spectral",
    clients: Annotated[int, typer.Option(help="At once.")] = 64,
    rounds: Annotated[int, typer.Option(help="In which they take turns.")] = 6,
    pictures: Annotated[int, typer.Option(help="Of a round.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of what they are cut from, and where.")] = 0,
    apart: Annotated[bool, typer.Option("--apart", help="The library, too, makes each deep file by itself, as a gateway must; else several at once where that is faster.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Ask for jobs that are kept, not zips.")] = False,
) -> None:  # fmt: skip
    asked = dict(locals())
    spec = MODELS.get(model, model)
    loaded = load_model(spec)
    key = build_key(loaded, secret=SECRET)
    options = RecodeOptions(method=method, model=loaded, check=True, workers=1)
    drawn = (shown if model == "digits" else cut)(seed)
    seen: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as room,
        opened(Path(room), spec, key) as (token, server),
    ):
        for number in range(-1, rounds):
            count = clients if number < 0 else pictures  # the first loads the model
            named = (f"{number % 1000:03}/{i:05}.png" for i in range(count))
            files = list(zip(named, drawn, strict=False))
            own = Library(Path(room) / f"round{number}", key, options, apart)
            own.write(files)
            load = Load(token=token, files=files, method=method, json=json)
            first = own.run() if number % 2 else {}
            found = asyncio.run(one_round(load, server, clients))
            found |= first or own.run()
            load = replace(load, meant=own.meant())
            found["checked"] = len(bodies := found.pop("bodies"))
            found["wrong"] = sum(wrong(load, name, body) for name, body in bodies)
            if number >= 0:
                seen.append(found)
    show({**asked, **told(seen, pictures)})


def shown(seed: int) -> Iterator[bytes]:
    """Handwritten digits of 8 x 8, each in 54 ways and none twice, as PNG."""
    held = load_digits()
    pixels = (torch.cat([held.test, held.train]) * 255).round().to(torch.uint8)
    ways = list(product((-1, 0, 1), (-1, 0, 1), (False, True), (0, 1, 2)))
    order = torch.randperm(len(pixels) * len(ways), generator=torch.Generator().manual_seed(seed))
    known = set[bytes]()
    for number in order.tolist():
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
    image.save(held := io.BytesIO(), "png")
    return held.getvalue()


@dataclass(frozen=True, slots=True)
class Library:
    """The library's own run over a round's pictures."""

    place: Path
    key: Key
    options: RecodeOptions
    apart: bool

    def write(self, files: Sent) -> None:
        for name, data in files:
            (path := self.place / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def run(self) -> dict[str, float]:
        begun, busy = time.monotonic(), time.process_time()
        recode(self.place / "source", self.place / "own", self.key, self.options, apart=self.apart)
        took = time.monotonic() - begun
        return {"own_seconds": took, "own_cores": (time.process_time() - busy) / took}

    def meant(self) -> dict[str, tuple[str, str]]:
        """Which file each source should become: made apart, as a gateway makes them."""
        made = self.place / "own"
        if self.options.method == "deep" and not self.apart:
            made = self.place / "apart"
            recode(self.place / "source", made, self.key, self.options, apart=True)
        entries = read_release(made).entries
        return {str(Path(one.file).with_suffix("")): (one.file, one.sha256) for one in entries}


def told(seen: Sequence[Mapping[str, Any]], pictures: int) -> dict[str, Any]:
    """What the rounds come to."""
    shares = [one["own_seconds"] / one["seconds"] for one in seen]
    wide = 0.0
    if len(shares) > 1:
        wide = float(student.ppf(0.975, len(shares) - 1)) * statistics.stdev(shares) / math.sqrt(len(shares))  # fmt: skip
    took = sorted(second for one in seen for second in one["took"])
    mean = statistics.mean(shares)
    sums = {name: sum(one[name] for one in seen) for name in ("checked", "wrong", "refused")}
    return {
        "cores": os.cpu_count(), "torch": torch.__version__, "load": os.getloadavg()[0], "n": len(took),
        "library_files_a_second": statistics.mean(pictures / one["own_seconds"] for one in seen),
        "gateway_files_a_second": statistics.mean(pictures / one["seconds"] for one in seen),
        "seconds_of_load": sum(one["seconds"] for one in seen),
        "share": mean, "low": mean - wide, "high": mean + wide, "shares": shares,
        "p50": statistics.median(took), "p99": took[int(0.99 * (len(took) - 1))], **sums,
        "cores_of_the_library": statistics.mean(one["own_cores"] for one in seen),
        "cores_of_the_gateway": statistics.mean(one["gateway"] for one in seen),
        "cores_of_the_clients": statistics.mean(one["clients"] for one in seen),
    }  # fmt: skip


async def one_round(load: Load, server: int, clients: int) -> dict[str, Any]:
    """All files of a round, each sent once, by whichever client is free."""
    bodies: list[tuple[str, bytes]] = []  # and whose they are
    took: list[float] = []
    seen: dict[str, Any] = {"took": took, "bodies": bodies, "refused": 0}
    some = iter(load.files)
    await ready()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for sent in some:
            then = time.monotonic()
            writer.write(request(load, *sent))
            status, body = await answered(reader)
            took.append(time.monotonic() - then)
            if status == 200:
                bodies.append((sent[0], body))
            else:
                seen["refused"] += 1
        writer.close()

    begun, before = time.monotonic(), (processor(server), time.process_time())
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.monotonic() - begun
    after = processor(server), time.process_time()
    own, theirs = ((b - a) / seconds for a, b in zip(before, after, strict=True))
    return {**seen, "seconds": seconds, "gateway": own, "clients": theirs}


def wrong(load: Load, name: str, body: bytes) -> int:
    """How many files of an answer are not those that the library makes of what was sent."""
    known = load.meant.get(str(Path(name).with_suffix("")))
    meant = dict([known] if known else [])
    if load.json:
        found = {part["file"]: part["sha256"] for part in parsed(body)["parts"] if part["file"]}
        return len(found.items() ^ meant.items())
    with zipfile.ZipFile(io.BytesIO(body)) as held:
        found = {name: hashlib.sha256(held.read(name)).hexdigest() for name in held.namelist()}
        listed = [parsed(line) for line in held.read("manifest.jsonl").splitlines()]
    del found["manifest.jsonl"]
    stated = {line["file"]: line["sha256"] for line in listed if line["kind"] == "file"}
    return len(found.items() ^ meant.items()) + len(stated.items() ^ meant.items())


def processor(process: int) -> float:
    """Seconds of processors that a process took so far."""
    facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")
