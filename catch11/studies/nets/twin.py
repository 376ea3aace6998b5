"""A twin: the authorized architecture trained anew, by a stranger who has labelled pictures of its kind.

SGD with Nesterov's momentum, a cosine of rates, pictures mirrored and shifted one by one. A long training
is kept in the user's cache, as a file that `torch:FILE` loads:

    python -m catch11.studies.nets.twin ASSETS [--epochs 16] [--pictures 14000]
"""

import argparse
import copy
import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from catch11.attacks.adaptation import forget
from catch11.attacks.nets import seeded
from catch11.canvas.frame import Canvas
from catch11.fronts.find import first_tensor
from catch11.models.load import parse_spec
from catch11.studies.cache import cache_folder
from catch11.studies.place import Place

FAMILY = "thumbnails"
Windows = Float[Tensor, "_ channel height width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schooling:
    """A training from nothing. rate: the highest, of SGD. shift: pixels, either way, that a picture moves."""

    pictures: int = 14_000
    epochs: int = 16
    rate: float = 0.1
    batch: int = 128
    decay: float = 5e-4
    shift: int = 4


def twin_path(place: Place, name: str, schooling: Schooling) -> Path:
    """Where the kept weights of a twin lie, whether they do yet or not."""
    facts = f"{place.model(FAMILY, name).fingerprint} {schooling}".encode()
    return (
        cache_folder("twins") / f"{name}-twin-{hashlib.sha256(facts).hexdigest()[:12]}.safetensors"
    )


def twin(place: Place, name: str, schooling: Schooling, *, keep: bool = False) -> nn.Module:
    """The twin of a model of the thumbnails: the bare network, in evaluation mode.

    keep: read it from the user's cache, and write it there; a training that was stopped goes on.
    """
    model = place.model(FAMILY, name)
    assert model.module is not None
    net = copy.deepcopy(model.module)
    path = twin_path(place, name, schooling)
    if keep and path.exists():
        net.load_state_dict(load_file(path))
        return net.eval().requires_grad_(False)
    with seeded(torch.Generator().manual_seed(0)):
        forget(net)
    shown = place.pictures(FAMILY, schooling.pictures, part="train")
    state = path.with_suffix(".part") if keep else None
    windows = shown.windows(model.canvas)
    net = teach(net, model.canvas, windows, shown.labels, schooling, state=state)
    if keep:
        _write(net, model.spec, path)
        assert state is not None
        state.unlink(missing_ok=True)
    return net


def teach(
    net: nn.Module,
    canvas: Canvas,
    windows: Windows,
    labels: Int[Tensor, " batch"],
    schooling: Schooling,
    *,
    state: Path | None = None,
    look: Callable[[int, float], None] | None = None,
) -> nn.Module:
    """The net after its schooling, which changes it; back in evaluation mode.

    windows: in pixel units. state: a file that keeps the run after each epoch. look: called with
    (epoch, training loss).
    """
    net.requires_grad_(True).train()
    rule = torch.optim.SGD(
        net.parameters(), schooling.rate, momentum=0.9, nesterov=True, weight_decay=schooling.decay
    )
    total = schooling.epochs * -(-len(windows) // schooling.batch)
    rates = torch.optim.lr_scheduler.LambdaLR(rule, lambda step: _rate(step, total))
    values, begin = canvas.normalise(windows), 0
    if state is not None and state.exists():
        held = torch.load(state, weights_only=True)
        for part, name in ((net, "net"), (rule, "rule"), (rates, "rates")):
            part.load_state_dict(held[name])
        begin = held["epoch"]
    for epoch in range(begin + 1, schooling.epochs + 1):
        generator = torch.Generator().manual_seed(epoch)
        loss = _epoch(net, rule, rates, values, labels, schooling, generator)
        if state is not None:
            state.parent.mkdir(parents=True, exist_ok=True)
            held = {
                "net": net.state_dict(), "rule": rule.state_dict(), "rates": rates.state_dict(),
            }  # fmt: skip
            torch.save({**held, "epoch": epoch}, half := state.with_suffix(".half"))
            half.replace(state)
        if look is not None:
            look(epoch, loss)
    return net.eval().requires_grad_(False)


def moved(
    images: Windows, shift: int, generator: torch.Generator
) -> Float[Tensor, "_ channel height width"]:
    """Each picture mirrored or not, and shifted by up to `shift` pixels either way over zeros."""
    count, _, height, width = images.shape
    mirrored = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    padded = functional.pad(images, (shift,) * 4)
    down, across = torch.randint(0, 2 * shift + 1, (2, count), generator=generator)
    rows = (down[:, None] + torch.arange(height))[:, :, None]
    columns = (across[:, None] + torch.arange(width))[:, None, :]
    taken = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns]
    return taken.permute(0, 3, 1, 2)


def _epoch(
    net: nn.Module,
    rule: torch.optim.Optimizer,
    rates: torch.optim.lr_scheduler.LambdaLR,
    values: Tensor,
    labels: Tensor,
    schooling: Schooling,
    generator: torch.Generator,
) -> float:
    losses = []
    for index in torch.randperm(len(values), generator=generator).split(schooling.batch):
        with torch.autocast("cpu", torch.bfloat16):
            logits = first_tensor(net(moved(values[index], schooling.shift, generator)))
        loss = functional.cross_entropy(logits.float(), labels[index])
        rule.zero_grad()
        loss.backward()
        rule.step()
        rates.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def _rate(step: int, total: int) -> float:
    """Up over the first steps, then down a cosine to nothing."""
    return min(1.0, (step + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * step / total))


def _write(net: nn.Module, spec: str, path: Path) -> None:
    """The weights, and beside them the preprocessing of the model's own file where it has one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.detach().contiguous().clone() for name, value in net.state_dict().items()
    }
    save_file(tensors, half := path.with_suffix(".half"))
    half.replace(path)
    kind, rest = parse_spec(spec)
    if kind == "torch":
        shutil.copyfile(Path(rest).expanduser().with_suffix(".json"), path.with_suffix(".json"))


def main() -> None:
    """Train the twin of the authorized thumbnail model, or find it; print the file."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--pictures", type=int, default=14_000)
    ask.add_argument("--epochs", type=int, default=16)
    given = ask.parse_args()
    torch.set_num_threads(1)
    place = Place(assets=given.assets)
    name = place.names(FAMILY)[0]
    schooling = Schooling(pictures=given.pictures, epochs=given.epochs)
    twin(place, name, schooling, keep=True)
    print(f"torch:{twin_path(place, name, schooling)}")


if __name__ == "__main__":
    main()
