"""Sealed copies on disk: a model behind the front that opens its files, as stock runtimes load it."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from catch11.copies.seal import SealSecret, seal_secret
from catch11.crypto.opening import Opening
from catch11.data.pictures import decode_picture, read_source
from catch11.data.windows import as_pictures
from catch11.errors import InvalidArgument, MissingExtra
from catch11.fronts.find import first_tensor
from catch11.modalities.image.png8 import PNG8
from catch11.models.answer import cause_line
from catch11.models.files.sidecar import SEAL, canvas_facts, stated_canvas
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.models.onnx.export import export_graph, newer, quiet, save_graph
from catch11.models.onnx.opening import put_before

KINDS = {".onnx": "onnx", ".pt2": "torch"}
_NEAR = 0.25  # of a level: how far from a whole one a recovered level may lie
_SAME = 1e-3  # of the largest logit; two runtimes add in another order
_TELLING = 10  # times that: how far a wrong opening must move an answer to be seen
_GRAINS = (1, 4, 0)  # of the pictures that a copy is tried on: flat, coarse, and as fine as they go
_TIMES = 4  # the weights that writing a copy holds at once, at most


def seal(model: Model, path: str | Path, *, secret: SealSecret | bytes | None = None) -> SealSecret:
    """Write the sealed copy of a model of pictures, with the JSON beside it, and read it back.

    path: a new file, .onnx or .pt2. secret: of one licensee; drawn where there is none. The copy is
    read by any runtime of its format, with the preprocessing that the JSON states. Raises
    InvalidArgument, MissingExtra.
    """
    path = Path(path)
    kind = check_place(path)
    if not isinstance(secret, SealSecret):
        secret = seal_secret(model, secret=secret)
    elif seal_secret(model, secret=secret.secret).original != secret.original:
        raise InvalidArgument(
            "secret", expected="the secret of this model's copy, or a new file",
            found=f"that of another model's, {secret.fingerprint[:16]}",
        )  # fmt: skip
    facts = _facts(model, secret)
    _check_beside(path, facts)
    check_levels(model, secret)
    probes = probes_of(model, secret)
    with _refused(model.spec, path), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        rough = Path(folder) / path.name
        _check_memory(model)
        if kind == "onnx":
            graph = put_before(_graph(model), secret.opener)
            if len(graph.graph.output) > 1:
                facts |= {"output": model.output}
                _check_beside(path, facts)
            graph.metadata_props.add(key=SEAL, value=secret.fingerprint)
            save_graph(graph, rough)
        else:
            extra = {SEAL: secret.fingerprint}
            torch.export.save(_program(model, secret), rough, extra_files=extra)
        rough.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        _check_copy(f"{kind}:{rough}", probes)
        for made in sorted(Path(folder).iterdir()):
            if made.suffix != ".json":
                made.chmod(0o600)  # it holds the key
            made.rename(path.parent / made.name)
    return secret


def sealed_by(file: Path, secrets: Sequence[SealSecret]) -> SealSecret | None:
    """Of some secrets the one under which a bare file was sealed; None where it is none of theirs, or was
    changed since. Raises UnreadablePicture."""
    data = read_source(file)
    decode_picture(data, path=file)
    for secret in secrets:
        with contextlib.suppress(ValueError):  # of another size than this one's model reads
            if secret.intact(PNG8.window(data, secret.canvas)[None])[0]:
                return secret
    return None


def check_place(path: Path) -> str:
    """The kind of model that a copy at this path is. Raises InvalidArgument."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        known = " or ".join(KINDS)
        raise InvalidArgument("output", expected=f"a file that ends in {known}", found=path.name)
    if not path.parent.is_dir():
        raise InvalidArgument(
            "output", expected="a file in a folder that exists", found=path, remedy=f"make {path.parent}"
        )  # fmt: skip
    if path.exists():
        raise InvalidArgument("output", expected="a new file", found=f"{path}, which exists")
    return kind


def _check_beside(path: Path, facts: dict[str, Any]) -> None:
    """Raises InvalidArgument where there is a JSON of that name that says anything else: a copy of the
    other format has the same."""
    beside = path.with_suffix(".json")
    if not beside.exists():
        return
    try:
        same = json.loads(beside.read_text(encoding="utf-8")) == facts
    except (OSError, ValueError, RecursionError):
        same = False
    if not same:
        raise InvalidArgument(
            "output", expected="a new file, or one beside the same model's copy under the same secret",
            found=f"{beside}, which says otherwise", remedy="give the copy another name",
        )  # fmt: skip


def check_levels(model: Model, secret: SealSecret) -> None:
    """Raises InvalidArgument unless every 8-bit value comes back from the model's own preprocessing."""
    channels, height, width = model.canvas.shape
    # Other values in each channel, so that their order shows, and as many pictures as hold all.
    steps = torch.arange(height * width) + 85 * torch.arange(channels)[:, None]
    starts = torch.arange(0, 256, min(height * width, 256))[:, None, None]
    windows = ((steps + starts) % 256).view(-1, channels, height, width) / 255
    made = Opening(secret.opener).levels(model.preprocess(_pictures(windows, model)).cpu())
    off = float((made - windows * 255).abs().max())
    if not off <= _NEAR:
        raise InvalidArgument(
            "model", expected="preprocessing that leaves 8-bit values to be told apart in float32",
            found=f"values {off:.3g} levels away from their own",
        )  # fmt: skip


def _pictures(windows: Float[Tensor, "batch channel height width"], model: Model) -> list[Any]:
    mode = "RGB" if model.canvas.channels == 3 else "L"
    return [picture.convert(mode) for picture in as_pictures(windows, model.canvas)]


def _facts(model: Model, secret: SealSecret) -> dict[str, Any]:
    """The JSON beside a copy. Raises InvalidArgument where its words cannot say the preprocessing."""
    if model.speaks:
        raise InvalidArgument("model", expected="a model that answers in classes", found="words")
    facts = canvas_facts(model.canvas)
    said, canvas = stated_canvas(facts), model.canvas
    if (said.size, said.top, said.left, said.order) != (canvas.size, canvas.top, canvas.left, canvas.order):  # fmt: skip
        raise InvalidArgument(
            "model", expected="a window that the JSON beside a file can place",
            found=f"{canvas.shape} at {canvas.top}, {canvas.left} of {canvas.size}",
        )  # fmt: skip
    return facts | {"classes": list(model.labels), "sealed": secret.fingerprint}


class _Copy(nn.Module):
    """The opening and the model behind it, as one module."""

    def __init__(self, opening: nn.Module, net: nn.Module) -> None:
        super().__init__()
        self.opening, self.net = opening, net

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        return {"logits": first_tensor(self.net(self.opening(pixel_values)))}


def _graph(model: Model) -> Any:
    """The model as a graph: its own where it is one, else its export."""
    graph = getattr(model.graph, "model", None)
    if graph is not None:
        try:
            return newer(graph)
        except RuntimeError:
            if model.module is None:
                raise
    count = 1 if model.alone else 2
    return export_graph(_plain(model, nn.Identity()), torch.zeros(count, *model.canvas.shape), free=not model.alone)  # fmt: skip


def _program(model: Model, secret: SealSecret) -> Any:
    count = 1 if model.alone else 2
    axes = None if model.alone else ({0: torch.export.Dim("batch")},)
    net = _plain(model, Opening(secret.opener).eval())
    with quiet():
        return torch.export.export(
            net, (torch.zeros(count, *model.canvas.shape),), dynamic_shapes=axes
        )


def _plain(model: Model, opening: nn.Module) -> nn.Module:
    if model.module is None:
        raise RuntimeError(f"torch does not run it: {next(iter(model.notes), 'a graph')}")
    return _Copy(opening, model.module.cpu()).eval()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probes:
    """Sealed pictures, what the model says of the pictures they hold, and how far off is too far."""

    sealed: list[Any] = field(repr=False)
    meant: Float[Tensor, "batch classes"]
    allowed: float


def probes_of(model: Model, secret: SealSecret) -> Probes:
    """What a copy is tried on. Raises InvalidArgument for a model whose answers to pictures and to
    noise are so alike that a copy which opens nothing would pass."""
    generator = torch.Generator().manual_seed(11)
    channels, *size = model.canvas.shape
    windows = torch.empty(len(_GRAINS), channels, *size)
    for window, grain in zip(windows, _GRAINS, strict=True):
        sides = [min(grain or side, side) for side in size]
        levels = torch.randint(0, 256, (1, channels, *sides), generator=generator) / 255
        window[:] = functional.interpolate(levels, size)[0]
    sealed = _pictures(secret.as_read(windows), model)
    meant = model.logits(model.preprocess(_pictures(secret.cleared(windows), model)))
    allowed = _SAME * float(meant.abs().max())
    apart = float((model.logits(model.preprocess(sealed)) - meant).abs().max())
    if not apart > _TELLING * allowed:
        raise InvalidArgument(
            "model", expected="answers that tell a picture from noise, to try its copy by",
            found=f"logits up to {allowed / _SAME:.3g} that differ by {apart:.3g} at most",
            remedy="the copy could open files wrongly and nobody would see: give the trained weights",
        )  # fmt: skip
    return Probes(sealed=sealed, meant=meant, allowed=allowed)


def _check_copy(spec: str, probes: Probes) -> None:
    """Raises RuntimeError unless the copy says of sealed pictures what the model says of the pictures."""
    copy = load_picture_model(spec, allow_code=True)
    said = copy.logits(copy.preprocess(probes.sealed))
    same = said.shape == probes.meant.shape
    if not same or not (probes.meant - said).abs().max() <= probes.allowed:
        raise RuntimeError("the copy that was written does not answer as the model does")


def _check_memory(model: Model) -> None:
    """Raises MemoryError where a copy would not fit, which the system would answer by ending us."""
    weights = [] if model.module is None else [*model.module.parameters(), *model.module.buffers()]
    need = _TIMES * sum(one.numel() * one.element_size() for one in weights)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return
    free = next(
        (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), need
    )
    if need > free:
        raise MemoryError(f"it needs {need >> 20} MiB and {free >> 20} are free")


@contextlib.contextmanager
def _refused(spec: str, path: Path) -> Iterator[None]:
    """Whatever goes wrong with a format as one sentence that names the other one."""
    (other,) = {*KINDS} - {path.suffix.lower()}
    remedy = f"write the other format, -o {path.with_suffix(other)}"
    try:
        yield
    except (InvalidArgument, MissingExtra):
        raise
    except Exception as error:  # noqa: BLE001 - exporters raise anything
        raise InvalidArgument(
            "output", expected=f"a copy of {spec} as {path.suffix}",
            found=f"none ({cause_line(error)})", remedy=remedy,
        ) from None  # fmt: skip
