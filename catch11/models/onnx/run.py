"""A graph in onnxruntime: normalised windows in, the tensor of a name out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.errors import ModelRefused
from catch11.lab import needed
from catch11.models.answer import first_line
from catch11.models.onnx.convert import Unsupported, onnx_to_torch
from catch11.models.onnx.file import picture_input

_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}  # fmt: skip


class Runtime:
    """An onnxruntime session of a file, or of a model's bytes, with one input of pictures."""

    def __init__(self, spec: str, source: Path | bytes, graph: Any, device: str) -> None:
        self.session = _session(spec, source, device)
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{one.name} {one.type}" for one in inputs) or "none"
            raise ModelRefused(spec, f"it takes {found}, not one tensor of pictures")
        self.outputs = {one.name: one.shape for one in self.session.get_outputs()}
        self.given, self.type = picture_input(graph), _TYPES[inputs[0].type]

    @property
    def whole(self) -> bool:
        """Whether it takes pixels as whole numbers from 0 to 255."""
        return self.type is np.uint8

    def run(
        self, pixel_values: Float[Tensor, "batch channel height width"], output: str
    ) -> Float[Tensor, "batch ..."]:
        """What a tensor holds of windows; a graph of fixed batch size is run so many at a time."""
        values = pixel_values.detach().cpu().numpy()
        values = (values.round().clip(0, 255) if self.whole else values).astype(self.type)
        if self.given.channels_last:
            values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        step = self.given.batch or max(len(values), 1)
        parts = [
            self._once(values[start : start + step], output)
            for start in range(0, len(values), step)
        ]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32))

    def _once(self, values: np.ndarray, output: str) -> np.ndarray:
        short = self.given.batch - len(values) if self.given.batch else 0
        filled = np.concatenate([values, values[-1:].repeat(short, axis=0)]) if short else values
        made: np.ndarray = self.session.run([output], {self.given.name: filled})[0]
        # A free batch is answered as it is: whoever asks counts the rows.
        return made[: len(made) * len(values) // len(filled)] if short else made


# What rounds or saturates, which a front leaves aside: such a graph is run without either.
_ROUNDS = frozenset({"Cast", "QuantizeLinear", "QLinearConv", "DequantizeLinear"})


def put_out(
    model: Any, name: str, windows: Sequence[Float[Tensor, "1 channel height width"]]
) -> list[Tensor]:
    """What a tensor of a graph holds of windows: by onnxruntime, or by torch where it is not there
    or the way to the tensor rounds; nothing where neither can tell."""
    small = _until(model, name)
    try:
        if not _ROUNDS.intersection(node.op_type for node in small.graph.node):
            runtime = Runtime("the graph", small.SerializeToString(), small.graph, "cpu")
            return [runtime.run(window, name) for window in windows]
    except Exception:  # noqa: BLE001 - a stranger's graph; torch then runs it
        pass
    try:
        module = onnx_to_torch(model, output=name, exact=True).double()
    except Unsupported:
        return []
    return [module(window.double()) for window in windows]


def _until(model: Any, name: str) -> Any:
    """The part of a model that a tensor hangs on, the tensor its only output."""
    graph = type(model.graph)()
    graph.name = "until"
    makers = {made: node for node in model.graph.node for made in node.output}
    asked, needed = [name], set()
    while asked:
        one = asked.pop()
        if one not in needed:
            needed.add(one)
            asked += makers[one].input if one in makers else ()
    graph.node.extend(node for node in model.graph.node if needed.intersection(node.output))
    graph.input.extend(one for one in model.graph.input if one.name in needed)
    graph.initializer.extend(one for one in model.graph.initializer if one.name in needed)
    graph.output.add().name = name
    small = type(model)()
    small.CopyFrom(type(model)(ir_version=model.ir_version, opset_import=model.opset_import))
    small.graph.CopyFrom(graph)
    return small


def _session(spec: str, source: Path | bytes, device: str) -> Any:
    onnxruntime = needed("onnxruntime", "onnx")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = torch.get_num_threads()
    providers = ["CPUExecutionProvider"]
    if (
        device.startswith("cuda")
        and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    ):
        providers.insert(0, "CUDAExecutionProvider")
    opened = source if isinstance(source, bytes) else str(source)
    try:
        return onnxruntime.InferenceSession(opened, settings, providers=providers)
    except Exception as error:  # noqa: BLE001 - the runtime raises its own types
        raise ModelRefused(spec, f"onnxruntime refuses it ({first_line(error)})") from None
