"""Rows of Table 3 that change the computation: private training, encryption, polynomials."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from catch11.baselines import algospec, dp, fhe
from catch11.baselines.dp_head import private_head
from catch11.baselines.fhe_cost import (
    NETS,
    Constants,
    Net,
    least_seconds,
    measure_constants,
    scaled_seconds,
)
from catch11.baselines.fhe_net import (
    FINE_PARAMETERS,
    NET_PARAMETERS,
    encrypted_logits,
    train_square_net,
)
from catch11.baselines.polynomial import Fit
from catch11.errors import InvalidArgument
from catch11.record import Record
from catch11.studies.digits import convolution_net
from catch11.studies.place import Place
from catch11.studies.table3_rows import BYTES, SECONDS, Row, timed
from catch11.studies.table3_tasks import Task, features, head

DELTA = 1e-5
MEMBERS = 1500  # thumbnails that train a private head
HEAD = fhe.Parameters(degree=8192, bits=(60, 40, 60), scale=40)
OPEN = "whoever has the pictures reads them: no input is changed"


def private(task: Task, place: Place, epsilon: float, route: str, *, seed: int = 0) -> list[Record]:
    """A classifier that hides its training pictures, asked about clean ones.

    net: DP-SGD from scratch (digits). head: a dense layer on frozen features by DP-SGD, or by
    diffprivlib's objective perturbation. Members are pictures that the backbone never saw.
    """
    names = {"net": "DP-SGD net", "head": "DP-SGD head", "diffprivlib": "diffprivlib head"}
    row = Row(task=task, method=f"{names[route]}, ε = {epsilon:g}", guarantee=dp.PROTECTS)
    generator = torch.Generator().manual_seed(seed)
    inputs, labels, judged = _members(task, place, raw=route == "net")
    settings = dp.PrivateTraining(
        epsilon=epsilon, delta=DELTA, batch=_batch(len(inputs), 128), rate=5e-3
    )
    facts: dict[str, Any] = {"epsilon": epsilon, "members": len(inputs), "seed": seed}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if route == "net":
            made, spent = timed(
                lambda: dp.train_private(
                    convolution_net(), inputs, labels, settings, generator=generator
                )
            )
        elif route == "head":
            settings = dp.PrivateTraining(
                epsilon=epsilon, delta=DELTA, batch=_batch(len(inputs), 256), rate=5e-2
            )
            start = nn.Linear(inputs.shape[1], len(task.authorized.labels))
            made, spent = timed(
                lambda: dp.train_private(start, inputs, labels, settings, generator=generator)
            )
        else:
            count = len(task.authorized.labels)
            module, spent = timed(
                lambda: private_head(inputs, labels, epsilon=epsilon, classes=count, seed=seed)
            )
            made = dp.PrivateModel(
                module=module, epsilon=epsilon, delta=0.0, noise=0.0, steps=0, replaced=()
            )
    facts |= {"delta": made.delta, "noise": made.noise, "spent": made.epsilon}
    with torch.no_grad():
        given, asked = timed(lambda: made.module(judged).argmax(1))
    hits = tuple((given == task.labels).tolist())
    return [
        row.share("authorized", f"{names[route]} of {task.name}", hits, role="authorized", **facts),
        row.reason("rival", OPEN, shown="as clean"),
        row.figure(SECONDS, asked / len(judged), n=len(judged)),
        row.figure("CPU seconds to train", spent, n=len(inputs), quantity="fact"),
    ]


def encrypted_head(task: Task, judged: int) -> list[Record]:
    """The last dense layer on encrypted features; the client computes the features itself."""
    row = Row(task=task, method="CKKS, last layer", guarantee=fhe.PROTECTS)
    layer, values = head(task.authorized), features(task.authorized, task.windows[:judged])
    client, server, made = _sides(row, HEAD)
    circuit = fhe.linear_circuit(layer.weight, layer.bias)
    answers, sent, back, spent = [], 0, 0, 0.0
    for one in values:
        (asked, answered, numbers), seconds = timed(
            lambda one=one: _round(client, server, client.encrypt(one), circuit)  # type: ignore[misc]
        )
        answers.append(numbers[: layer.out_features])
        sent, back, spent = sent + len(asked), back + len(answered), spent + seconds
    return [*_encrypted(row, torch.stack(answers), layer(values), sent, back, spent), *made]


def encrypted_net(task: Task, judged: int, *, fine: bool) -> list[Record]:
    """A small convolutional net with squares, trained in the plain, wholly encrypted (digits)."""
    parameters = FINE_PARAMETERS if fine else NET_PARAMETERS
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
    client, server, made = _sides(row, parameters)
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
        *extrapolated,
    ]


def polynomial(task: Task, degree: int, fit: Fit, follow: bool) -> list[Record]:
    """The authorized model with every activation a polynomial fitted on the lessons."""
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


def _members(
    task: Task, place: Place, *, raw: bool
) -> tuple[Float[Tensor, "member ..."], Int[Tensor, " member"], Float[Tensor, "batch ..."]]:
    """Training pictures, their labels, and the judged ones, as the private model sees them.

    Digits: the training part, as normalised values, or as grey pixels for a head. Thumbnails:
    features of pictures of the test part that are not judged; the backbone trained on the others.
    Heads see unit vectors, so that no picture's length tells of it.
    """
    model = task.authorized
    if task.name == "digits":
        seen, asked = (model.canvas.normalise(part) for part in (task.lessons, task.windows))
        if raw:
            return seen, task.lesson_labels, asked
        grey = [nn.functional.normalize(part[:, 0].flatten(1)) for part in (seen, asked)]
        return grey[0], task.lesson_labels, grey[1]
    count = len(task.windows)
    whole = place.pictures(task.name, count + MEMBERS)
    values = nn.functional.normalize(features(model, whole.windows(model.canvas)))
    return values[count:], whole.labels[count:], values[:count]


def _batch(count: int, most: int) -> int:
    return max(1, min(most, count // 4))


def _sides(row: Row, parameters: fhe.Parameters) -> tuple[fhe.Client, fhe.Server, list[Record]]:
    """Client and server, and what making them cost."""
    before = fhe.resident()
    client, spent = timed(lambda: fhe.Client(parameters))
    public = client.public()
    server = fhe.Server(public)
    after = fhe.resident()
    made = [
        row.figure("bytes of the public context", float(len(public)), n=1, quantity="fact"),
        row.figure("CPU seconds to make keys", spent, n=1, quantity="fact"),
    ]
    if before is not None and after is not None:
        grown = float(max(after - before, 0))
        made.append(row.figure("bytes of memory, both sides", grown, n=1, quantity="fact"))
    return client, server, made


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
        row.figure(BYTES, (sent + back) / count, n=count, sent=sent / count, back=back / count),
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
