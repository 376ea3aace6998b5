"""onnx: a graph run by onnxruntime; authorized through its front, or a rival."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from catch11.canvas.frame import Canvas
from catch11.errors import MissingExtra, ModelRefused
from catch11.fronts.front import Front
from catch11.models.files.sidecar import class_names, read_sidecar, sidecar_pipeline
from catch11.models.frame import Model, count_classes, first_line, local_file, move
from catch11.models.onnx.convert import Unsupported, onnx_to_torch
from catch11.models.onnx.file import graph_fingerprint, picture_input, read_graph
from catch11.models.onnx.front import find_onnx_front

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def load(rest: str, *, device: str, allow_code: bool) -> Model:
    """Load an ONNX file and the JSON beside it. Raises ModelRefused, CanvasRefused, MissingExtra."""
    spec = f"onnx:{rest}"
    path = local_file(spec, rest)
    graph = OnnxGraph(spec, path, device=device)
    fingerprint = graph_fingerprint(spec, graph.model)
    facts = read_sidecar(path)
    canvas, prepare = sidecar_pipeline(facts)
    count = count_classes(spec, graph.run, canvas)
    notes: tuple[str, ...] = ()
    module = None
    try:
        module = move(spec, onnx_to_torch(graph.model, output=graph.output), device)
    except Unsupported as error:
        notes = (str(error),)
    return Model(
        name=path.stem,
        spec=spec,
        module=module,
        canvas=canvas,
        labels=class_names(facts, count),
        fingerprint=fingerprint,
        prepare=prepare,
        graph=graph,
        device=device,
        notes=notes,
    )


class OnnxGraph:
    """An ONNX file and its onnxruntime session."""

    def __init__(self, spec: str, path: Path, *, device: str = "cpu") -> None:
        self.spec = spec
        self.model = read_graph(spec, path)
        self.session = _session(spec, path, device)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            found = ", ".join(f"{one.name} {one.type}" for one in inputs) or "none"
            raise ModelRefused(spec, f"it takes {found}, not one float tensor of pictures")
        self.input = inputs[0].name
        self.channels_last = picture_input(self.model.graph).channels_last
        self.type = _TYPES[inputs[0].type]
        self.fixed = (
            inputs[0].shape[0] if inputs[0].shape and isinstance(inputs[0].shape[0], int) else None
        )
        names = [one.name for one in outputs]
        self.output: str = "logits" if "logits" in names else names[0]

    def run(
        self, pixel_values: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch ..."]:
        """Normalised windows to logits; a graph of fixed batch size is run so many at a time."""
        values = pixel_values.detach().cpu().numpy().astype(self.type)
        if self.channels_last:
            values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        step = self.fixed or max(len(values), 1)
        parts = [
            self._once(values[start : start + step], step) for start in range(0, len(values), step)
        ]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32))

    def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
        """The first linear map of the graph. Raises NoFront."""
        return find_onnx_front(self.model, canvas, layer=layer)

    def _once(self, values: np.ndarray, size: int) -> np.ndarray:
        short = size - len(values) if self.fixed else 0
        filled = (
            np.concatenate([values, np.repeat(values[-1:], short, axis=0)]) if short else values
        )
        return self.session.run([self.output], {self.input: filled})[0][: len(values)]


def _session(spec: str, path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "onnx") from None
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = torch.get_num_threads()
    providers = ["CPUExecutionProvider"]
    if (
        device.startswith("cuda")
        and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    ):
        providers.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=providers)
    except Exception as error:  # noqa: BLE001 - the runtime raises its own types
        raise ModelRefused(spec, f"onnxruntime refuses it ({first_line(error)})") from None
