"""Whether the time of an answer of the gateway tells a withheld picture from a released one.

A gateway in a process of its own makes deep files of 8 x 8 digits that keep the answer, of which every
seventh is withheld after many more steps than a released one takes. One client asks for picture after
picture, alone and then while others ask too. Prints one line: how well the time ranks withheld
above released pictures (the area under the curve with its 95 % interval; .5 is chance) and the two-sample
test of Kolmogorov and Smirnov, beside the same of the engine's own time for each picture, which is
what an answer without a timetable would show. Needs the extra serve.
"""

import asyncio
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from PIL import Image
from scipy.stats import ks_2samp

from benchmarks.door import DIGITS, PORT, Load, Sent, answered, gateway, ready, request
from benchmarks.gateway import as_png
from benchmarks.lines import show
from catch11 import build_key, load_model
from catch11.evaluation.metrics import auc
from catch11.modalities.options import RecodeOptions
from catch11.modalities.recode import press
from catch11.releases.press import open_ledger
from catch11.studies.nets.digits import load_digits
from catch11.studies.trial import SECRET

Times = list[tuple[str, float]]


def gateway_time(
    pictures: Annotated[int, typer.Option(help="Asked for in each of two rounds.")] = 400,
    learn: Annotated[int, typer.Option(help="Of them not counted: the gateway learns its times.")] = 40,
    others: Annotated[int, typer.Option(help="Clients of the busy round.")] = 4,
    seed: Annotated[int, typer.Option(help="Of their order.")] = 0,
) -> None:  # fmt: skip
    model = load_model(DIGITS)
    key, files = build_key(model, secret=SECRET), digits()
    random.Random(seed).shuffle(files)
    pressed = press(key, RecodeOptions(keep="answer", model=model, check=True, workers=1))
    own, out = Times(), set[str]()
    with tempfile.TemporaryDirectory() as room:
        with open_ledger(Path(room) / "ledger", key) as ledger:
            for name, data in files[: 2 * pictures]:
                begun = time.perf_counter()
                made = pressed.make({name: data}, ledger)[name]
                own.append((name, time.perf_counter() - begun))
                out |= {name} if made.data is None else set()
        with gateway(Path(room), DIGITS, key) as (token, _):
            load = Load(token=token, files=files, method="deep")
            alone, busy = asyncio.run(two_rounds(load, pictures, learn, others))
    show({
        "pictures": pictures, "learn": learn, "others": others, "seed": seed, "torch": torch.__version__,
        "load": os.getloadavg()[0], "engine": apart(own, out), "alone": apart(alone, out), "busy": apart(busy, out),
    })  # fmt: skip


def digits() -> Sent:
    """All embedded digits as PNG files, by name."""
    held = load_digits()
    pixels = (torch.cat([held.train, held.test]) * 255).round().to(torch.uint8)
    images = map(Image.fromarray, pixels.permute(0, 2, 3, 1).numpy())
    return [(f"{number:04}.png", as_png(image)) for number, image in enumerate(images)]


def apart(times: Times, out: set[str]) -> dict[str, Any]:
    """How the times of withheld pictures differ from those of the others."""
    held = [seconds for name, seconds in times if name in out]
    rest = [seconds for name, seconds in times if name not in out]
    area, test = auc(torch.tensor(held).double(), torch.tensor(rest).double()), ks_2samp(held, rest)
    return {
        "withheld": len(held), "released": len(rest), "median_withheld": statistics.median(held),
        "median_released": statistics.median(rest), "auc": area.estimate, "low": area.low, "high": area.high,
        "ks": float(test.statistic), "p": float(test.pvalue),
    }  # fmt: skip


async def two_rounds(load: Load, half: int, learn: int, others: int) -> tuple[Times, Times]:
    """Pictures one by one: alone, and with others beside."""
    await ready()
    ended = asyncio.Event()
    alone = await client(load, load.files[:half])
    spare = load.files[2 * half :]
    beside = [
        asyncio.create_task(client(load, spare[n::others], ended=ended)) for n in range(others)
    ]
    busy = await client(load, load.files[half : 2 * half])
    ended.set()
    await asyncio.gather(*beside)
    return alone[learn:], busy[learn:]


async def client(load: Load, files: list[tuple[str, bytes]], *, ended: asyncio.Event | None = None) -> Times:  # fmt: skip
    """The name of each picture, and the seconds until its answer was there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    times, place = [], 0
    while place < len(files) if ended is None else not ended.is_set():
        one = files[place % len(files)]
        begun = time.perf_counter()
        writer.write(request(load, *one))
        status, body = await answered(reader)
        assert status == 200, body
        times.append((one[0], time.perf_counter() - begun))
        place += 1
    writer.close()
    return times
