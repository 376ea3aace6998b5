"""Memory of an encrypted answer, seen in a process of its own: TenSEAL keeps what it once had, so in a
process that made another context before, a new one seems to take nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from catch11.baselines.fhe import Client, Parameters, Server, linear_circuit
from catch11.baselines.fhe_net import SquareNet, encrypted_logits
from catch11.baselines.library import library

Kind = Literal["layer", "net"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes above those of the process before. keys: with both sides' contexts made. peak: the most
    there was while one picture was encrypted, answered and decrypted."""

    keys: int
    peak: int


def memory(parameters: Parameters, kind: Kind, shape: tuple[int, int]) -> Memory | None:
    """Of both sides and one answer. shape: inputs and outputs of a layer, or side and classes of a
    small net. None where the system does not tell. Raises MissingExtra."""
    library("tenseal", package="tenseal")
    asked = [parameters.degree, parameters.scale, list(parameters.bits), kind, *shape]
    done = subprocess.run(  # this interpreter, this module
        [sys.executable, "-m", __name__, json.dumps(asked)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode or not done.stdout.strip():
        return None
    before, keys, peak = json.loads(done.stdout.splitlines()[-1])
    return None if before is None else Memory(keys=keys - before, peak=peak - before)


def status(name: Literal["VmRSS", "VmHWM"]) -> int | None:
    """Bytes of memory this process holds, or held at most; None where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            row = next(line for line in file if line.startswith(f"{name}:"))
    except (OSError, StopIteration):
        return None
    return int(row.split()[1]) * 1024


def _measure(words: Sequence[str]) -> list[int | None]:
    degree, scale, bits, kind, first, second = json.loads(words[0])
    parameters = Parameters(degree=degree, scale=scale, bits=tuple(bits))
    library("tenseal", package="tenseal")
    torch.set_num_threads(1)
    before = status("VmRSS")
    client = Client(parameters)
    server = Server(client.public())
    keys = status("VmRSS")
    if kind == "net":
        net = SquareNet(first, second).requires_grad_(False)
        encrypted_logits(net, torch.rand(first, first), client, server)
    else:
        circuit = linear_circuit(torch.rand(second, first), torch.rand(second))
        client.decrypt(server.answer(client.encrypt(torch.rand(first)), circuit))
    return [before, keys, status("VmHWM")]


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1:])))
