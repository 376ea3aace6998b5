import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch.nn import functional

from catch11.baselines import fhe_memory
from catch11.baselines.fhe import (
    Client,
    Parameters,
    Server,
    linear_circuit,
    windows_of,
)
from catch11.baselines.fhe_cost import (
    NETS,
    QUOTED,
    Constants,
    Net,
    least_seconds,
    measure_constants,
    scaled_seconds,
)
from catch11.baselines.fhe_memory import Memory, memory
from catch11.baselines.fhe_net import (
    NET_DEPTH,
    NET_PARAMETERS,
    SquareNet,
    encrypted_logits,
    train_square_net,
)
from catch11.errors import InvalidArgument, MissingExtra

torch.set_num_threads(1)
SMALL = Parameters(degree=8192, bits=(60, 40, 60), scale=40)


@pytest.fixture(scope="module")
def sides() -> tuple[Client, Server]:
    client = Client(SMALL)
    return client, Server(client.public())


def test_what_is_sent_holds_no_secret_key(sides: tuple[Client, Server]) -> None:
    tenseal = pytest.importorskip("tenseal")
    client, server = sides
    assert not tenseal.context_from(client.public()).has_secret_key()
    assert not server._context.has_secret_key()
    assert client._context.has_secret_key()
    with pytest.raises(ValueError, match="secret_key"):
        tenseal.ckks_vector_from(server._context, client.encrypt(torch.ones(3))).decrypt()
    assert repr(client) == f"Client({SMALL})"
    assert repr(server) == "Server()"


def test_a_server_refuses_the_secret_key(sides: tuple[Client, Server]) -> None:
    private = sides[0]._context.serialize(save_secret_key=True)
    with pytest.raises(InvalidArgument, match="a context without the secret key"):
        Server(private)
    with pytest.raises(InvalidArgument, match="a CKKS context"):
        Server(b"no context")


@pytest.mark.parametrize(("inputs", "outputs"), [(64, 10), (10, 64), (7, 1)])
def test_an_encrypted_layer_is_the_layer(
    inputs: int, outputs: int, sides: tuple[Client, Server]
) -> None:
    generator = torch.Generator().manual_seed(inputs)
    values = torch.randn(inputs, generator=generator)
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    client, server = sides
    answer = server.answer(client.encrypt(values), linear_circuit(weight, bias))
    expected = weight @ values + bias
    assert torch.allclose(client.decrypt(answer)[:outputs], expected, atol=1e-4)


def test_two_ciphertexts_of_one_vector_differ(sides: tuple[Client, Server]) -> None:
    values = torch.linspace(-1, 1, 5)
    one, other = (sides[0].encrypt(values) for _ in range(2))
    assert one != other
    assert torch.allclose(sides[0].decrypt(one), values, atol=1e-6)


class Window(NamedTuple):
    side: tuple[int, int]
    kernel: int
    stride: int


@pytest.mark.parametrize(
    "row",
    [Window((8, 8), 3, 1), Window((8, 8), 3, 2), Window((5, 9), 2, 3), Window((4, 4), 4, 1)],
    ids=repr,
)
def test_im2col_times_a_kernel_is_a_convolution(row: Window) -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(row.side, generator=generator)
    kernel = torch.randn(row.kernel, row.kernel, generator=generator)
    rows = windows_of(image, kernel=row.kernel, stride=row.stride)
    wanted = functional.conv2d(image[None, None], kernel[None, None], stride=row.stride)
    assert torch.allclose(rows @ kernel.flatten(), wanted.flatten(), atol=1e-5)


def test_the_library_lays_windows_out_as_we_do(sides: tuple[Client, Server]) -> None:
    image = torch.rand(6, 6, generator=torch.Generator().manual_seed(2))
    held = sides[0].decrypt(sides[0].encrypt_windows(image, kernel=3, stride=1))
    wanted = windows_of(image, kernel=3, stride=1).T.flatten()
    assert torch.allclose(held[: len(wanted)], wanted, atol=1e-6)


def test_the_encrypted_net_is_the_net() -> None:
    """At 26 bits of scale the logits are off by a few per cent, in proportion; see the module."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(80, 1, 6, 6, generator=generator)
    labels = (images[:, 0, :3].mean((1, 2)) > images[:, 0, 3:].mean((1, 2))).long()
    net = train_square_net(images, labels, classes=2, generator=generator, epochs=4)
    client = Client(NET_PARAMETERS)
    server = Server(client.public())
    found = encrypted_logits(net, images[0, 0], client, server)
    wanted = net(images[:1])[0]
    assert float((found - wanted).abs().max()) < 0.15 * float(wanted.abs().max()) + 0.02
    with pytest.raises(InvalidArgument, match=f"expected {NET_DEPTH} primes between"):
        encrypted_logits(net, images[0, 0], Client(SMALL), server)


def test_a_circuit_deeper_than_the_primes_is_one_sentence(sides: tuple[Client, Server]) -> None:
    client, server = sides

    def deep(values: Any) -> Any:
        for _ in range(4):
            values = values * values
        return values

    with pytest.raises(InvalidArgument, match="as many primes as the circuit multiplies"):
        server.answer(client.encrypt(torch.ones(3)), deep)
    assert SMALL.depth == 1


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"degree": 5000}, "degree: expected one of 1024"),
        ({"bits": (60, 60)}, "bits: expected three primes or more"),
        ({"bits": (60, 10, 60)}, "bits: expected three primes or more of 20 to 60 bits"),
        (
            {"bits": (60, 60, 60, 60)},
            "bits: expected at most 218 in all for degree 8192, found 240",
        ),
        ({"scale": 61}, "scale: expected as many bits as each middle prime"),
        ({"scale": 0}, "scale"),
        ({"bits": (60, 40, 30, 60)}, r"scale: .* found 40 for \(60, 40, 30, 60\)"),
        ({"bits": (43, 40, 60)}, "scale: expected .* 4 fewer than the first"),
        ({"degree": 0}, "degree: expected one of 1024"),
    ],
)
def test_bad_parameters_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        Parameters(**settings)


def test_bad_inputs_are_refused(sides: tuple[Client, Server]) -> None:
    with pytest.raises(InvalidArgument, match="values: expected 1 to 4096 numbers, found 5000"):
        sides[0].encrypt(torch.ones(5000))
    with pytest.raises(InvalidArgument, match="kernel"):
        sides[0].encrypt_windows(torch.ones(4, 4), kernel=5, stride=1)
    with pytest.raises(InvalidArgument, match="image: expected windows of at most 4096"):
        sides[0].encrypt_windows(torch.ones(64, 64), kernel=5, stride=1)
    with pytest.raises(InvalidArgument, match="kernel"):
        SquareNet(4, 10, kernel=5)
    for bad in (math.nan, math.inf, 1e30):
        with pytest.raises(InvalidArgument, match="values: expected finite numbers that the"):
            sides[0].encrypt(torch.tensor([1.0, bad]))
        with pytest.raises(InvalidArgument, match="image: expected finite numbers that the"):
            sides[0].encrypt_windows(torch.full((4, 4), bad), kernel=2, stride=1)


@pytest.mark.parametrize("data", [b"", b"no ciphertext", bytes(1000)], ids=repr)
def test_what_is_no_ciphertext_is_one_sentence(sides: tuple[Client, Server], data: bytes) -> None:
    for act in (sides[0].decrypt, lambda one: sides[1].answer(one, lambda values: values)):
        with pytest.raises(InvalidArgument, match="data: expected a CKKS ciphertext"):
            act(data)


def test_a_circuit_of_another_size_is_one_sentence(sides: tuple[Client, Server]) -> None:
    circuit = linear_circuit(torch.ones(2, 5), torch.zeros(2))
    with pytest.raises(InvalidArgument, match="circuit: expected one that fits"):
        sides[1].answer(sides[0].encrypt(torch.ones(3)), circuit)


def test_keys_are_as_large_as_what_is_sent(sides: tuple[Client, Server]) -> None:
    sizes = sides[0].key_bytes()
    secret = sizes["secret_key"]
    assert all(size > 0 for size in sizes.values())
    sent = sum(sizes.values()) - secret
    assert sent < len(sides[0].public()) < sent + secret, "all keys but the secret one"


def test_a_server_elsewhere_needs_nothing_but_what_was_sent(
    sides: tuple[Client, Server], tmp_path: Path
) -> None:
    """Another process answers from the public context and one ciphertext; it cannot decrypt."""
    client, values = sides[0], torch.linspace(-1, 1, 6)
    (tmp_path / "public").write_bytes(client.public())
    (tmp_path / "asked").write_bytes(client.encrypt(values))
    code = """
import sys, torch
from pathlib import Path
from catch11.baselines.fhe import Server, linear_circuit
home = Path(sys.argv[1])
server = Server((home / "public").read_bytes())
circuit = linear_circuit(torch.full((2, 6), 0.5), torch.ones(2))
(home / "answer").write_bytes(server.answer((home / "asked").read_bytes(), circuit))
print(server._context.has_secret_key())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
    found = client.decrypt((tmp_path / "answer").read_bytes())[:2]
    assert torch.allclose(found, torch.ones(2), atol=1e-4), "half of a sum of 0, and 1"


def test_other_keys_read_nothing(sides: tuple[Client, Server]) -> None:
    """CKKS does not notice a wrong key: the numbers are no error, they are far from the answer."""
    values = torch.linspace(-1, 1, 50)
    found = Client(SMALL).decrypt(sides[0].encrypt(values))
    assert float((found - values).abs().median()) > 1e3


def test_costs_are_what_the_formula_says() -> None:
    constants = Constants(parameters=SMALL, diagonal=0.002, square=0.01, encrypt=0.1, decrypt=0.1)
    net = Net(products=4096e3, activations=4096e2, source="")
    assert least_seconds(net, constants) == pytest.approx(1000 * 0.002 + 100 * 0.01)
    assert scaled_seconds(net, seconds=2.0, products=4096) == pytest.approx(2000.0)
    with pytest.raises(InvalidArgument, match="seconds"):
        scaled_seconds(net, seconds=0.0, products=1)
    assert set(NETS) == {"ResNet-50", "ViT-B/16"}
    assert all(one.source for one in QUOTED)
    assert all(one.source for one in NETS.values())


def test_constants_are_measured() -> None:
    found = measure_constants(SMALL, size=4, rounds=1)
    assert found.encrypt > 0
    assert math.isfinite(found.diagonal)
    with pytest.raises(InvalidArgument, match="size"):
        measure_constants(SMALL, size=1)


def test_activations_are_counted() -> None:
    """ResNet-50 as timm builds it: each block's stride is in its second convolution."""
    relus, side = 64 * 112**2, 56
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        before, side = side, side // stride
        relus += width * before**2 + (blocks - 1) * width * side**2
        relus += blocks * (width + 4 * width) * side**2
    assert relus == NETS["ResNet-50"].activations
    assert NETS["ViT-B/16"].activations == 12 * 197 * 3072


@pytest.mark.parametrize(("kind", "shape"), [("layer", (8, 3)), ("net", (4, 2))])
def test_memory_is_that_of_another_process(kind: Any, shape: tuple[int, int]) -> None:
    parameters = NET_PARAMETERS if kind == "net" else SMALL
    before, keys, peak = fhe_memory._measure([_asked(parameters, kind, shape)])
    if before is not None and keys is not None and peak is not None:
        assert peak >= max(before, keys)
    if kind == "layer":
        held = memory(parameters, kind, shape)
        assert held is None or 1e7 < held.keys <= held.peak, "keys alone are 18 MB"


def _asked(parameters: Parameters, kind: str, shape: tuple[int, int]) -> str:
    held = [parameters.degree, parameters.scale, list(parameters.bits), kind, *shape]
    return json.dumps(held)


def test_memory_that_is_not_told_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, said in ((1, ""), (0, ""), (0, "[null, null, null]\n")):
        done = subprocess.CompletedProcess([], code, stdout=said)
        monkeypatch.setattr(fhe_memory.subprocess, "run", lambda *a, done=done, **k: done)
        assert memory(SMALL, "layer", (2, 2)) is None
    told = subprocess.CompletedProcess([], 0, stdout="[10, 15, 40]\n")
    monkeypatch.setattr(fhe_memory.subprocess, "run", lambda *a, **k: told)
    assert memory(SMALL, "layer", (2, 2)) == Memory(keys=5, peak=30)


def test_missing_tenseal_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenseal", None)
    with pytest.raises(
        MissingExtra, match=r"tenseal is needed here .* pip install 'catch11\[fhe\]'"
    ):
        Client(SMALL)
