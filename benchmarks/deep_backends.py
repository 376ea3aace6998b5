"""Deep files under other precisions, runtimes and image readers than the one that made them.

The files are written as PNG and read back. Prints a line a margin and backend: the share whose
answer is the clean one of the plain float32 model.
"""

import copy
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from PIL import Image
from torch import Tensor, nn

from benchmarks.frame import ASSETS, Assets
from benchmarks.lines import show
from benchmarks.named import (
    BATCH,
    KNOWN,
    Plain,
    answers,
    as_files,
    model_of,
    pictures_of,
    session,
    whole,
)
from catch11 import DeepRecoder, build_key
from catch11.data.pictures import decode_picture
from catch11.fronts.find import first_tensor
from catch11.lab import needed
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model
from catch11.models.onnx.export import export_graph, quiet

Answer = Callable[[Sequence[bytes]], Tensor]


def deep_backends(
    model: Annotated[str, typer.Argument(help=f"The authorized one: {KNOWN}.")] = "deit-tiny",
    count: Annotated[int, typer.Option(help="Pictures.")] = 100,
    margin: Annotated[list[float], typer.Option(help="By which the answer leads; repeatable.")] = [0.0, 0.1, 0.5],
    assets: Assets = ASSETS,
) -> None:  # fmt: skip
    own, held = model_of(assets, model), pictures_of(assets, model, count)
    key = build_key(own, energy=0.01, secret=bytes(32))
    pictures = whole(held.images, own.canvas)
    clean = answers(own, held.images)
    with tempfile.TemporaryDirectory() as folder:
        known = dict(backends(own, Path(folder)))
        for lead in margin:
            made = DeepRecoder(own, key, margin=lead)(pictures)
            kept = torch.tensor([reason is None for reason in made.reasons])
            files = []
            for picture in as_files(made.images):
                picture.save(data := io.BytesIO(), "PNG")
                files.append(data.getvalue())
            for name, answer in known.items():
                same = (answer(files).argmax(1) == clean)[kept].float().mean()
                show({
                    "model": own.name, "margin": lead, "backend": name, "n": int(kept.sum()),
                    "same": float(same),
                })  # fmt: skip


def backends(model: Model, folder: Path) -> Iterator[tuple[str, Answer]]:
    """What can run this model here, by name."""
    assert model.module is not None
    yield "as made", by_module(model, model.module, torch.float32)
    yield "canvas preprocessing", by_tensors(model)
    yield "OpenCV decoding, float64", by_opencv(model)
    for name, dtype in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        yield f"{name} weights", by_module(model, copy.deepcopy(model.module).to(dtype), dtype)
        yield f"{name} autocast", by_autocast(model, dtype)
    rows = copy.deepcopy(model.module).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    yield "channels last", by_module(model, rows, torch.float32)
    if hasattr(model.module, "set_attn_implementation"):
        eager: Any = copy.deepcopy(model.module)
        eager.set_attn_implementation("eager")
        yield "eager attention", by_module(model, eager, torch.float32)
    graph = export_graph(Plain(model.module).eval(), torch.zeros(2, *model.canvas.shape), free=True)
    yield "ONNX Runtime", by_onnx(model, session(graph))
    yield "ONNX Runtime, 8-bit weights", by_onnx(model, session(quantised(graph, folder)))
    if torch.cuda.is_available():
        there = copy.deepcopy(model.module).cuda()
        yield "CUDA", by_module(model, there, torch.float32, device="cuda")


def decoded(files: Sequence[bytes]) -> list[Image.Image]:
    return [decode_picture(file) for file in files]


def by_module(model: Model, module: nn.Module, dtype: torch.dtype, device: str = "cpu") -> Answer:
    """The model's own preprocessing, then this module in this precision."""

    def answer(files: Sequence[bytes]) -> Tensor:
        values = model.preprocess(decoded(files)).to(device, dtype)
        with torch.no_grad():
            parts = [first_tensor(module(v)).float().cpu() for v in values.split(BATCH)]
        return torch.cat(parts)

    return answer


def by_autocast(model: Model, dtype: torch.dtype) -> Answer:
    def answer(files: Sequence[bytes]) -> Tensor:
        with torch.autocast("cpu", dtype):
            return model.logits(model.preprocess(decoded(files)), batch=BATCH).float()

    return answer


def quantised(graph: object, folder: Path) -> Path:
    """The same with its linear layers in 8 bits."""
    onnx = needed("onnx", "onnx")
    quantization = needed("onnxruntime.quantization", "onnx")
    smaller = onnx.ModelProto()
    smaller.CopyFrom(graph)
    del smaller.graph.value_info[:]  # the exporter's shapes, which its own rewriting outdates
    with quiet():
        quantization.quantize_dynamic(
            smaller, folder / "small.onnx", weight_type=quantization.QuantType.QUInt8
        )
    return folder / "small.onnx"


def by_onnx(model: Model, running: object) -> Answer:
    def answer(files: Sequence[bytes]) -> Tensor:
        parts = model.preprocess(decoded(files)).split(BATCH)
        made = [running.run(None, {"pixel_values": part.numpy()})[0] for part in parts]  # type: ignore[attr-defined]
        return torch.from_numpy(np.concatenate(made))

    return answer


def by_opencv(model: Model) -> Answer:
    """Decoded by OpenCV, cut and normalised in float64 by hand."""
    canvas = model.canvas

    def answer(files: Sequence[bytes]) -> Tensor:
        levels: Any = [
            cv2.imdecode(np.frombuffer(f, np.uint8), cv2.IMREAD_COLOR_RGB) for f in files
        ]
        pictures = torch.from_numpy(np.stack(levels)).permute(0, 3, 1, 2).double() / 255.0
        return model.logits(canvas.normalise(canvas.window(pictures)).float(), batch=BATCH)

    return answer


def by_tensors(model: Model) -> Answer:
    """Preprocessing from the canvas alone, without the library the model came with."""
    prepare = canvas_prepare(model.canvas)
    return lambda files: model.logits(prepare(decoded(files)), batch=BATCH)
