"""Deep files under other precisions, runtimes and image readers than the one that made them.

The files are written as PNG and read back. Prints a JSON line a margin and backend: the share whose
answer is the clean one of the plain float32 model.

    python benchmarks/deep_backends.py hf:ASSETS/models/deit-tiny-patch16-224
    --images ASSETS/images/nips2017 --count 100 --margins 0 0.5
"""

import argparse
import copy
import io
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from deep_table import answers, labelled, pixels
from PIL import Image
from torch import Tensor, nn

from catch11 import DeepRecoder, build_key, load_model
from catch11.data.pictures import open_picture
from catch11.fronts.find import first_tensor
from catch11.models.canvases import canvas_prepare
from catch11.models.frame import Model

BATCH = 16
Answer = Callable[[Sequence[bytes]], Tensor]


def decoded(files: Sequence[bytes]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]


def by_module(model: Model, module: nn.Module, dtype: torch.dtype) -> Answer:
    """The model's own preprocessing, then this module in this precision."""

    def answer(files: Sequence[bytes]) -> Tensor:
        values = model.preprocess(decoded(files)).to(dtype)
        with torch.no_grad():
            return torch.cat([first_tensor(module(v)).float() for v in values.split(BATCH)])

    return answer


def by_autocast(model: Model, dtype: torch.dtype) -> Answer:
    def answer(files: Sequence[bytes]) -> Tensor:
        with torch.autocast("cpu", dtype):
            return model.logits(model.preprocess(decoded(files)), batch=BATCH).float()

    return answer


def by_onnx(model: Model, folder: Path, *, quantised: bool) -> Answer:
    """ONNX Runtime on the exported module; quantised: its linear layers in 8 bits."""
    import onnxruntime

    class Plain(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixel_values: Tensor) -> Tensor:
            return first_tensor(self.module(pixel_values))

    assert model.module is not None
    path = folder / "model.onnx"
    if not path.exists():
        blank = torch.zeros(2, *model.canvas.shape)
        dynamic = {"pixel_values": {0: torch.export.Dim("batch")}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Plain(model.module).eval(), (blank,), path, input_names=["pixel_values"],
                dynamic_shapes=dynamic, verbose=False,
            )  # fmt: skip
    if quantised:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        small = folder / "small.onnx"
        graph = onnx.load(path)
        del graph.graph.value_info[:]  # the exporter's shapes, which its own rewriting outdates
        quantize_dynamic(graph, small, weight_type=QuantType.QUInt8)
        path = small
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def answer(files: Sequence[bytes]) -> Tensor:
        parts = model.preprocess(decoded(files)).split(BATCH)
        made = [session.run(None, {"pixel_values": part.numpy()})[0] for part in parts]
        return torch.from_numpy(np.concatenate(made))

    return answer


def by_cuda(model: Model) -> Answer:
    assert model.module is not None
    module = copy.deepcopy(model.module).cuda()

    def answer(files: Sequence[bytes]) -> Tensor:
        parts = model.preprocess(decoded(files)).cuda().split(BATCH)
        with torch.no_grad():
            return torch.cat([first_tensor(module(part)).cpu() for part in parts])

    return answer


def by_opencv(model: Model) -> Answer:
    """Decoded by OpenCV, cut and normalised in float64 by hand."""
    canvas = model.canvas

    def answer(files: Sequence[bytes]) -> Tensor:
        levels = [cv2.imdecode(np.frombuffer(f, np.uint8), cv2.IMREAD_COLOR_RGB) for f in files]
        whole = torch.from_numpy(np.stack(levels)).permute(0, 3, 1, 2).double() / 255.0
        return model.logits(canvas.normalise(canvas.window(whole)).float(), batch=BATCH)

    return answer


def by_tensors(model: Model) -> Answer:
    """Preprocessing from the canvas alone, without the library the model came with."""
    prepare = canvas_prepare(model.canvas)
    return lambda files: model.logits(prepare(decoded(files)), batch=BATCH)


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
        eager = copy.deepcopy(model.module)
        eager.set_attn_implementation("eager")
        yield "eager attention", by_module(model, eager, torch.float32)
    yield "ONNX Runtime", by_onnx(model, folder, quantised=False)
    yield "ONNX Runtime, 8-bit weights", by_onnx(model, folder, quantised=True)
    if torch.cuda.is_available():
        yield "CUDA", by_cuda(model)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("model")
    ask.add_argument("--images", type=Path, required=True)
    ask.add_argument("--count", type=int, default=100)
    ask.add_argument("--margins", type=float, nargs="+", default=[0.0, 0.1, 0.5])
    given = ask.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model)
    key = build_key(model, energy=0.01, secret=bytes(32))
    sources = [open_picture(path) for path, _ in labelled(given.images, given.count)]
    whole = torch.stack([pixels(picture, model) for picture in sources])
    clean = answers(model, sources)
    with tempfile.TemporaryDirectory() as folder:
        for margin in given.margins:
            made = DeepRecoder(model, key, margin=margin)(whole)
            kept = torch.tensor([reason is None for reason in made.reasons])
            files = []
            for level in (made.images * 255).round().byte().permute(0, 2, 3, 1).numpy():
                data = io.BytesIO()
                Image.fromarray(level).save(data, "PNG")
                files.append(data.getvalue())
            for name, answer in backends(model, Path(folder)):
                told = answer(files).argmax(1)
                print(json.dumps({
                    "model": model.name, "margin": margin, "backend": name, "n": int(kept.sum()),
                    "same": round(float((told == clean)[kept].float().mean()), 4),
                }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
