"""Rows of Table 3 that change the computation: encryption and polynomials."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from catch11.baselines import algospec, fhe
from catch11.baselines.fhe_cost import (
    NETS,
    Constants,
    Net,
    least_seconds,
    measure_constants,
    scaled_seconds,
)
from catch11.baselines.fhe_memory import Kind, memory
from catch11.baselines.fhe_net import (
    NET_DEPTH,
    NET_PARAMETERS,
    encrypted_logits,
    train_square_net,
)
from catch11.baselines.polynomial import Fit, check_fit
from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record
from catch11.studies.table3.rows import BYTES, OPEN, SECONDS, Row, timed
from catch11.studies.table3.tasks import Task, features, head

HEAD_PARAMETERS = fhe.Parameters(degree=8192, bits=(60, 40, 60), scale=40)


def encrypted_head(
    task: Task, judged: int, parameters: fhe.Parameters = HEAD_PARAMETERS
) -> list[Record]:
    """The last dense layer on encrypted features; the client computes the features itself."""
    row = Row(task=task, method="CKKS, last layer", guarantee=fhe.PROTECTS)
    layer, values = head(task.authorized), features(task.authorized, task.windows[:judged])
    client, server, made = _sides(row, parameters, "layer", (layer.in_features, layer.out_features))
    circuit = fhe.linear_circuit(layer.weight, layer.bias)
    answers, sent, back, spent = [], 0, 0, 0.0
    for one in values:
        (asked, answered, numbers), seconds = timed(
            lambda one=one: _round(client, server, client.encrypt(one), circuit)  # type: ignore[misc]
        )
        answers.append(numbers[: layer.out_features])
        sent, back, spent = sent + len(asked), back + len(answered), spent + seconds
    return [*_encrypted(row, torch.stack(answers), layer(values), sent, back, spent), *made]


def encrypted_net(
    task: Task, judged: int, parameters: fhe.Parameters = NET_PARAMETERS
) -> list[Record]:
    """A small convolutional net with squares, trained in the plain, wholly encrypted (digits).
    Raises InvalidArgument where the parameters are too shallow for it, before anything is trained."""
    parameters.check_depth(NET_DEPTH, "the convolutional net")
    row = Row(
        task=task, method=f"CKKS, whole small net, 2^{parameters.degree.bit_length() - 1}",
        guarantee=fhe.PROTECTS,
    )  # fmt: skip
    grey = task.authorized.canvas.normalise(task.lessons)[:, :1]
    net = train_square_net(
        grey, task.lesson_labels, classes=len(task.authorized.labels),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    images = task.authorized.canvas.normalise(task.windows)[:, :1]
    plain = net(images)
    client, server, made = _sides(row, parameters, "net", (net.side, net.second.out_features))
    answers, sent, back, spent = [], 0, 0, 0.0
    for image in images[:judged, 0]:
        asked = client.encrypt_windows(image, kernel=net.kernel, stride=net.stride)
        sent += len(asked)
        numbers, seconds = timed(lambda image=image: encrypted_logits(net, image, client, server))  # type: ignore[misc]
        answers.append(numbers)
        spent += seconds
    back = len(server.answer(asked, net.circuit())) * len(answers)
    whole = tuple((plain.argmax(1) == task.labels).tolist())
    constants = measure_constants(parameters)
    extrapolated = [
        row.figure(
            f"extrapolated seconds, {name}", value, n=len(answers), quantity="fact", how=how,
            source=size.source,
        )
        for name, size in NETS.items()
        for how, value in _extrapolations(size, net.products, spent / len(answers), constants)
    ]  # fmt: skip
    return [
        *_encrypted(row, torch.stack(answers), plain[: len(answers)], sent, back, spent),
        row.share("fact", "in the plain, all pictures", whole),
        *made,
        *(
            row.figure(f"CPU seconds of one {name}", value, n=3, quantity="fact")
            for name, value in (
                ("encryption", constants.encrypt),
                ("rotation, product and sum", constants.diagonal),
                ("square", constants.square),
                ("decryption", constants.decrypt),
            )
        ),
        *extrapolated,
    ]


def polynomial(task: Task, degree: int, fit: Fit, follow: bool) -> list[Record]:
    """The authorized model with every activation a polynomial fitted on the lessons."""
    check_fit(degree, fit)  # what is refused further down is a net whose values run away
    how = "after each other" if follow else "each by itself"
    row = Row(
        task=task, method=f"polynomials, degree {degree}, {fit}, {how}", guarantee=algospec.PROTECTS
    )
    model, calibration = task.authorized, task.authorized.canvas.normalise(task.lessons)
    assert model.module is not None
    try:
        net = algospec.polynomial_net(
            model.module, calibration, degree=degree, fit=fit, follow=follow
        )
    except InvalidArgument as error:
        return [row.reason("authorized", str(error), shown="runs away")]
    inputs = model.canvas.normalise(task.windows)
    parts, spent = timed(lambda: [net(part) for part in inputs.split(64)])
    hits = tuple((torch.cat(parts).argmax(1) == task.labels).tolist())
    depths = algospec.depth_errors(net, inputs[:100])
    return [
        row.share(
            "authorized", model.name, hits, role="authorized",
            clean=task.hits(model, task.windows),
        ),
        row.reason("rival", OPEN, shown="as clean"),
        row.figure(SECONDS, spent / len(inputs), n=len(inputs)),
        *(
            row.figure(
                "error after activation", one.error, n=len(inputs[:100]), quantity="fact",
                activation=place + 1, lost=one.lost, outside=one.outside,
            )
            for place, one in enumerate(depths)
        ),
    ]  # fmt: skip


def _sides(
    row: Row, parameters: fhe.Parameters, kind: Kind, shape: tuple[int, int]
) -> tuple[fhe.Client, fhe.Server, list[Record]]:
    """Client and server, and what having them costs."""
    client, spent = timed(lambda: fhe.Client(parameters))
    public = client.public()
    facts = {"bytes of the public context": float(len(public))}
    for name, size in client.key_bytes().items():
        where = "never sent" if name == "secret_key" else "sent once"
        facts[f"bytes of {name.replace('_', ' ')}, {where}"] = float(size)
    held = memory(parameters, kind, shape)
    if held is not None:
        facts["bytes of memory, both sides with their keys"] = float(held.keys)
        facts["bytes of memory, both sides, at most"] = float(held.peak)
    facts["CPU seconds to make keys"] = spent
    made = [row.figure(name, value, n=1, quantity="fact") for name, value in facts.items()]
    return client, fhe.Server(public), made


def _round(
    client: fhe.Client, server: fhe.Server, asked: bytes, circuit: Callable[[Any], Any]
) -> tuple[bytes, bytes, Tensor]:
    answered = server.answer(asked, circuit)
    return asked, answered, client.decrypt(answered)


def _encrypted(
    row: Row, answers: Tensor, plain: Tensor, sent: int, back: int, spent: float
) -> list[Record]:
    """Encrypted answers against the labels and against the same net in the plain."""
    count = len(answers)
    labels = row.task.labels[:count]
    given, open_ = answers.argmax(1), plain.argmax(1)
    apart = float((answers - plain).abs().max() / plain.abs().max())
    return [
        row.share(
            "authorized", "encrypted", tuple((given == labels).tolist()), role="authorized",
            clean=tuple((open_ == labels).tolist()),
        ),
        row.share("fact", "encrypted", tuple((given == open_).tolist()), metric="agreement"),
        row.reason(
            "rival",
            "the server sees ciphertexts; the client's own picture is not released",
            shown="no picture",
        ),
        row.figure("largest error of a logit, relative", apart, n=count, quantity="fact"),
        row.figure(SECONDS, spent / count, n=count),
        row.figure(BYTES, (sent + back) / count, n=count),
        row.figure("bytes of the question, encrypted", sent / count, n=count, quantity="fact"),
        row.figure("bytes of the answer, encrypted", back / count, n=count, quantity="fact"),
    ]  # fmt: skip


def _extrapolations(
    size: Net, products: int, seconds: float, constants: Constants
) -> list[tuple[str, float]]:
    """A floor with every slot used, and the measured net's own time by its products."""
    return [
        (
            "every slot used, one square an activation, no bootstrapping",
            least_seconds(size, constants),
        ),
        (
            "packed as the small net, by products",
            scaled_seconds(size, seconds=seconds, products=products),
        ),
    ]
