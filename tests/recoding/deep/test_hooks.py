"""What a module made is noted for the thread that asked, while others run the same module."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from catch11.canvas.plain import plain_canvas
from catch11.recoding.deep.hooks import noted
from catch11.recoding.deep.target import Target

CANVAS = plain_canvas(4, 4)


class Meeting(nn.Module):
    """Goes on once two threads are inside; with readers that wait for each other, none would."""

    def __init__(self) -> None:
        super().__init__()
        self.met = threading.Barrier(1)  # until the targets are made, which run it too

    def forward(self, values: Tensor) -> Tensor:
        self.met.wait(timeout=20)
        return values


def net() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 2, 2), Meeting(), nn.Flatten(), nn.Linear(16, 5)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def together(*calls: Callable[[], Tensor]) -> list[Tensor]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]


def test_two_threads_read_one_model_at_once() -> None:
    model = net()
    windows = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    targets = Target(model, CANVAS, {"0": 1.0}), Target(model, CANVAS, {"features": 1.0})
    model[1].met = threading.Barrier(2)  # type: ignore[assignment]
    found = together(*(lambda t=t, w=w: t.read(w).maps[0] for t, w in zip(targets, windows, strict=True)))  # fmt: skip
    first = [model[0](CANVAS.normalise(one)) for one in windows]
    assert torch.equal(found[0], first[0])
    assert torch.equal(found[1], first[1].flatten(1))


def test_a_hook_hangs_once_and_notes_where_it_is_asked() -> None:
    layer = nn.Linear(3, 2)
    twin = copy.deepcopy(layer)
    values = torch.ones(1, 3)
    with noted([layer]) as outer:
        layer(values)
        with noted([twin]) as inner:
            assert torch.equal(inner.setdefault(twin, ((), twin(values)))[1], twin(values))
            layer(values * 2)
        assert set(inner) == {twin}
    assert torch.equal(outer[layer][0][0], values)
    layer(values * 3)
    assert torch.equal(outer[layer][0][0], values)
    for _ in range(3):
        with noted([layer]):
            pass
    assert len(layer._forward_hooks) == 1
