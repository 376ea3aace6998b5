"""Whether the time of an answer tells a withheld picture from a released one: python benchmarks/gateway_time.py

A gateway in a process of its own makes deep files of 8 x 8 digits that keep the answer, of which every
seventh is withheld after many more steps than a released one takes. One client asks for picture after
picture, alone and then while others ask too. Printed as one JSON object: how well the time ranks withheld
above released pictures (the area under the curve with its 95 % interval; .5 is chance) and the two-sample
test of Kolmogorov and Smirnov, beside the same of the engine's own time for each picture, which is
what an answer without a timetable would show. Needs the extra serve.
"""

import argparse
import asyncio
import io
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from gateway import MODELS, PORT, Load, answered, ready, request, set_up
from PIL import Image
from scipy.stats import ks_2samp

from catch11.evaluation.metrics import auc
from catch11.keys.key import build_key
from catch11.modalities.load import load_model
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import press
from catch11.releases.press import open_ledger
from catch11.studies.nets import digits

Times = list[tuple[str, float]]


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--pictures", type=int, default=400, help="asked for in each of two rounds")
    parse.add_argument("--learn", type=int, default=40, help="of them not counted: the gateway learns its times")  # fmt: skip
    parse.add_argument("--others", type=int, default=4, help="clients of the busy round")
    parse.add_argument("--seed", type=int, default=0)
    asked = parse.parse_args()
    asked.model, asked.method, asked.json = "digits", "deep", False
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked), indent=2))


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    model = load_model(MODELS["digits"])
    key = build_key(model)
    count = 2 * asked.pictures
    files = pictures()
    random.Random(asked.seed).shuffle(files)
    (home := folder / "home").mkdir()
    master = secrets.token_hex(32)
    load = Load(set_up(home, master, key, asked), files, {}, asked)
    pressed, own = press(key, RecodeOptions(keep="answer", model=model, check=True, workers=1)), []
    out: set[str] = set()
    with open_ledger(folder / "ledger", key) as ledger:
        for name, data in files[:count]:
            begun = time.perf_counter()
            made = pressed.make({name: data}, ledger)[name]
            own.append((name, time.perf_counter() - begun))
            out |= {name} if made.data is None else set()
    env = {**os.environ, "CATCH11_MASTER": master}
    words = [sys.executable, "-m", "catch11", "serve", "--home", str(home), "--port", str(PORT)]
    server = subprocess.Popen([*words, "--threads", "1"], env=env)
    try:
        alone, busy = asyncio.run(two_rounds(load, asked))
    finally:
        server.terminate()
        server.wait(60)
    return {
        **vars(asked), "torch": torch.__version__, "load": os.getloadavg()[0],
        "engine": compared(own, out), "alone": compared(alone, out), "busy": compared(busy, out),
    }  # fmt: skip


def pictures() -> list[tuple[str, bytes]]:
    """All embedded digits as PNG files, by name."""
    held = digits.load_digits()
    pixels = (torch.cat([held.train, held.test]) * 255).round().to(torch.uint8)
    files = []
    for number, one in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(one).save(made := io.BytesIO(), "PNG")
        files.append((f"{number:04}.png", made.getvalue()))
    return files


def compared(times: Times, out: set[str]) -> dict[str, Any]:
    """How the times of withheld pictures differ from those of the others."""
    held = [seconds for name, seconds in times if name in out]
    rest = [seconds for name, seconds in times if name not in out]
    area, test = auc(torch.tensor(held).double(), torch.tensor(rest).double()), ks_2samp(held, rest)
    return {
        "withheld": len(held), "released": len(rest), "median_withheld": statistics.median(held),
        "median_released": statistics.median(rest), "auc": area.estimate, "low": area.low, "high": area.high,
        "ks": float(test.statistic), "p": float(test.pvalue),
    }  # fmt: skip


async def two_rounds(load: Load, asked: argparse.Namespace) -> tuple[Times, Times]:
    """Pictures one by one: alone, and with others beside."""
    await ready()
    half, ended = asked.pictures, asyncio.Event()
    alone = await client(load, load.files[:half])
    spare = load.files[2 * half :]
    others = [
        asyncio.create_task(client(load, spare[n :: asked.others], ended=ended))
        for n in range(asked.others)
    ]
    busy = await client(load, load.files[half : 2 * half])
    ended.set()
    await asyncio.gather(*others)
    return alone[asked.learn :], busy[asked.learn :]


async def client(load: Load, files: list[tuple[str, bytes]], *, ended: asyncio.Event | None = None) -> Times:  # fmt: skip
    """The name of each picture, and the seconds until its answer was there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    times, place = [], 0
    while place < len(files) if ended is None else not ended.is_set():
        one = files[place % len(files)]
        begun = time.perf_counter()
        writer.write(request(load, [one]))
        status, body = await answered(reader)
        assert status == 200, body
        times.append((one[0], time.perf_counter() - begun))
        place += 1
    writer.close()
    return times


if __name__ == "__main__":
    main()
